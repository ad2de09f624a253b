//! Several writers: all are used, one that dies is left out, one that comes back is used again.

use std::sync::Arc;

use anyhow::{Context, Result};
use blackfriday_proto::ErrorCode;
use blackfriday_stack::eventually;
use futures_util::future::try_join_all;

use crate::Relay;
use crate::client::{sale, sales};
use crate::test_writer::{LIMIT, TestWriter};

#[tokio::test]
async fn all_writers_are_used_one_that_dies_is_left_out_and_used_again_when_it_is_back() -> Result<()> {
    let (first, second) = (TestWriter::start()?, TestWriter::start()?);
    let relay = Relay::ready(&[first.address, second.address], &[]).await?;
    for at in 0..40 {
        assert_eq!(relay.http.post("/procesar", sale(&format!("P-{at}"))).await?.status, 202);
    }
    let counts = (first.seen.sales().len(), second.seen.sales().len());
    assert_eq!(counts, (20, 20), "one after the other, they take turns");

    let (address, seen) = first.kill();
    eventually(LIMIT, async || relay.usable() == Some(1.0)).await?;
    for at in 0..20 {
        assert_eq!(relay.http.post("/procesar", sale(&format!("Q-{at}"))).await?.status, 202);
    }
    assert_eq!(second.seen.sales().len(), 40);
    assert!(relay.context.readiness.is_ready());

    let again = TestWriter::start_at(address, seen)?;
    eventually(LIMIT, async || relay.usable() == Some(2.0)).await?;
    for at in 0..20 {
        assert_eq!(relay.http.post("/procesar", sale(&format!("R-{at}"))).await?.status, 202);
    }
    assert_eq!(again.seen.sales().len(), 30);
    Ok(())
}

/// Under load a stop in order costs nobody an answer: what was not taken goes to the other writer, unkeyed as it is.
#[tokio::test]
async fn a_writer_that_stops_in_order_costs_no_sale_its_answer() -> Result<()> {
    let (first, second) = (TestWriter::start()?, TestWriter::start()?);
    let relay = Relay::ready(&[first.address, second.address], &[]).await?;
    let client = async |name: usize| -> Result<usize> {
        let mut sent = 0;
        // Until the other writer has long been alone.
        while relay.usable() != Some(1.0) || second.seen.count() < 400 {
            let answer = relay.http.post("/procesar", sale(&format!("P-{name}-{sent}"))).await?;
            anyhow::ensure!(answer.status == 202, "{answer:?}");
            sent += 1;
        }
        Ok(sent)
    };
    let stop = async {
        eventually(LIMIT, async || first.seen.count() > 100).await?;
        first.stop();
        Ok(0)
    };
    let (sent, _) = tokio::try_join!(try_join_all((0..16).map(client)), stop)?;
    let arrived = first.seen.sales().len() + second.seen.sales().len();
    assert_eq!(arrived, sent.into_iter().sum::<usize>(), "each once");
    Ok(())
}

/// A writer that cannot reach the broker says so for each sale; the other one takes them.
#[tokio::test]
async fn what_one_writer_surely_did_not_write_another_one_does() -> Result<()> {
    let (first, second) = (TestWriter::start()?, TestWriter::start()?);
    let relay = Relay::ready(&[first.address, second.address], &[]).await?;
    first.seen.refuse(Some(ErrorCode::Unavailable));
    for _ in 0..4 {
        assert_eq!(relay.http.post("/procesar", sales(5)).await?.status, 202);
        assert_eq!(relay.http.post("/procesar", sale("single")).await?.status, 202);
    }
    assert_eq!(second.seen.sales().len(), 24);
    assert!(relay.metric("blackfriday_writer_ejections_total").is_some_and(|ejections| ejections >= 1.0));
    first.seen.refuse(Some(ErrorCode::OutcomeUnknown));
    second.seen.refuse(Some(ErrorCode::OutcomeUnknown));
    let unknown = relay.http.post("/procesar", sale("unknown")).await?;
    assert_eq!(unknown.status, 504);
    let sent = [&first, &second].map(|writer| writer.seen.sales());
    assert_eq!(
        sent.iter().flatten().filter(|sale| sale.producto_id == "unknown").count(),
        1,
        "sent once only"
    );
    Ok(())
}

/// A writer that dies with a sale in flight leaves its outcome unknown, unless a key makes a second try safe.
#[tokio::test]
async fn only_a_keyed_sale_is_sent_again_after_a_connection_broke() -> Result<()> {
    for (key, status, times) in [(None, 504, 1), (Some(("idempotency-key", "k-1")), 202, 2)] {
        let mut writers = vec![TestWriter::start()?, TestWriter::start()?];
        let seen = [0, 1].map(|at: usize| Arc::clone(&writers[at].seen));
        let relay = Relay::ready(&[writers[0].address, writers[1].address], &[]).await?;
        seen.iter().for_each(|seen| seen.hold(true));
        let headers: Vec<_> = [("content-type", "application/json")].into_iter().chain(key).collect();
        let sent = relay.http.send("/procesar", &headers, sale("P-1"));
        let kill = async {
            let mut taker = None;
            let taken = async || {
                taker = seen.iter().position(|seen| seen.count() > 0);
                taker.is_some()
            };
            eventually(LIMIT, taken).await?;
            writers.remove(taker.context("it was taken")?).kill();
            seen.iter().for_each(|seen| seen.hold(false));
            anyhow::Ok(())
        };
        let (answer, ()) = tokio::try_join!(sent, kill)?;
        assert_eq!(answer.status.as_u16(), status, "{key:?}");
        assert_eq!(seen.iter().map(|seen| seen.sales().len()).sum::<usize>(), times, "{key:?}");
    }
    Ok(())
}
