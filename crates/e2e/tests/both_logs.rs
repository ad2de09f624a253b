//! Weather into Kafka and RabbitMQ at once, sales into RabbitMQ: what is accepted is in both logs and counted in both stores,
//! whatever happens to them; and where it is not, `verify` says so.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use blackfriday_broker::kafka::KafkaConfig;
use blackfriday_broker::{LogConfig, OutgoingRecord, Producer, ProducerConfig, WEATHER};
use blackfriday_e2e::{BothLogs, Load, Service, post};
use blackfriday_event::{EventId, IdempotencyKey, Timestamp, WeatherDraft, WeatherReport};
use blackfriday_proto::encode_record;
use blackfriday_stack::{Alarm, eventually};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const REPORT: &str = r#"{"description":"Nubes","country":"GT","weather":"Nublado"}"#;
const SALE: &str = r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":1}"#;

/// Reports counted so far in Redis and in Valkey.
async fn counted(pipeline: &BothLogs) -> [u64; 2] {
    let total = ["GET", "total_messages"];
    let [redis, valkey] = [pipeline.redis.command(&total).await, pipeline.valkey.command(&total).await];
    [redis, valkey].map(|answer| answer.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

/// Waits until both stores have counted more than they have now.
async fn counts_grow(pipeline: &BothLogs) -> Result<()> {
    let before = counted(pipeline).await;
    let grown = async || {
        let now = counted(pipeline).await;
        now[0] > before[0] && now[1] > before[1]
    };
    eventually(LIMIT, grown).await.with_context(|| format!("both stores count beyond {before:?}"))
}

/// A client that asks until it is answered as expected, and keeps what it was told.
struct Client<'a> {
    pipeline: &'a BothLogs,
    told: RefCell<String>,
}

impl Client<'_> {
    /// Waits until reports and sales are answered with this status.
    async fn is_answered(&self, status: u16) -> Result<()> {
        for (route, event) in [("/input", REPORT), ("/venta", SALE)] {
            let is_so = async || self.ask(route, event).await.is_some_and(|answered| answered == status);
            eventually(LIMIT, is_so).await.with_context(|| format!("{route} is answered with {status}"))?;
        }
        Ok(())
    }

    async fn ask(&self, route: &str, event: &str) -> Option<u16> {
        let answer = post(self.pipeline.address(Service::Gateway), route, event.to_owned()).await.ok()?;
        let status = answer.status.as_u16();
        let id = answer.json["id"].as_str().unwrap_or("-");
        let line = match (status, route) {
            (202, "/input") => format!("w {id}\n"),
            (202, _) => format!("+ {id}\n"),
            (504, _) => format!("? {id}\n"),
            _ => format!("- {id} {status}\n"),
        };
        self.told.borrow_mut().push_str(&line);
        Some(status)
    }

    /// RabbitMQ works again, and both stores count.
    async fn goes_on(&self) -> Result<()> {
        for service in [Service::RabbitWriter, Service::RabbitConsumer] {
            self.pipeline.wait_ready(service, true).await?;
        }
        self.is_answered(202).await?;
        counts_grow(self.pipeline).await
    }
}

