//! Events under a key whose first try ended unknown: whatever the next tries meet, the answer says so. `202` and `504` are
//! true whatever became of the event; a refusal would be a promise that nothing was written.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use blackfriday_e2e::{Answer, Pipeline, Service, post_with};
use blackfriday_stack::{Kafka, Proxy, Valkey};
use serde_json::Value;
use tokio::task::JoinSet;

const SALE: &str = r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":1}"#;
const REPORT: &str = r#"{"description":"Nubes","country":"GT","weather":"Nublado"}"#;
const WRITERS: [Service; 2] = [Service::WriterA, Service::WriterB];
/// Requests of each kind.
const REQUESTS: usize = 10;

/// The pipeline with a proxy between its hops.
struct Wired {
    pipeline: Pipeline,
    to_relay: Proxy,
    to_writers: [Proxy; 2],
}

impl Wired {
    async fn start() -> Result<Self> {
        let (kafka, valkey) = tokio::try_join!(Kafka::start(), Valkey::start())?;
        let mut pipeline = Pipeline::prepare(kafka, valkey).await?;
        let to_relay = Proxy::to(pipeline.address(Service::Relay)).await?;
        let [a, b] = WRITERS.map(|writer| pipeline.address(writer));
        let to_writers = [Proxy::to(a).await?, Proxy::to(b).await?];
        let targets = to_writers.each_ref().map(|proxy| proxy.address().to_string()).join(",");
        pipeline.set(&[Service::Gateway], "BLACKFRIDAY_RELAY_URL", &format!("http://{}", to_relay.address()));
        pipeline.set(&[Service::Relay], "BLACKFRIDAY_WRITER_TARGET", &targets);
        pipeline.start_all().await?;
        Ok(Self { pipeline, to_relay, to_writers })
    }

    fn cut(&self, hop: Hop) {
        match hop {
            Hop::ToRelay => self.to_relay.cut(),
            Hop::ToWriters => self.to_writers.iter().for_each(Proxy::cut),
        }
    }
}

/// Which connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hop {
    ToRelay,
    ToWriters,
}

/// One request under a key of its own; its receipts.
async fn ask(gateway: SocketAddr, path: &'static str, body: String, number: usize) -> Result<String> {
    let key = format!("key-{}-{number}", &path[1..]);
    let answer = post_with(gateway, path, body, &[("idempotency-key", &key)]).await?;
    let mut receipts = String::new();
    note(&mut receipts, path, &answer)?;
    Ok(receipts)
}

/// A line for each event; an error if the answer is a refusal.
fn note(receipts: &mut String, path: &str, answer: &Answer) -> Result<()> {
    let mut line = |status: u64, json: &Value| -> Result<()> {
        let kind = match (status, path) {
            (202, "/input") => "w",
            (202, _) => "+",
            (504, _) => "?",
            _ => bail!("{path}: a try of it may have been written, and the answer is {answer:?}"),
        };
        let id = json["id"].as_str().with_context(|| format!("no identity in {answer:?}"))?;
        Ok(writeln!(receipts, "{kind} {id}")?)
    };
    let status = u64::from(answer.status.as_u16());
    match answer.json["resultados"].as_array() {
        Some(items) => items.iter().try_for_each(|item| line(item["status"].as_u64().unwrap_or(202), item)),
        // A batch that is answered as a whole gives its items no identity; only what it promises is looked at.
        None if path == "/ventas" => {
            ensure!(status == 504, "{path}: {answer:?}");
            receipts.push_str("? -\n? -\n");
            Ok(())
        }
        None => line(status, &answer.json),
    }
}

/// Kafka is paused, the event's first try waits for it, and the connection that carries the try is cut once.
async fn an_unknown_try_is_never_told_as_a_refusal(hop: Hop) -> Result<()> {
    let wired = Wired::start().await?;
    let (pipeline, gateway) = (&wired.pipeline, wired.pipeline.address(Service::Gateway));
    pipeline.kafka.pause()?;
    let mut asked = JoinSet::new();
    for number in 0..REQUESTS {
        let batch = format!("[{SALE},{SALE}]");
        for (path, body) in [("/venta", SALE), ("/input", REPORT), ("/ventas", &batch)] {
            asked.spawn(ask(gateway, path, body.to_owned(), number));
        }
    }
    // The next try meets writers that refuse at once.
    for writer in WRITERS {
        pipeline.wait_ready(writer, false).await?;
    }
    wired.cut(hop);
    let mut receipts = String::new();
    let mut wrong = None;
    while let Some(answered) = asked.join_next().await {
        match answered? {
            Ok(lines) => receipts.push_str(&lines),
            Err(error) => wrong = Some(error),
        }
    }
    pipeline.kafka.resume()?;
    if let Some(error) = wrong {
        return Err(error.context(format!("{hop:?}")));
    }
    for service in [Service::WriterA, Service::WriterB, Service::Consumer] {
        pipeline.wait_ready(service, true).await?;
    }
    let receipts = pipeline.write_receipts("clients", &receipts)?;
    let proof = pipeline.verify_receipts(&[&receipts], &[]).await?;
    ensure!(proof["holds"] == true, "{proof}");
    Ok(())
}

#[tokio::test]
async fn a_connection_to_the_relay_that_breaks_under_a_try_leaves_it_unknown() -> Result<()> {
    an_unknown_try_is_never_told_as_a_refusal(Hop::ToRelay).await
}

#[tokio::test]
async fn a_connection_to_the_writers_that_breaks_under_a_try_leaves_it_unknown() -> Result<()> {
    an_unknown_try_is_never_told_as_a_refusal(Hop::ToWriters).await
}
