//! A weather report to both logs: what each of them does, and what is answered.

mod faults;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_event::{EventId, IdempotencyKey};
use blackfriday_proto::ErrorCode;
use blackfriday_stack::eventually;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::Code;

use crate::Relay;
use crate::client::{Answer, sale};
use crate::test_writer::{End, LIMIT, SALES, TestWriter, WEATHER};

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", "w-1");
const REPORT: &str = r#"{"description":"Llueve","country":"GT","weather":"Rainy"}"#;
/// Long enough for some rounds, and short enough for many tests.
const SHORT: &[&str] = &["--http-request-timeout-ms", "900"];

const NOT_WRITTEN: End = End::Status(ErrorCode::Unavailable);
const FULL: End = End::Status(ErrorCode::Overloaded);
const REFUSED: End = End::Status(ErrorCode::TooLarge);
const UNKNOWN: End = End::Bare(Code::Unavailable);

/// A relay before a writer of each log; that of Kafka takes the sales, too.
struct Both {
    kafka: TestWriter,
    rabbitmq: TestWriter,
    relay: Relay,
}

impl Both {
    async fn ready(settings: &[&str]) -> Result<Self> {
        let (kafka, rabbitmq) = (TestWriter::start()?, TestWriter::start()?);
        let relay = before(&[kafka.address], &[rabbitmq.address], settings)?;
        let both = Self { kafka, rabbitmq, relay };
        both.usable().await?;
        eventually(LIMIT, async || both.relay.usable_for(SALES) == Some(1.0)).await?;
        Ok(both)
    }

    /// Waits until both logs' writers are used.
    async fn usable(&self) -> Result<()> {
        Ok(eventually(LIMIT, async || usable(&self.relay) == [Some(1.0); 2]).await?)
    }

    /// Ends every report so from now on.
    fn end(&self, kafka: Option<End>, rabbitmq: Option<End>) {
        self.kafka.seen.end(kafka);
        self.rabbitmq.seen.end(rabbitmq);
    }

    /// Reports that came to each writer.
    fn counts(&self) -> [usize; 2] {
        [&self.kafka, &self.rabbitmq].map(|writer| writer.seen.weather().len())
    }

    /// The answer to a report, once neither log is closed to new ones.
    async fn report(&self) -> Result<Answer> {
        self.report_with(&[JSON], REPORT).await
    }

    async fn report_with(&self, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let mut answer = None;
        let is_open = async || {
            answer = self.relay.http.send("/publicar", headers, body.to_owned()).await.ok();
            answer.as_ref().is_some_and(|answer| !answer.is_closed())
        };
        eventually(LIMIT, is_open).await?;
        answer.context("an answer")
    }
}

/// A relay before these writers of each log.
fn before(kafka: &[SocketAddr], rabbitmq: &[SocketAddr], settings: &[&str]) -> Result<Relay> {
    let target =
        |writers: &[SocketAddr]| writers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let (kafka_target, rabbitmq_target) = (target(kafka), target(rabbitmq));
    let mut flags = Vec::new();
    for (flag, target) in
        [("--weather-kafka-target", &kafka_target), ("--weather-rabbitmq-target", &rabbitmq_target)]
    {
        if !target.is_empty() {
            flags.extend([flag, target]);
        }
    }
    flags.extend(settings);
    Relay::start(kafka, &flags)
}

/// Writers of each log that take reports.
fn usable(relay: &Relay) -> [Option<f64>; 2] {
    ["weather-kafka", "weather-rabbitmq"].map(|target| relay.usable_of(target, WEATHER))
}

fn states(answer: &Answer) -> (&Value, &Value) {
    (&answer.json["kafka"], &answer.json["rabbitmq"])
}

/// A state, as an end that stays leaves it.
fn state_of(end: Option<End>) -> &'static str {
    match end {
        None => "OK",
        Some(End::Status(ErrorCode::OutcomeUnknown) | End::Bare(_) | End::Broken | End::Short) => "UNKNOWN",
        Some(End::Status(code) | End::Refused(code)) if code.retry_is_safe() => "NOT_WRITTEN",
        Some(End::Status(_) | End::Refused(_)) => "REFUSED",
    }
}