fn number(of: &Value) -> u64 {
    of.as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_is_in_both_logs_and_counted_in_both_stores() -> Result<()> {
    let pipeline = BothLogs::start().await?;
    let weather = pipeline.load("clima", &["--route", "input", "--reports", "600", "--rate", "300"])?;
    let sales = pipeline.load("ventas", &["--sales", "900", "--rate", "450"])?;
    weather.finish_undisturbed(LIMIT).await?;
    sales.finish_undisturbed(LIMIT).await?;
    let [redis, valkey, logs] = pipeline.verify(&[&sales.receipts], &[&weather.receipts]).await?;
    for (proof, all) in [(&redis, 600), (&valkey, 1_500)] {
        for name in ["accepted", "in_broker", "counted"] {
            ensure!(proof[name] == all, "{name} is not {all}: {proof}");
        }
    }
    ensure!(logs["accepted"] == 600 && logs["in_both"] == 600, "{logs}");

    what_one_log_has_is_named(&pipeline, &weather).await?;
    a_stream_that_was_made_again_is_named(&pipeline, &sales).await
}

/// A report that a writer of one log got without the other.
async fn what_one_log_has_is_named(pipeline: &BothLogs, weather: &Load) -> Result<()> {
    let dead = pipeline.run("dead-letters", &["list", "--topic", "clima", "--log", "rabbitmq"]).await?;
    ensure!(dead.is_empty(), "{dead}");
    let tail = ["--topic", "clima", "--log", "rabbitmq", "--limit", "1"];
    let record: Value = serde_json::from_str(&pipeline.run("tail", &tail).await?)?;
    ensure!(record["topic"] == "clima" && record["weather"]["country"].is_string(), "{record}");

    let id = into_kafka_alone(pipeline).await?;
    let wrong = pipeline.verify_receipts(&[&weather.receipts], &["--both-logs"]).await;
    let told = wrong.err().context("Kafka has a report that RabbitMQ lacks")?.to_string();
    ensure!(told.contains("exit status: 1") && told.contains(&id), "{told}");
    // Its client was told that the outcome is unknown: then it is no surprise.
    let half = pipeline.write_receipts("half", &format!("? {id}\n"))?;
    let all: [&Path; 2] = [&weather.receipts, &half];
    let agreed = pipeline.verify_receipts(&all, &["--both-logs", "--only-these"]).await?;
    ensure!(agreed["logs"]["kafka"]["only_here_with_unknown_outcome"]["count"] == 1, "{agreed}");
    Ok(())
}

/// Through the writer of that log; the identity that it gave.
async fn into_kafka_alone(pipeline: &BothLogs) -> Result<String> {
    let config = KafkaConfig::new(pipeline.kafka.bootstrap());
    let producer = Producer::new(&LogConfig::from(config), &ProducerConfig::default(), WEATHER)?;
    producer.availability().watch().wait_for(|available| *available).await?;
    let id = EventId::new_v7();
    let key = IdempotencyKey::new(&id.to_string()).map_err(|error| anyhow::anyhow!("{error}"))?;
    let report = WeatherReport {
        id,
        accepted_at: Timestamp::from(SystemTime::now()),
        draft: WeatherDraft::new("Nubes", "GT", "Nublado").map_err(|error| anyhow::anyhow!("{error:?}"))?,
        idempotency_key: Some(key),
    };
    let (topic, payload) = (WEATHER.to_owned(), encode_record(&report));
    producer.publish(OutgoingRecord { topic, payload, ..OutgoingRecord::default() }).await?;
    Ok(id.to_string())
}

/// A stream is deleted, made again and filled: its store's totals may be equal, and mean nothing; and what RabbitMQ lost, Kafka
/// still has.
async fn a_stream_that_was_made_again_is_named(pipeline: &BothLogs, sales: &Load) -> Result<()> {
    pipeline.rabbitmq.delete_stream("clima-queue").await?;
    pipeline.run("topics", &["create", "--log", "rabbitmq"]).await?;
    Client { pipeline, told: RefCell::default() }.is_answered(202).await?;
    let store =
        ["--log", "rabbitmq", "--topics", "clima", "--wait", "2s", "--valkey-url", pipeline.valkey.url()];
    let wrong = pipeline.verify_receipts(&[], &store).await.err().context("it counted another stream")?;
    let told = wrong.to_string();
    ensure!(told.contains("\"counted\":null") || told.contains("\"stopped\":{\"count\":1"), "{told}");
    let logs = pipeline.verify_receipts(&[], &["--both-logs", "--wait", "2s"]).await;
    let told = logs.err().context("RabbitMQ lost 600 reports")?.to_string();
    ensure!(told.contains("exit status: 1"), "{told}");
    // Sales have streams of their own.
    let of_sales = ["--log", "rabbitmq", "--topics", "ventas", "--valkey-url", pipeline.valkey.url()];
    let proof = pipeline.verify_receipts(&[&sales.receipts], &of_sales).await?;
    ensure!(number(&proof["counted"]) >= 900, "{proof}");
    counting_goes_on_where_an_operator_says(pipeline).await
}

/// The partition stays stopped until then.
async fn counting_goes_on_where_an_operator_says(pipeline: &BothLogs) -> Result<()> {
    let is_stopped = async || {
        let why = pipeline.valkey.command(&["HGET", "detenido:clima", "0"]).await;
        why.is_ok_and(|why| !why.trim().is_empty())
    };
    eventually(LIMIT, is_stopped).await.context("RabbitMQ's partition of clima is stopped")?;
    let url = pipeline.valkey.url();
    let resume = [
        "--log",
        "rabbitmq",
        "--topic",
        "clima",
        "--partition",
        "0",
        "--at",
        "earliest",
        "--valkey-url",
        url,
    ];
    let said = pipeline.run("resume", &[&resume[..], &["--dry-run", "--json"]].concat()).await?;
    let planned: Value = serde_json::from_str(&said)?;
    ensure!(planned["stopped"].is_string() && planned["at"] == 0 && planned["moved"] == false, "{said}");
    let said = pipeline.run("resume", &resume).await?;
    ensure!(said.contains("counting goes on at 0"), "{said}");
    Client { pipeline, told: RefCell::default() }.is_answered(202).await?;
    counts_grow(pipeline).await
}

/// RabbitMQ is killed, paused and blocked; Redis goes back to an old append-only file.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_second_log_and_store_under_load_lose_nothing() -> Result<()> {
    let pipeline = BothLogs::start().await?;
    // Until all of it has happened, however long that takes.
    let each = ["--rate", "100", "--duration", "10m", "--idempotency", "--retries", "3"];
    let weather = pipeline.load("clima", &[&["--route", "input"], &each[..]].concat())?;
    let sales = pipeline.load("ventas", &each)?;
    counts_grow(&pipeline).await?;

    pipeline.redis.on_disk().await?;
    pipeline.redis.checkpoint()?;
    let client = Client { pipeline: &pipeline, told: RefCell::default() };
    rabbitmq_is_killed(&client).await?;
    rabbitmq_is_paused(&client).await?;
    rabbitmq_is_blocked(&client).await?;
    redis_goes_back(&pipeline).await?;

    let (weather, sales) = (weather.end(LIMIT).await?, sales.end(LIMIT).await?);
    let told = pipeline.write_receipts("told", &client.told.borrow())?;
    let [redis, valkey, logs] = pipeline.verify(&[&sales, &told], &[&weather, &told]).await?;
    for proof in [&redis, &valkey, &logs] {
        ensure!(number(&proof["accepted"]) > 500, "too few: {proof}");
    }
    Ok(())
}

