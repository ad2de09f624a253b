//! Logs that are away, hang, are full or are others than they should be; clients that go or are in a hurry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use blackfriday_stack::eventually;
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Both, FULL, JSON, NOT_WRITTEN, REPORT, SHORT, UNKNOWN, before, states, usable};
use crate::client::sale;
use crate::test_writer::{LIMIT, SALES, Seen, TestWriter, WEATHER};

/// What is known to be away is not asked, and so the other one gets nothing.
#[tokio::test]
async fn while_one_log_is_away_nothing_is_written_into_the_other() -> Result<()> {
    for away in 0..2 {
        let both = Both::ready(&[]).await?;
        let writer = [&both.kafka, &both.rabbitmq][away];
        writer.set_serving(WEATHER, false).await;
        eventually(LIMIT, async || usable(&both.relay)[away] == Some(0.0)).await?;
        for _ in 0..20 {
            let answer = timeout(Duration::from_secs(2), both.report()).await??;
            assert_eq!(
                (answer.status.as_u16(), answer.retry_after.as_deref()),
                (503, Some("1")),
                "{answer:?}"
            );
            assert_eq!(states(&answer), (&json!("NOT_WRITTEN"), &json!("NOT_WRITTEN")));
            let detail = answer.json["detail"].as_str().context("a detail")?;
            assert!(detail.contains(["Kafka: no", "RabbitMQ: no"][away]), "{detail}");
        }
        assert_eq!(both.counts(), [0, 0]);
        assert_eq!(both.relay.http.post("/procesar", sale("P-1")).await?.status, 202);
        assert!(both.relay.context.readiness.is_ready(), "it takes sales");
        assert_eq!(both.relay.context.readiness.missing(), ["weather"]);
        both.kafka.set_serving(SALES, false).await;
        eventually(LIMIT, async || !both.relay.context.readiness.is_ready()).await?;
        writer.set_serving(WEATHER, true).await;
        both.usable().await?;
        eventually(LIMIT, async || both.relay.context.readiness.is_ready()).await?;
        assert_eq!(both.report().await?.status, 202, "reports alone are work, too");
        assert_eq!(both.counts(), [1, 1]);
    }
    Ok(())
}

/// Nobody waits any more, but one log has it.
#[tokio::test]
async fn a_client_that_goes_leaves_no_half_published_report_behind() -> Result<()> {
    let both = Both::ready(&[]).await?;
    both.rabbitmq.seen.hold(true);
    both.rabbitmq.seen.end_next([Some(NOT_WRITTEN), Some(UNKNOWN)]);
    let mut client = TcpStream::connect(both.relay.address).await?;
    client.set_zero_linger()?;
    let head = format!(
        "POST /publicar HTTP/1.1\r\nhost: relay\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        REPORT.len()
    );
    client.write_all(format!("{head}{REPORT}").as_bytes()).await?;
    eventually(LIMIT, async || both.counts() == [1, 1]).await?;
    // With a reset, so that the relay learns of it.
    drop(client);
    // A stop waits for it, though no request is left.
    both.relay.context.shutdown.begin();
    eventually(LIMIT, async || TcpStream::connect(both.relay.address).await.is_err()).await?;
    both.rabbitmq.seen.hold(false);
    eventually(LIMIT, async || both.counts() == [1, 3]).await?;
    timeout(LIMIT, both.relay.running).await???;
    let [kafka, rabbitmq] = [&both.kafka, &both.rabbitmq].map(|writer| writer.seen.weather());
    assert!(rabbitmq.iter().all(|report| *report == kafka[0]));
    Ok(())
}

/// A writer that hangs leaves time for another one; and without another the answer is there at the deadline.
#[tokio::test]
async fn a_log_that_hangs_is_unknown_at_the_deadline_and_another_of_its_writers_is_tried_before() -> Result<()>
{
    let kafka = TestWriter::start()?;
    let writers = [TestWriter::start()?, TestWriter::start()?];
    let relay = before(&[kafka.address], &writers.each_ref().map(|writer| writer.address), SHORT)?;
    eventually(LIMIT, async || usable(&relay) == [Some(1.0), Some(2.0)]).await?;
    writers[0].seen.hold(true);
    for answer in try_join_all((0..6).map(|_| relay.http.post("/publicar", REPORT))).await? {
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    assert!(!writers[0].seen.weather().is_empty(), "it was asked");
    assert_eq!((kafka.seen.weather().len(), writers[1].seen.weather().len()), (6, 6));
    writers[1].seen.hold(true);
    let began = Instant::now();
    let answer = relay.http.post("/publicar", REPORT).await?;
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "the relay's deadline, not another: {:?}",
        began.elapsed()
    );
    assert_eq!((answer.status.as_u16(), states(&answer)), (504, (&json!("OK"), &json!("UNKNOWN"))));
    Ok(())
}

/// Under more load than one log takes, the other one does not get what waits there for its turn.
#[tokio::test]
async fn what_one_log_has_no_room_for_is_not_written_into_the_other() -> Result<()> {
    let both = Both::ready(&[]).await?;
    both.rabbitmq.seen.end(Some(FULL));
    let post = || both.relay.http.post("/publicar", REPORT);
    let first = async { anyhow::Ok(post().await?) };
    let others = async {
        eventually(LIMIT, async || both.rabbitmq.seen.weather().len() == 1).await?;
        let mut refused = 0;
        while both.rabbitmq.seen.weather().len() < 6 {
            // One that is taken in between waits, too.
            let Ok(answer) = timeout(Duration::from_millis(20), post()).await else { continue };
            let answer = answer?;
            ensure!(answer.is_closed() && answer.status == 429, "{answer:?}");
            ensure!(states(&answer) == (&json!("NOT_WRITTEN"), &json!("NOT_WRITTEN")), "{answer:?}");
            refused += 1;
        }
        both.rabbitmq.seen.end(None);
        anyhow::Ok(refused)
    };
    let (first, refused) = tokio::try_join!(first, others)?;
    assert_eq!(first.status, 202, "{first:?}");
    assert!(refused > 3 * both.kafka.seen.weather().len(), "{refused} and {:?}", both.counts());
    Ok(())
}

