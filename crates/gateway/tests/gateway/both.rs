//! A weather report to both logs, over the gateway.

use std::time::Duration;

use anyhow::Result;
use blackfriday_proto::ErrorCode;
use blackfriday_service::bind;
use blackfriday_stack::eventually;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::proxy::{Proxy, Step};
use crate::test_writer::{End, LIMIT, TestWriter};
use crate::{Gateway, Relay, loopback, usable_of};

const REPORT: &str = r#"{"description":"Llueve","country":"GT","weather":"Rainy"}"#;
const PROBLEM: &str = "application/problem+json";

/// Writers of both logs.
struct Writers {
    kafka: TestWriter,
    rabbitmq: TestWriter,
}

/// A gateway before them, over a relay and a proxy or without.
struct Hops {
    writers: Writers,
    proxy: Proxy,
    relayed: Gateway,
    direct: Gateway,
    _relay: Relay,
}

impl Writers {
    fn flags(&self) -> [String; 4] {
        let (kafka, rabbitmq) = (self.kafka.address.to_string(), self.rabbitmq.address.to_string());
        ["--weather-kafka-target".into(), kafka, "--weather-rabbitmq-target".into(), rabbitmq]
    }
}

impl Hops {
    async fn ready() -> Result<Self> {
        let writers = Writers { kafka: TestWriter::start()?, rabbitmq: TestWriter::start()? };
        let flags = writers.flags();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let short = ["--http-request-timeout-ms", "900"];
        let relay = [&["--trust-hops"][..], &flags].concat();
        let relay = Relay::start_with(bind(loopback())?, writers.kafka.address, &relay).await?;
        let proxy = Proxy::before(relay.address)?;
        let url = format!("http://{}", proxy.address);
        let relayed = Gateway::start(&[&["--relay-url", &url][..], &short].concat())?;
        let direct = Gateway::start(&[&["--upstream", "writer"][..], &flags, &short].concat())?;
        let hops = Self { writers, proxy, relayed, direct, _relay: relay };
        hops.usable().await?;
        Ok(hops)
    }

    /// Waits until every writer is used, by relay and gateway.
    async fn usable(&self) -> Result<()> {
        let all = || {
            let services = [("relay", &self._relay.context), ("gateway", &self.direct.context)];
            services.into_iter().all(|(service, context)| {
                ["weather-kafka", "weather-rabbitmq"]
                    .into_iter()
                    .all(|target| usable_of(context, service, target)[1] == 1)
            })
        };
        Ok(eventually(LIMIT, async || all()).await?)
    }

    /// Waits until neither log is closed to new reports.
    async fn open(&self) -> Result<()> {
        self.usable().await?;
        let is_open = async |gateway: &Gateway| {
            let wrong = gateway.http.post("/input", REPORT).await;
            wrong.is_ok_and(|answer| !answer.is_closed())
        };
        for gateway in [&self.relayed, &self.direct] {
            eventually(LIMIT, async || is_open(gateway).await).await?;
        }
        Ok(())
    }

    /// The answer over relay and proxy, whose next requests end so; and how often it was sent.
    async fn ask(&self, steps: &[Step]) -> Result<(Answer, usize)> {
        self.open().await?;
        self.proxy.next(steps.iter().cloned());
        let answer = self.relayed.http.post("/input", REPORT).await?;
        Ok((answer, self.proxy.taken()))
    }
}

fn states(answer: &Answer) -> [&Value; 2] {
    [&answer.json["kafka"], &answer.json["rabbitmq"]]
}

/// With a relay and without: what the logs do arrives at the client.
#[tokio::test]
async fn the_state_in_each_log_arrives_at_the_client() -> Result<()> {
    let hops = Hops::ready().await?;
    let unavailable = Some(End::Status(ErrorCode::Unavailable));
    let refused = Some(End::Status(ErrorCode::InvalidField));
    for (kafka, rabbitmq, status, expected) in [
        (None, None, 202, ["OK", "OK"]),
        (None, unavailable, 504, ["OK", "NOT_WRITTEN"]),
        (refused, None, 504, ["REFUSED", "OK"]),
        (refused, unavailable, 422, ["REFUSED", "NOT_WRITTEN"]),
        (unavailable, unavailable, 503, ["NOT_WRITTEN", "NOT_WRITTEN"]),
        (Some(End::Broken), None, 504, ["UNKNOWN", "OK"]),
    ] {
        for gateway in [&hops.relayed, &hops.direct] {
            hops.open().await?;
            hops.writers.kafka.seen.end(kafka);
            hops.writers.rabbitmq.seen.end(rabbitmq);
            let answer = gateway.http.post("/input", REPORT).await?;
            hops.writers.kafka.seen.end(None);
            hops.writers.rabbitmq.seen.end(None);
            let told = format!("{kafka:?} and {rabbitmq:?}: {answer:?}");
            assert_eq!(
                (answer.status.as_u16(), states(&answer)),
                (status, expected.map(|s| json!(s)).each_ref()),
                "{told}"
            );
            assert_eq!(answer.retry_after.is_some(), status == 503, "{told}");
            assert_eq!(answer.json["idempotency_key"].is_string(), status == 504, "{told}");
        }
    }
    Ok(())
}