async fn rabbitmq_is_killed(client: &Client<'_>) -> Result<()> {
    client.pipeline.rabbitmq.settle().await?;
    client.pipeline.rabbitmq.kill()?;
    client.pipeline.wait_ready(Service::RabbitWriter, false).await?;
    client.is_answered(503).await?;
    client.pipeline.rabbitmq.restart().await?;
    client.goes_on().await
}

async fn rabbitmq_is_paused(client: &Client<'_>) -> Result<()> {
    client.pipeline.rabbitmq.pause()?;
    client.pipeline.wait_ready(Service::RabbitWriter, false).await?;
    client.is_answered(503).await?;
    client.pipeline.rabbitmq.resume()?;
    client.goes_on().await
}

/// A disk that is nearly full: the server reads no more of what publishers send, and says nothing.
async fn rabbitmq_is_blocked(client: &Client<'_>) -> Result<()> {
    client.pipeline.rabbitmq.raise(Alarm::Disk).await?;
    client.is_answered(503).await?;
    client.pipeline.rabbitmq.clear(Alarm::Disk).await?;
    client.goes_on().await
}

/// An append-only file from before everything else that happened: what it lacks is counted again.
async fn redis_goes_back(pipeline: &BothLogs) -> Result<()> {
    pipeline.redis.roll_back()?;
    pipeline.wait_ready(Service::KafkaConsumer, false).await?;
    pipeline.redis.restart().await?;
    pipeline.wait_ready(Service::KafkaConsumer, true).await?;
    counts_grow(pipeline).await
}