#[tokio::test]
async fn both_logs_get_a_report_under_one_identity_and_one_key() -> Result<()> {
    let both = Both::ready(&[]).await?;
    let plain = both.report().await?;
    let id = plain.json["id"].as_str().context("an id")?;
    assert_eq!(plain.status, 202, "{plain:?}");
    assert_eq!(plain.json, json!({"estado": "OK", "id": id, "kafka": "OK", "rabbitmq": "OK"}));
    let keyed = both.report_with(&[JSON, KEY], REPORT).await?;
    let of_key = EventId::of_key(&IdempotencyKey::new("w-1").map_err(|error| anyhow::anyhow!("{error:?}"))?);
    assert_eq!(keyed.json["id"], of_key.to_string());
    let [kafka, rabbitmq] = [&both.kafka, &both.rabbitmq].map(|writer| writer.seen.weather());
    assert_eq!((kafka.len(), &kafka), (2, &rabbitmq));
    assert_eq!(kafka[0].id, id.parse::<EventId>().expect("a UUID").as_bytes());
    assert!(kafka[0].clave_idempotencia.len() == 36 && kafka[1].clave_idempotencia == "w-1");
    let another = both.report().await?;
    assert_ne!(another.json["id"], plain.json["id"], "without a key each one is another");
    assert_eq!(both.relay.http.post("/procesar", sale("P-1")).await?.status, 202);
    assert_eq!((both.kafka.seen.count(), both.rabbitmq.seen.count()), (1, 0), "sales have their own target");
    Ok(())
}