/// The relay dies after it took the report: another try finds both logs, and the first one's words are not forgotten.
#[tokio::test]
async fn a_second_try_at_a_relay_never_makes_a_state_surer_than_it_is() -> Result<()> {
    let hops = Hops::ready().await?;
    let (answer, sent) = hops.ask(&[Step::Break, Step::Forward]).await?;
    assert_eq!((answer.status.as_u16(), sent, states(&answer)), (202, 2, [&json!("OK"); 2]), "{answer:?}");
    let after_both = Step::ForwardAnd(503, "text/plain", "upstream timed out");
    let (answer, sent) = hops.ask(&[after_both.clone(), Step::Forward]).await?;
    assert_eq!((answer.status.as_u16(), sent, states(&answer)), (202, 2, [&json!("OK"); 2]), "{answer:?}");
    let same = |writer: &TestWriter| writer.seen.weather().into_iter().rev().take(2).collect::<Vec<_>>();
    let [kafka, rabbitmq] = [&hops.writers.kafka, &hops.writers.rabbitmq].map(same);
    assert_eq!((&kafka[0], &kafka), (&kafka[1], &rabbitmq), "one key, one identity, twice in each");

    // Nothing written by the second try says nothing of the first.
    hops.writers.kafka.seen.end(Some(End::Status(ErrorCode::Overloaded)));
    hops.writers.rabbitmq.seen.end(Some(End::Status(ErrorCode::TooLarge)));
    let (answer, sent) = hops.ask(&[Step::Break, Step::Forward]).await?;
    assert_eq!(
        (answer.status.as_u16(), sent, states(&answer)),
        (504, 2, [&json!("UNKNOWN"); 2]),
        "{answer:?}"
    );
    hops.writers.kafka.seen.end(None);
    let (answer, _) = hops.ask(&[Step::Break, Step::Forward]).await?;
    assert_eq!(
        (answer.status.as_u16(), states(&answer)),
        (504, [&json!("OK"), &json!("UNKNOWN")]),
        "{answer:?}"
    );
    Ok(())
}

/// States are believed from a relay, about this report, and from nobody else.
#[tokio::test]
async fn only_a_relays_word_about_this_report_names_its_logs() -> Result<()> {
    let hops = Hops::ready().await?;
    let other = r#"{"type":"urn:blackfriday:problem:outcome-unknown","detail":"x","kafka":"OK","rabbitmq":"OK",
        "id":"019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11"}"#;
    let accepted =
        r#"{"estado":"OK","id":"019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11","kafka":"OK","rabbitmq":"OK"}"#;
    for step in [
        Step::Say(504, PROBLEM, other),
        Step::Say(504, "application/json", other),
        Step::Say(202, "application/json", accepted),
        Step::Say(200, "application/json", accepted),
    ] {
        let (answer, _) = hops.ask(&vec![step.clone(); 3]).await?;
        assert_eq!(
            (answer.status.as_u16(), states(&answer)),
            (504, [&Value::Null; 2]),
            "{step:?}: {answer:?}"
        );
    }
    Ok(())
}

/// Of two relays one dies with a report on its way.
#[tokio::test]
async fn a_relay_that_dies_is_replaced_by_another_under_the_same_key() -> Result<()> {
    let hops = Hops::ready().await?;
    hops.writers.rabbitmq.seen.hold(true);
    hops.proxy.next([Step::ForwardAndBreak]);
    let asked = hops.relayed.http.post("/input", REPORT);
    let go_on = async {
        eventually(LIMIT, async || hops.writers.rabbitmq.seen.weather().len() == 2).await?;
        hops.writers.rabbitmq.seen.hold(false);
        anyhow::Ok(())
    };
    let (answer, ()) =
        tokio::time::timeout(Duration::from_secs(5), async { tokio::try_join!(asked, go_on) }).await??;
    assert_eq!((answer.status.as_u16(), states(&answer)), (202, [&json!("OK"); 2]), "{answer:?}");
    let of_both = [&hops.writers.kafka, &hops.writers.rabbitmq].map(|writer| writer.seen.weather());
    assert!(of_both.iter().flatten().all(|report| *report == of_both[0][0]), "{of_both:?}");
    Ok(())
}
