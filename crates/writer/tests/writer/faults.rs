//! The broker hangs, is killed, and comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_event::EventId;
use blackfriday_proto::ErrorCode;
use blackfriday_stack::{Kafka, eventually};
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::{LIMIT, Writer, accepted, errors, log, sale, sales, within};

#[tokio::test]
async fn while_the_broker_hangs_outcomes_are_unknown_in_time_and_room_is_limited() -> Result<()> {
    let kafka = Kafka::start().await?;
    let writer = Writer::ready(&kafka, &["--max-in-flight-records", "7", "--max-batch-sales", "7"]).await?;
    let in_flight = async |expected: f64| {
        let is = async || writer.metric("blackfriday_publish_in_flight_records") == Some(expected);
        eventually(LIMIT, is).await.with_context(|| format!("{expected} in flight"))
    };
    let mut client = writer.sales().await?;
    client.procesar_venta(sale("before")).await?;

    kafka.pause()?;
    let began = Instant::now();
    let (mut batch, mut single, mut abandoned) = (client.clone(), client.clone(), client.clone());
    let batch =
        tokio::spawn(
            async move { batch.procesar_ventas(within(Duration::from_millis(900), sales(5))).await },
        );
    let single = tokio::spawn(async move {
        single.procesar_venta(within(Duration::from_millis(700), sale("single"))).await
    });
    let abandoned = tokio::spawn(async move { abandoned.procesar_venta(sale("abandoned")).await });
    in_flight(7.0).await?;
    let refused = client.procesar_venta(sale("no room")).await.expect_err("no room");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let refused = client.procesar_ventas(sales(2)).await?.into_inner();
    let codes: Vec<_> = errors(refused.resultados).into_iter().map(|error| error.map(|e| e.code)).collect();
    assert_eq!(codes, [Some(ErrorCode::Overloaded); 2]);
    abandoned.abort();
    in_flight(6.0).await.context("an abandoned call gives its room back")?;

    let unknown = single.await?.expect_err("not acknowledged");
    assert_eq!(unknown.code(), Code::DeadlineExceeded, "{unknown:?}");
    let id = unknown.metadata().get("id").context("under which it may be found")?.to_str()?;
    assert!(id.parse::<EventId>().is_ok(), "{id}");
    let answer = batch.await?.context("the answer arrives before the client gives up")?.into_inner();
    assert!(began.elapsed() < Duration::from_millis(1_400), "{:?}", began.elapsed());
    let unknown = errors(answer.resultados);
    assert_eq!(unknown.len(), 5);
    for error in unknown {
        let error = error.context("not acknowledged")?;
        assert_eq!((error.code, error.id.is_some()), (ErrorCode::OutcomeUnknown, true));
    }
    in_flight(0.0).await?;

    kafka.resume()?;
    let mut again = client.clone();
    eventually(LIMIT, async || again.procesar_venta(sale("after")).await.is_ok()).await?;
    assert_eq!(writer.metric("messaging_client_sent_messages_total"), Some(2.0));
    Ok(())
}

#[tokio::test]
async fn without_a_broker_calls_are_told_so_and_all_is_well_when_it_is_back() -> Result<()> {
    let kafka = Kafka::start().await?;
    let writer = Writer::ready(&kafka, &[]).await?;
    let mut client = writer.sales().await?;
    let first = client.procesar_ventas(sales(100)).await?.into_inner();
    let mut acknowledged = accepted(&first.resultados);
    assert_eq!(acknowledged.len(), 100);
    assert!(writer.context.readiness.is_ready());

    kafka.kill()?;
    let deadline = Duration::from_secs(2);
    let mut told = client.clone();
    eventually(LIMIT, async || {
        let began = Instant::now();
        let answer = timeout(deadline, told.procesar_venta(within(deadline, sale("away")))).await;
        let status = answer.expect("answered in time").expect_err("nobody acknowledges");
        assert!(began.elapsed() < deadline, "{:?}", began.elapsed());
        // What was on its way when the broker died may have been written.
        assert!(matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded), "{status:?}");
        status.code() == Code::Unavailable
    })
    .await?;
    writer.until_health(ServingStatus::NotServing).await?;
    assert_eq!(
        (writer.context.readiness.is_ready(), writer.context.readiness.missing()),
        (false, vec!["broker"])
    );
    assert_eq!(writer.metric("blackfriday_broker_available"), Some(0.0));
    let answer = client.procesar_ventas(within(deadline, sales(50))).await?.into_inner();
    let codes = errors(answer.resultados).into_iter().map(|error| error.map(|error| error.code));
    assert_eq!(codes.filter(|code| *code == Some(ErrorCode::Unavailable)).count(), 50);

    kafka.restart().await?;
    writer.until_health(ServingStatus::Serving).await?;
    assert!(writer.context.readiness.is_ready());
    assert_eq!(writer.metric("blackfriday_broker_available"), Some(1.0));
    let last = client.procesar_ventas(sales(100)).await?.into_inner();
    acknowledged.extend(accepted(&last.resultados));
    assert_eq!(acknowledged.len(), 200);
    let mut found: Vec<_> = Vec::new();
    for record in log::read(&kafka, "ventas").await? {
        found.push(record.sale()?.id.as_bytes().to_vec());
    }
    assert_eq!(acknowledged.iter().filter(|id| !found.contains(id)).count(), 0, "a SIGKILL loses nothing");
    Ok(())
}