/// Every pair of ends, each of which stays as it is until the deadline.
#[tokio::test]
async fn what_each_log_does_decides_the_answer() -> Result<()> {
    let ends = [None, Some(NOT_WRITTEN), Some(FULL), Some(REFUSED), Some(UNKNOWN), Some(End::Broken)];
    let rows = ends.map(async |kafka| {
        let both = Both::ready(SHORT).await?;
        for rabbitmq in ends {
            check_pair(&both, kafka, rabbitmq).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(rows).await?;
    Ok(())
}

async fn check_pair(both: &Both, kafka: Option<End>, rabbitmq: Option<End>) -> Result<()> {
    // Neither is left out or closed to new reports.
    both.usable().await?;
    both.report().await?;
    both.end(kafka, rabbitmq);
    let (before, began) = (both.counts(), Instant::now());
    let answer = both.relay.http.post("/publicar", REPORT).await?;
    let took = began.elapsed();
    let calls = [0, 1].map(|at| both.counts()[at] - before[at]);
    both.end(None, None);

    let told = format!("{kafka:?} and {rabbitmq:?}, {calls:?} in {took:?}: {answer:?}");
    let names = [state_of(kafka), state_of(rabbitmq)];
    assert_eq!(states(&answer), (&json!(names[0]), &json!(names[1])), "{told}");
    let is = |state| names.contains(&state);
    let are_full =
        [kafka, rabbitmq].iter().all(|end| matches!(end, Some(End::Status(ErrorCode::Overloaded))));
    let expected = match names {
        ["OK", "OK"] => 202,
        _ if is("OK") || is("UNKNOWN") => 504,
        _ if is("REFUSED") => 413,
        _ if are_full => 429,
        _ => 503,
    };
    assert_eq!(answer.status.as_u16(), expected, "{told}");
    assert!(answer.json["id"].is_string(), "{told}");
    assert_eq!(answer.json["idempotency_key"].is_string(), expected == 504, "{told}");
    let is_final = expected != 504 || is("REFUSED");
    assert!(is_final || took >= Duration::from_millis(600), "tried until the deadline: {told}");
    assert!(took < LIMIT, "{told}");
    for at in [0, 1] {
        let again = !is_final && names[at] != "OK";
        assert!(if again { calls[at] >= 2 } else { calls[at] == 1 }, "{told}");
    }
    Ok(())
}

/// One log has it, or may have it: the other one is tried until it has it, too, and the first is not asked again if it has it.
#[tokio::test]
async fn what_one_log_lacks_it_gets_within_the_deadline() -> Result<()> {
    let both = Both::ready(&[]).await?;
    let late = [Some(NOT_WRITTEN), Some(FULL), Some(UNKNOWN), Some(NOT_WRITTEN)];
    for (kafka, rabbitmq, calls) in [
        (&[][..], &late[..], [1, 5]),
        (&late[..], &[], [5, 1]),
        (&[Some(UNKNOWN)], &[Some(UNKNOWN)], [2, 2]),
        (&[Some(UNKNOWN)], &[Some(NOT_WRITTEN)], [2, 2]),
        (&[Some(End::Broken)], &[Some(FULL), Some(FULL)], [2, 3]),
    ] {
        both.usable().await?;
        both.kafka.seen.end_next(kafka.iter().copied());
        both.rabbitmq.seen.end_next(rabbitmq.iter().copied());
        let before = both.counts();
        let answer = both.report().await?;
        let told = format!("{kafka:?} and {rabbitmq:?}: {answer:?}");
        assert_eq!(answer.status, 202, "{told}");
        assert_eq!(states(&answer), (&json!("OK"), &json!("OK")), "{told}");
        assert_eq!([0, 1].map(|at| both.counts()[at] - before[at]), calls, "{told}");
        for seen in [&both.kafka.seen, &both.rabbitmq.seen] {
            let reports = seen.weather();
            let last = reports.last().context("it has it")?;
            let same = reports.iter().filter(|report| report.id == last.id).count();
            assert!(same >= 1 && reports.iter().rev().take(same).all(|report| report == last), "{told}");
        }
    }
    Ok(())
}

/// A client that repeats an unknown report under the key that it was told repeats that report and no other.
#[tokio::test]
async fn a_report_can_be_repeated_under_the_key_that_the_answer_names() -> Result<()> {
    let both = Both::ready(SHORT).await?;
    both.rabbitmq.seen.end(Some(NOT_WRITTEN));
    let unknown = both.report().await?;
    assert_eq!((unknown.status.as_u16(), states(&unknown)), (504, (&json!("OK"), &json!("NOT_WRITTEN"))));
    both.rabbitmq.seen.end(None);
    both.usable().await?;
    let key = unknown.json["idempotency_key"].as_str().context("its key")?;
    let again = both.report_with(&[JSON, ("idempotency-key", key)], REPORT).await?;
    assert_eq!((again.status.as_u16(), &again.json["id"]), (202, &unknown.json["id"]));
    let mut reports = both.kafka.seen.weather();
    reports.extend(both.rabbitmq.seen.weather());
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:?}");
    Ok(())
}

/// Of a hop of an older version, which gives reports no key.
#[tokio::test]
async fn an_unkeyed_report_of_a_hop_is_not_sent_again_where_it_may_be() -> Result<()> {
    let both = Both::ready(&["--trust-hops"]).await?;
    let id = EventId::new_v7().to_string();
    let body = REPORT.replacen('{', &format!("{{\"id\":\"{id}\","), 1);
    let hop = [JSON, ("x-deadline-ms", "4000")];
    both.rabbitmq.seen.end_next([Some(UNKNOWN)]);
    let unknown = both.report_with(&hop, &body).await?;
    assert_eq!((unknown.status.as_u16(), states(&unknown)), (504, (&json!("OK"), &json!("UNKNOWN"))));
    assert_eq!((both.counts(), &unknown.json["id"]), ([1, 1], &json!(id)));
    both.usable().await?;
    both.rabbitmq.seen.end_next([Some(NOT_WRITTEN)]);
    let accepted = both.report_with(&hop, &body).await?;
    assert_eq!((accepted.status.as_u16(), both.counts()), (202, [2, 3]), "{accepted:?}");
    Ok(())
}

/// With one log, the answer has its name alone, and nothing is repeated beyond its writers.
#[tokio::test]
async fn one_log_alone_answers_for_itself() -> Result<()> {
    for at in 0..2 {
        let (sales, writer) = (TestWriter::start()?, TestWriter::start()?);
        let target = writer.address.to_string();
        let flag = ["--weather-kafka-target", "--weather-rabbitmq-target"][at];
        let relay = Relay::start(&[sales.address], &[flag, &target])?;
        eventually(LIMIT, async || usable(&relay)[at] == Some(1.0)).await?;
        let answer = relay.http.post("/publicar", REPORT).await?;
        let name = ["kafka", "rabbitmq"][at];
        let other = ["rabbitmq", "kafka"][at];
        assert_eq!(
            (answer.status.as_u16(), &answer.json[name], &answer.json[other]),
            (202, &json!("OK"), &Value::Null)
        );
        for (end, status, state) in
            [(NOT_WRITTEN, 503, "NOT_WRITTEN"), (REFUSED, 413, "REFUSED"), (UNKNOWN, 504, "UNKNOWN")]
        {
            writer.seen.end(Some(end));
            let answer = timeout(Duration::from_secs(2), relay.http.post("/publicar", REPORT)).await??;
            assert_eq!((answer.status.as_u16(), &answer.json[name]), (status, &json!(state)), "{answer:?}");
        }
        assert!(sales.seen.weather().is_empty() && writer.seen.weather().len() == 4);
    }
    Ok(())
}