/// Too little time for both logs is no time for one; and a log that a client leaves little time is not closed for others.
#[tokio::test]
async fn a_client_in_a_hurry_harms_nobody() -> Result<()> {
    let both = Both::ready(&["--trust-hops"]).await?;
    let hurry =
        async |left| both.relay.http.send("/publicar", &[JSON, ("x-deadline-ms", left)], REPORT).await;
    for left in ["20", "60", "199"] {
        let late = hurry(left).await?;
        assert_eq!(
            (late.status.as_u16(), states(&late)),
            (503, (&json!("NOT_WRITTEN"), &json!("NOT_WRITTEN")))
        );
    }
    assert_eq!(both.counts(), [0, 0]);
    both.rabbitmq.seen.hold(true);
    let unknown = hurry("400").await?;
    assert_eq!(
        (unknown.status.as_u16(), states(&unknown)),
        (504, (&json!("OK"), &json!("UNKNOWN"))),
        "{unknown:?}"
    );
    both.rabbitmq.seen.hold(false);
    let answer = both.relay.http.post("/publicar", REPORT).await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    Ok(())
}

/// Both targets at the writers of one log, or the wrong way round: nothing is accepted that is not in both.
#[tokio::test]
async fn a_writer_of_another_log_is_named_and_never_believed() -> Result<()> {
    let both = Both::ready(SHORT).await?;
    both.kafka.seen.write_into("kafka");
    both.rabbitmq.seen.write_into("rabbitmq");
    assert_eq!(both.report().await?.status, 202);
    both.rabbitmq.seen.write_into("kafka");
    let answer = both.report().await?;
    assert_eq!((answer.status.as_u16(), states(&answer)), (504, (&json!("OK"), &json!("UNKNOWN"))));
    let detail = answer.json["detail"].as_str().context("a detail")?;
    assert!(detail.contains("RabbitMQ: its writers write into kafka"), "{detail}");
    Ok(())
}

#[tokio::test]
async fn reports_under_way_are_bounded() -> Result<()> {
    let both = Both::ready(&["--max-in-flight-reports", "3"]).await?;
    both.rabbitmq.seen.hold(true);
    let three = try_join_all((0..3).map(|_| both.report()));
    let fourth = async {
        eventually(LIMIT, async || both.counts() == [3, 3]).await?;
        let fourth = both.report().await?;
        both.rabbitmq.seen.hold(false);
        anyhow::Ok(fourth)
    };
    let (three, fourth) = tokio::try_join!(three, fourth)?;
    assert!(three.iter().all(|answer| answer.status == 202));
    assert_eq!((fourth.status.as_u16(), fourth.retry_after.as_deref()), (429, Some("1")));
    assert_eq!(both.counts(), [3, 3]);
    Ok(())
}

/// The writer of one log dies under load and comes back: whatever is accepted is in both logs, whatever is refused in none.
#[tokio::test]
async fn a_writer_that_dies_under_load_leaves_no_report_accepted_that_only_one_log_has() -> Result<()> {
    let mut both = Both::ready(&["--http-request-timeout-ms", "2000"]).await?;
    let (http, kafka) = (both.relay.http.clone(), Arc::clone(&both.kafka.seen));
    let (address, rabbitmq) = (both.rabbitmq.address, Arc::clone(&both.rabbitmq.seen));
    let clients = try_join_all((0..8).map(|client| {
        let http = http.clone();
        async move {
            let mut answers = Vec::new();
            for at in 0..150 {
                let key = format!("{client}-{at}");
                let headers = [JSON, ("idempotency-key", &*key)];
                answers.push((key.clone(), http.send("/publicar", &headers, REPORT).await?));
            }
            anyhow::Ok(answers)
        }
    }));
    let fault = async {
        eventually(LIMIT, async || rabbitmq.weather().len() > 200).await?;
        let dead = std::mem::replace(&mut both.rabbitmq, TestWriter::start()?);
        dead.kill();
        eventually(LIMIT, async || usable(&both.relay)[1] == Some(0.0)).await?;
        both.rabbitmq = TestWriter::start_at(address, Arc::clone(&rabbitmq))?;
        Ok(())
    };
    let (answers, ()) = tokio::try_join!(clients, fault)?;
    let has = |seen: &Seen, key: &str| seen.weather().iter().any(|report| report.clave_idempotencia == key);
    let mut accepted = 0;
    for (key, answer) in answers.into_iter().flatten() {
        let in_logs = (has(&kafka, &key), has(&rabbitmq, &key));
        match answer.status.as_u16() {
            202 => {
                accepted += 1;
                ensure!(in_logs == (true, true), "{key}: {in_logs:?} and {answer:?}");
            }
            429 | 503 => ensure!(in_logs == (false, false), "{key}: {in_logs:?} and {answer:?}"),
            status => ensure!(status == 504, "{key}: {in_logs:?} and {answer:?}"),
        }
    }
    ensure!(accepted > 200, "{accepted}");
    Ok(())
}
