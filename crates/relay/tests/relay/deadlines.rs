//! Time and room: deadlines, full queues, shared calls, and the stop.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_event::{EventId, FieldErrors};
use blackfriday_stack::eventually;
use futures_util::future::try_join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::Relay;
use crate::client::{sale, sales};
use crate::test_writer::{LIMIT, TestWriter};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_sale_in_flight_at_its_deadline_is_unknown_and_one_that_waits_is_not_written() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], &["--trust-hops", "--lane-calls", "1"]).await?;
    writer.seen.hold(true);
    let began = Instant::now();
    let in_flight = async {
        let headers = [JSON, ("x-deadline-ms", "1500")];
        relay.http.send("/procesar", &headers, sale("in-flight")).await
    };
    let waiting = async {
        eventually(LIMIT, async || writer.seen.count() == 1).await?;
        let headers = [JSON, ("x-deadline-ms", "200")];
        let answer = relay.http.send("/procesar", &headers, sale("waiting")).await?;
        anyhow::Ok((answer, began.elapsed()))
    };
    let (in_flight, (waiting, waited)) = tokio::try_join!(in_flight, waiting)?;
    assert!(began.elapsed() < Duration::from_secs(4), "the client's deadline, not our own of 5 s");
    assert_eq!((in_flight.status.as_u16(), in_flight.problem()), (504, "outcome-unknown"));
    let id: EventId =
        in_flight.json["id"].as_str().context("an id to look for")?.parse().map_err(FieldErrors::from)?;
    assert_eq!(writer.seen.sales()[0].id, id.as_bytes());
    let timeout = writer.seen.calls()[0].timeout.clone().context("grpc-timeout")?;
    assert!(timeout.ends_with('u') || timeout.ends_with('n') || timeout.ends_with('m'), "{timeout}");

    assert_eq!((waiting.status.as_u16(), waiting.retry_after.as_deref()), (503, Some("1")));
    assert!(waited < Duration::from_millis(1400), "it does not wait for the call before it");
    writer.seen.hold(false);
    assert_eq!(relay.http.post("/procesar", sale("after")).await?.status, 202);
    assert!(writer.seen.sales().iter().all(|sale| sale.producto_id != "waiting"), "never sent");
    Ok(())
}

/// A hop that has no time left is refused before anything is written, and never with an unknown outcome.
#[tokio::test]
async fn without_time_left_nothing_is_written() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], &["--trust-hops"]).await?;
    let report = || r#"{"country":"GT","weather":"Rainy"}"#.to_owned();
    for left in ["0", "1", "19"] {
        for (path, body) in [("/procesar", sale("a")), ("/procesar", sales(2)), ("/publicar", report())] {
            let answer = relay.http.send(path, &[JSON, ("x-deadline-ms", left)], body).await?;
            assert_eq!(
                (answer.status.as_u16(), answer.problem()),
                (503, "unavailable"),
                "{left}: {answer:?}"
            );
            assert_eq!(answer.retry_after.as_deref(), Some("1"));
        }
    }
    assert_eq!((writer.seen.count(), writer.seen.weather().len()), (0, 0));
    for ignored in ["", "-1", "soon", "99999999999999999999999"] {
        let answer = relay.http.send("/procesar", &[JSON, ("x-deadline-ms", ignored)], sale("a")).await?;
        assert_eq!(answer.status, 202, "{ignored}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn concurrent_sales_share_calls_and_a_full_queue_says_so() -> Result<()> {
    let writer = TestWriter::start()?;
    let settings = ["--lane-calls", "1", "--lane-queue-sales", "40", "--lane-batch-sales", "30"];
    let relay = Relay::ready(&[writer.address], &settings).await?;
    writer.seen.hold(true);
    let first = async { relay.http.post("/procesar", sale("first")).await };
    let others = async {
        eventually(LIMIT, async || writer.seen.count() == 1).await?;
        let others = try_join_all((0..60).map(async |at| {
            let answer = relay.http.post("/procesar", sale(&format!("P-{at}"))).await?;
            // The first refusal shows that the queue is full.
            if answer.status == 429 {
                writer.seen.hold(false);
            }
            anyhow::Ok(answer)
        }));
        others.await
    };
    let (first, others) = tokio::try_join!(first, others)?;
    assert_eq!(first.status, 202);
    let accepted = others.iter().filter(|answer| answer.status == 202).count();
    let refused: Vec<_> = others.iter().filter(|answer| answer.status != 202).collect();
    assert!(accepted >= 40 && !refused.is_empty(), "{accepted} accepted");
    for answer in refused {
        assert_eq!((answer.status.as_u16(), answer.retry_after.as_deref()), (429, Some("1")));
        assert_eq!(answer.problem(), "overloaded");
    }
    let sizes: Vec<_> = writer.seen.calls().iter().map(|call| call.sales.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), accepted + 1);
    assert!(sizes.iter().all(|size| *size <= 30) && sizes.contains(&30), "{sizes:?}");
    Ok(())
}

#[tokio::test]
async fn a_writers_limit_of_events_in_flight_is_an_overload() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], &["--writer-max-in-flight-events", "10"]).await?;
    writer.seen.hold(true);
    let first = relay.http.post("/procesar", sales(8));
    let second = async {
        eventually(LIMIT, async || writer.seen.count() == 1).await?;
        let answer = relay.http.post("/procesar", sales(8)).await;
        writer.seen.hold(false);
        answer
    };
    let (first, second) = tokio::try_join!(first, second)?;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 429));
    Ok(())
}

/// Memory is bounded, and a few large bodies that arrive slowly do not keep single sales out.
#[tokio::test]
async fn large_bodies_share_their_room_and_leave_single_sales_theirs() -> Result<()> {
    let writer = TestWriter::start()?;
    let limits = [
        "--max-bodies-kib",
        "100",
        "--http-body-stall-timeout-ms",
        "60000",
        "--http-request-timeout-ms",
        "60000",
    ];
    let relay = Relay::ready(&[writer.address], &limits).await?;
    let mut slow = TcpStream::connect(relay.address).await?;
    let head = "POST /procesar HTTP/1.1\r\nhost: relay\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n[";
    slow.write_all(head.as_bytes()).await?;
    slow.write_all(&[b' '; 90_000]).await?;
    let refused =
        async || relay.http.post("/procesar", sales(500)).await.is_ok_and(|answer| answer.status == 429);
    eventually(LIMIT, refused).await?;
    assert_eq!(relay.http.post("/procesar", sale("small")).await?.status, 202);
    drop(slow);
    let accepted =
        async || relay.http.post("/procesar", sales(500)).await.is_ok_and(|answer| answer.status == 202);
    eventually(LIMIT, accepted).await?;
    Ok(())
}

#[tokio::test]
async fn a_stop_lets_what_is_in_flight_finish() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], &[]).await?;
    writer.seen.hold(true);
    let client = relay.http.clone();
    let in_flight = tokio::spawn(async move { client.post("/procesar", sale("in-flight")).await });
    eventually(LIMIT, async || writer.seen.count() == 1).await?;
    relay.context.shutdown.begin();
    eventually(LIMIT, async || TcpStream::connect(relay.address).await.is_err()).await?;
    assert!(!relay.running.is_finished());
    writer.seen.hold(false);
    assert_eq!(in_flight.await??.status, 202);
    tokio::time::timeout(LIMIT, relay.running).await???;
    Ok(())
}
