//! The services of a writer fail one by one, as the topics behind them do.

use anyhow::Result;
use blackfriday_stack::eventually;

use crate::Relay;
use crate::client::sale;
use crate::test_writer::{LIMIT, SALES, TestWriter, WEATHER};

const REPORT: &str = r#"{"description":"Llueve","country":"GT","weather":"Rainy"}"#;

/// Sends so many events of a service; their statuses.
async fn send(relay: &Relay, service: &str, count: usize) -> Result<Vec<u16>> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        let answer = match service {
            SALES => relay.http.post("/procesar", sale("P-1")).await?,
            _ => relay.http.post("/publicar", REPORT).await?,
        };
        statuses.push(answer.status.as_u16());
    }
    Ok(statuses)
}

/// Events of a service that came to this writer.
fn arrived(writer: &TestWriter, service: &str) -> usize {
    if service == SALES { writer.seen.sales().len() } else { writer.seen.weather().len() }
}

#[tokio::test]
async fn a_fault_of_one_topic_does_not_take_the_writer_out_for_the_other() -> Result<()> {
    for (sick, well) in [(SALES, WEATHER), (WEATHER, SALES)] {
        let writers = [TestWriter::start()?, TestWriter::start()?];
        let relay = Relay::ready(&writers.each_ref().map(|writer| writer.address), &[]).await?;
        let usable =
            async |service, count| eventually(LIMIT, async || relay.usable_for(service) == Some(count)).await;

        writers[0].set_serving(sick, false).await;
        usable(sick, 1.0).await?;
        assert_eq!(send(&relay, sick, 4).await?, [202; 4], "{sick}: the other writer takes them");
        assert_eq!(send(&relay, well, 4).await?, [202; 4]);
        let counts = |service| writers.each_ref().map(|writer| arrived(writer, service));
        assert_eq!((counts(sick), counts(well)), ([0, 4], [2, 2]), "without {sick}");

        writers[1].set_serving(sick, false).await;
        usable(sick, 0.0).await?;
        assert_eq!(send(&relay, sick, 2).await?, [503; 2]);
        assert_eq!(send(&relay, well, 4).await?, [202; 4]);
        assert_eq!(counts(well), [4, 4], "without {sick}");
        assert!(relay.context.readiness.is_ready(), "it still takes {well}");

        for writer in &writers {
            writer.set_serving(well, false).await;
        }
        eventually(LIMIT, async || !relay.context.readiness.is_ready()).await?;
        for writer in &writers {
            writer.set_serving(sick, true).await;
        }
        usable(sick, 2.0).await?;
        assert!(relay.context.readiness.is_ready());
        assert_eq!(send(&relay, sick, 2).await?, [202; 2]);
    }
    Ok(())
}

/// Before its health is asked again: what a writer says of one service is not held against the other.
#[tokio::test]
async fn a_refused_call_leaves_the_writer_out_for_its_own_service() -> Result<()> {
    let writers = [TestWriter::start()?, TestWriter::start()?];
    let addresses = writers.each_ref().map(|writer| writer.address);
    let relay = Relay::ready(&addresses, &[]).await?;
    writers[0].set_serving(SALES, false).await;
    assert_eq!(send(&relay, SALES, 4).await?, [202; 4]);
    assert!(arrived(&writers[0], SALES) <= 2, "asked once or twice, and left out");
    assert_eq!(send(&relay, WEATHER, 4).await?, [202; 4]);
    assert_eq!(writers.each_ref().map(|writer| arrived(writer, WEATHER)), [2, 2]);
    eventually(LIMIT, async || relay.usable_for(SALES) == Some(1.0)).await?;
    assert_eq!(relay.usable_for(WEATHER), Some(2.0));
    Ok(())
}
