//! `topics`, `tail`, `dead-letters` and `verify` as a user runs them, against a real log, a Valkey and a consumer: the same
//! words for either log.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::dead_letter::{ORIGIN_OFFSET, ORIGIN_PARTITION, ORIGIN_TOPIC, REASON};
use blackfriday_broker::{
    Admin, Destination, EventLog, LogConfig, OutgoingRecord, Producer, ProducerConfig, TopicPartition,
};
use blackfriday_consumer::Config;
use blackfriday_event::{EventId, IdempotencyKey, Sale, Timestamp, WeatherReport};
use blackfriday_proto::encode_record;
use blackfriday_service::Context;
use blackfriday_stack::{Kafka, RabbitMq, Valkey, eventually, free_port};
use blackfriday_workload::{Traffic, Workload};
use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);
const SALES: u64 = 300;

/// A log, Valkey and a consumer.
struct Pipeline {
    log: LogConfig,
    /// What the commands need to find the log.
    environment: [(&'static str, String); 2],
    _server: Box<dyn std::any::Any>,
    valkey: Valkey,
    producer: Producer,
    consumer: Context,
    folder: TempDir,
}

impl Pipeline {
    async fn on_kafka() -> Result<Self> {
        let kafka = Kafka::start().await?;
        let log = LogConfig::kafka_at(kafka.bootstrap());
        let address = ("BLACKFRIDAY_KAFKA_BROKERS", kafka.bootstrap().to_owned());
        Self::start(log, address, Box::new(kafka)).await
    }

    async fn on_rabbitmq() -> Result<Self> {
        let rabbitmq = RabbitMq::start().await?;
        let log = LogConfig::rabbitmq_at(rabbitmq.address());
        let address = ("BLACKFRIDAY_RABBITMQ_SERVERS", rabbitmq.address());
        Self::start(log, address, Box::new(rabbitmq)).await
    }

    async fn start(
        log: LogConfig,
        address: (&'static str, String),
        server: Box<dyn std::any::Any>,
    ) -> Result<Self> {
        let valkey = Valkey::start().await?;
        let to = |topic: &str| Destination { topic: topic.to_owned(), min_partitions: 1 };
        let topics = vec![to("ventas"), to("ventas.dlq")];
        let producer = Producer::to(&log, &ProducerConfig::default(), topics)?;
        let consumer = Context::new("consumer");
        let environment = [("BLACKFRIDAY_EVENT_LOG", log.log.name().to_owned()), address];
        let (folder, _server) = (tempfile::tempdir()?, server);
        let pipeline = Self { log, environment, _server, valkey, producer, consumer, folder };
        let made = pipeline.run(&["topics", "create", "--partitions", "3"]).await?;
        ensure!(made.contains("ventas.dlq"), "{made}");
        let mut config = Config::try_parse_from(["consumer", "--valkey-url", pipeline.valkey.url()])?;
        config.log = pipeline.log.clone();
        tokio::spawn(blackfriday_consumer::run(config, pipeline.consumer.clone()));
        Ok(pipeline)
    }

    /// Publishes a record to a topic's partition; its offset.
    async fn publish(&self, topic: &str, partition: i32, payload: Vec<u8>) -> Result<i64> {
        self.publish_with(topic, partition, payload, Vec::new()).await
    }

    async fn publish_with(
        &self,
        topic: &str,
        partition: i32,
        payload: Vec<u8>,
        headers: Vec<(&'static str, Vec<u8>)>,
    ) -> Result<i64> {
        let topic = topic.to_owned();
        let record = OutgoingRecord {
            topic: topic.clone(),
            partition: Some(partition),
            payload,
            headers,
            ..OutgoingRecord::default()
        };
        let publish = async || self.producer.publish(record.clone()).await;
        let mut available = self.producer.availability().watch();
        available.wait_for(|available| *available).await?;
        match publish().await?.offset {
            Some(offset) => Ok(offset),
            // A log that confirms without an offset: nobody else writes to this partition.
            None => {
                let partition = TopicPartition::new(topic.as_str(), partition);
                Ok(Admin::new(&self.log)?.watermarks(&partition).await?.high - 1)
            }
        }
    }

    async fn output(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday"));
        command.args(arguments).kill_on_drop(true);
        command.envs(self.environment.clone());
        command.env("BLACKFRIDAY_VALKEY_URL", self.valkey.url());
        command.output().await.context("run blackfriday")
    }

    /// Standard output of a command that ends with this exit code.
    async fn run_to(&self, code: i32, arguments: &[&str]) -> Result<String> {
        let Output { status, stdout, stderr } = self.output(arguments).await?;
        let (out, err) = (String::from_utf8(stdout)?, String::from_utf8(stderr)?);
        ensure!(status.code() == Some(code), "{arguments:?} ended with {status}, not {code}:\n{out}\n{err}");
        Ok(out + &err)
    }

    async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_to(0, arguments).await
    }

    fn write(&self, name: &str, receipts: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, format!("# blackfriday receipts 1 {{}}\n{receipts}"))?;
        Ok(path.to_string_lossy().into_owned())
    }
}

fn sale(number: u64, key: Option<&str>) -> Result<Sale> {
    let key = key.map(IdempotencyKey::new).transpose().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(Sale {
        id: key.as_ref().map_or_else(EventId::new_v7, EventId::of_key),
        accepted_at: Timestamp::from(std::time::SystemTime::now()),
        idempotency_key: key,
        draft: Traffic::new(Workload::black_friday(), None).sale(number),
    })
}

fn lines(output: &str) -> Result<Vec<Value>> {
    output.lines().filter(|line| line.starts_with('{')).map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[tokio::test]
async fn the_commands_tell_the_truth_about_a_pipeline_on_kafka() -> Result<()> {
    they_tell_the_truth(Pipeline::on_kafka().await?).await
}

#[tokio::test]
async fn the_commands_tell_the_truth_about_a_pipeline_on_rabbitmq() -> Result<()> {
    they_tell_the_truth(Pipeline::on_rabbitmq().await?).await
}

async fn they_tell_the_truth(pipeline: Pipeline) -> Result<()> {
    let mut receipts = String::new();
    for number in 0..SALES {
        let sale = sale(number, None)?;
        pipeline.publish("ventas", i32::try_from(number % 3)?, encode_record(&sale)).await?;
        receipts.push_str(&format!("+ {}\n", sale.id));
    }
    let keyed = sale(SALES, Some("order-17"))?;
    for _ in 0..2 {
        pipeline.publish("ventas", 0, encode_record(&keyed)).await?;
    }
    receipts.push_str(&format!("+ {}\n", keyed.id));
    let receipts = pipeline.write("receipts", &receipts)?;

    topics_that_differ_are_named(&pipeline).await?;
    verify_holds(&pipeline, &receipts).await?;
    verify_names_what_is_wrong(&pipeline, &receipts).await?;
    tail_shows_records(&pipeline).await?;
    dead_letters_are_sent_again_once(&pipeline, &receipts).await?;
    what_belongs_elsewhere_or_fails_again_is_kept(&pipeline, &receipts).await?;
    what_conflicts_is_kept(&pipeline).await?;
    pipeline.consumer.shutdown.begin();
    Ok(())
}

/// They are left as they are, and a script can tell.
async fn topics_that_differ_are_named(pipeline: &Pipeline) -> Result<()> {
    let same = pipeline.run(&["topics", "create", "--partitions", "3"]).await?;
    ensure!(same.contains("ventas: exists, as asked for"), "{same}");
    let fewer = pipeline.run_to(1, &["topics", "create", "--partitions", "2"]).await?;
    ensure!(fewer.contains("ventas: has 3 partitions, not 2; unchanged"), "{fewer}");
    ensure!(fewer.contains("clima: exists, as asked for"), "{fewer}");
    let json = pipeline.run_to(1, &["topics", "create", "--partitions", "2", "--json"]).await?;
    let json: Value = serde_json::from_str(&json)?;
    let ventas = json!({"topic": "ventas", "made": false,
                        "differences": [{"what": "partitions", "found": "3", "asked": "2"}]});
    ensure!(json["topics"][0] == ventas, "{json}");
    // RabbitMQ does not tell what a stream keeps.
    if pipeline.log.log == EventLog::Kafka {
        let words = ["topics", "create", "--partitions", "3", "--weather-retention", "2days"];
        let kept = pipeline.run_to(1, &words).await?;
        ensure!(kept.contains("clima: has retention.ms=604800000, not 172800000; unchanged"), "{kept}");
    }
    Ok(())
}

async fn verify_holds(pipeline: &Pipeline, receipts: &str) -> Result<()> {
    let table = pipeline.run(&["verify", "--receipts", receipts, "--only-these"]).await?;
    ensure!(table.contains("accepted") && table.contains("holds: every accepted event"), "{table}");
    ensure!(table.contains("1 record repeats an event under an idempotency key"), "{table}");
    let json: Value =
        serde_json::from_str(&pipeline.run(&["verify", "--receipts", receipts, "--json"]).await?)?;
    for name in ["accepted", "in_broker", "counted"] {
        ensure!(json[name] == SALES + 1, "{name} in {json}");
    }
    let without = pipeline.run(&["verify"]).await?;
    ensure!(!without.contains("accepted"), "without receipts nothing is said about them: {without}");
    let without: Value = serde_json::from_str(&pipeline.run(&["verify", "--json"]).await?)?;
    ensure!(without["accepted"].is_null() && without["refused"].is_null(), "{without}");
    Ok(())
}

async fn verify_names_what_is_wrong(pipeline: &Pipeline, receipts: &str) -> Result<()> {
    pipeline.valkey.command(&["INCR", "reportes:total:Ropa"]).await?;
    let table = pipeline.run_to(1, &["verify", "--receipts", receipts]).await?;
    ensure!(
        table.contains("differs: reportes:total:Ropa holds") && table.contains("DOES NOT HOLD"),
        "{table}"
    );
    pipeline.valkey.command(&["DECR", "reportes:total:Ropa"]).await?;
    pipeline.valkey.command(&["ZINCRBY", "ranking:global", "1", "R-001"]).await?;
    let table = pipeline.run_to(1, &["verify"]).await?;
    ensure!(table.contains("differs: ranking:global R-001 holds"), "{table}");
    pipeline.valkey.command(&["ZINCRBY", "ranking:global", "-1", "R-001"]).await?;

    let nobody = uuid::Uuid::now_v7();
    let lost = pipeline.write("lost", &format!("+ {nobody}\n"))?;
    let table = pipeline.run_to(1, &["verify", "--receipts", receipts, "--receipts", &lost]).await?;
    ensure!(table.contains(&format!("lost: {nobody}")), "{table}");
    let table = pipeline.run_to(1, &["verify", "--receipts", &lost, "--only-these", "--show", "2"]).await?;
    ensure!(table.contains("without a receipt 301") && table.contains("ventas/0 offset 0"), "{table}");

    pipeline.run_to(64, &["verify", "--receipts", "/nonexistent"]).await?;
    pipeline.run_to(64, &["verify", "--no-such-flag"]).await?;
    let away = pipeline.run_to(69, &["verify", "--valkey-url", "redis://127.0.0.1:1"]).await?;
    ensure!(away.contains("Valkey is away"), "{away}");
    pipeline.run(&["verify", "--receipts", receipts]).await?;
    Ok(())
}

async fn tail_shows_records(pipeline: &Pipeline) -> Result<()> {
    let all = lines(&pipeline.run(&["tail", "--topic", "ventas"]).await?)?;
    ensure!(all.len() as u64 == SALES + 2, "{} records", all.len());
    let some = lines(&pipeline.run(&["tail", "--partition", "1", "--from", "98", "--limit", "5"]).await?)?;
    let places: Vec<_> = some.iter().map(|line| (&line["partition"], &line["offset"])).collect();
    ensure!(
        places == [(&Value::from(1), &Value::from(98)), (&Value::from(1), &Value::from(99))],
        "{places:?}"
    );
    ensure!(some[0]["sale"]["producto_id"].is_string() && some[0]["headers"]["content-type"].is_string());
    ensure!(lines(&pipeline.run(&["tail", "--from", "end"]).await?)?.is_empty());
    let text = pipeline.run(&["tail", "--format", "texto", "--partition", "1", "--limit", "1"]).await?;
    let sold = sale(1, None)?.draft;
    ensure!(text.trim_end() == format!("ventas/1 0: {sold}"), "{text}");
    pipeline.run_to(64, &["tail", "--partition", "7"]).await?;
    pipeline.run_to(69, &["tail", "--topic", "no-such-topic"]).await?;
    Ok(())
}

async fn dead_letters_are_sent_again_once(pipeline: &Pipeline, receipts: &str) -> Result<()> {
    ensure!(lines(&pipeline.run(&["dead-letters", "list"]).await?)?.is_empty());
    let spoiled = pipeline.publish("ventas", 2, b"\xff no event".to_vec()).await?;
    let buried = async || {
        let listed = pipeline.run(&["dead-letters", "list"]).await.unwrap_or_default();
        lines(&listed).is_ok_and(|letters| letters.len() == 1)
    };
    eventually(LIMIT, buried).await.context("the consumer buries what is no event")?;
    let letter = lines(&pipeline.run(&["dead-letters", "list"]).await?)?.remove(0);
    ensure!(letter["origin"]["partition"] == 2 && letter["origin"]["offset"] == spoiled, "{letter}");
    ensure!(letter["reason"].is_string() && letter["payload_base64"].is_string(), "{letter}");
    let kept = pipeline.run_to(1, &["dead-letters", "redrive"]).await?;
    ensure!(kept.contains("kept: it still cannot be decoded"), "{kept}");
    // With its dead letter, it is accounted for.
    let table = pipeline.run(&["verify", "--receipts", receipts, "--only-these"]).await?;
    ensure!(table.contains("1 record cannot be decoded"), "{table}");

    // One that can be decoded now, as after an upgrade, buried twice by a consumer that was killed in between.
    let late = encode_record(&sale(SALES + 1, None)?);
    for _ in 0..2 {
        let headers = vec![
            (ORIGIN_TOPIC, b"ventas".to_vec()),
            (ORIGIN_PARTITION, b"1".to_vec()),
            (ORIGIN_OFFSET, b"4711".to_vec()),
        ];
        pipeline.publish_with("ventas.dlq", 0, late.clone(), headers).await?;
    }
    let dry = pipeline.run(&["dead-letters", "redrive", "--from", "1", "--dry-run"]).await?;
    ensure!(dry.contains("would be sent"), "{dry}");
    let sent = pipeline.run(&["dead-letters", "redrive", "--from", "1"]).await?;
    ensure!(sent.contains("sent: partition") && sent.contains("was sent before"), "{sent}");
    let again = pipeline.run(&["dead-letters", "redrive", "--from", "1"]).await?;
    ensure!(again.matches("was sent before").count() == 2 && !again.contains("sent: partition"), "{again}");
    let json: Value = serde_json::from_str(&pipeline.run(&["verify", "--json"]).await?)?;
    ensure!(json["counted"] == SALES + 2 && json["holds"] == true, "{json}");

    // As it is, on request: it becomes a dead letter again, from its new place.
    pipeline.run(&["dead-letters", "redrive", "--all", "--to", "1"]).await?;
    let buried_again = async || {
        let listed = pipeline.run(&["dead-letters", "list", "--from", "3"]).await.unwrap_or_default();
        lines(&listed).is_ok_and(|letters| letters.len() == 1)
    };
    eventually(LIMIT, buried_again).await.context("the consumer buries it again")?;
    pipeline.run(&["verify"]).await?;
    Ok(())
}

/// Letters of the dead-letter topic, once there are so many.
async fn letters(pipeline: &Pipeline, count: usize) -> Result<Vec<Value>> {
    let listed = async || pipeline.run(&["dead-letters", "list"]).await.and_then(|listed| lines(&listed));
    let are_there = async || listed().await.is_ok_and(|letters| letters.len() >= count);
    eventually(LIMIT, are_there).await.with_context(|| format!("{count} dead letters"))?;
    listed().await
}

async fn what_belongs_elsewhere_or_fails_again_is_kept(pipeline: &Pipeline, receipts: &str) -> Result<()> {
    let before = letters(pipeline, 0).await?.len();
    // An event of the other kind is a dead letter, for the consumer and for verify.
    pipeline.publish("ventas", 1, encode_record(&report())).await?;
    letters(pipeline, before + 1).await?;
    let table = pipeline.run(&["verify", "--receipts", receipts]).await?;
    ensure!(table.contains("1 record holds an event of another topic"), "{table}");
    let from = before.to_string();
    for _ in 0..3 {
        let kept = pipeline.run_to(1, &["dead-letters", "redrive", "--from", &from]).await?;
        ensure!(kept.contains("kept: its event does not belong to the topic ventas"), "{kept}");
    }
    ensure!(letters(pipeline, 0).await?.len() == before + 1, "no redrive has made another dead letter");

    // On request it is sent, once; what comes back for the same reason is kept, however often one asks.
    pipeline.run(&["dead-letters", "redrive", "--all", "--from", &from]).await?;
    let again = letters(pipeline, before + 2).await?.pop().context("the new letter")?;
    ensure!(again["origin"]["partition"] == 1, "it went where it came from: {again}");
    for _ in 0..2 {
        let kept = pipeline.run_to(1, &["dead-letters", "redrive", "--from", &from]).await?;
        ensure!(kept.contains("was sent before") && kept.contains("kept: "), "{kept}");
    }

    let origin = |offset: &str| {
        vec![
            (ORIGIN_TOPIC, b"ventas".to_vec()),
            (ORIGIN_PARTITION, b"0".to_vec()),
            (ORIGIN_OFFSET, offset.as_bytes().to_vec()),
            (REASON, b"a rule that only the consumer knows".to_vec()),
        ]
    };
    // The beginning of a large record is no record, whatever it decodes to.
    let stub = letters(pipeline, 0).await?.len();
    let mut headers = origin("4710");
    headers.push(("blackfriday-origin-length", b"1000100".to_vec()));
    pipeline.publish_with("ventas.dlq", 0, encode_record(&sale(SALES + 6, None)?), headers).await?;
    let kept = pipeline.run_to(1, &["dead-letters", "redrive", "--all", "--from", &stub.to_string()]).await?;
    ensure!(kept.contains("kept: it is the beginning of a record of 1000100 bytes"), "{kept}");

    // A record that looks right from here, and that the consumer buried again for the same reason.
    let good = encode_record(&sale(SALES + 7, None)?);
    let first = letters(pipeline, 0).await?.len();
    pipeline.publish_with("ventas.dlq", 0, good.clone(), origin("4712")).await?;
    let sent = pipeline.run(&["dead-letters", "redrive", "--from", &first.to_string()]).await?;
    ensure!(sent.contains("sent: partition 0"), "{sent}");
    let high = Admin::new(&pipeline.log)?.watermarks(&TopicPartition::new("ventas", 0)).await?.high;
    let offset = (high - 1).to_string();
    pipeline.publish_with("ventas.dlq", 0, good, origin(&offset)).await?;
    let kept = pipeline.run_to(1, &["dead-letters", "redrive", "--from", &first.to_string()]).await?;
    ensure!(kept.contains("failed again for the same reason: a rule that only the consumer knows"), "{kept}");
    ensure!(!kept.contains("sent: partition"), "{kept}");
    Ok(())
}

/// Two sales under one key: only the operator can say whether the second one is to count.
async fn what_conflicts_is_kept(pipeline: &Pipeline) -> Result<()> {
    let before = letters(pipeline, 0).await?.len();
    let (first, mut second) = (sale(SALES + 8, Some("order-18"))?, sale(SALES + 9, Some("order-18"))?);
    second.draft.product_id = blackfriday_event::ProductId::new("ANOTHER").map_err(anyhow::Error::msg)?;
    for sale in [&first, &second] {
        pipeline.publish("ventas", 0, encode_record(sale)).await?;
    }
    letters(pipeline, before + 1).await?;
    let from = before.to_string();
    for arguments in [["--from", &from].as_slice(), &["--from", &from, "--dry-run"]] {
        let redrive = [&["dead-letters", "redrive"], arguments].concat();
        let kept = pipeline.run_to(1, &redrive).await?;
        ensure!(kept.contains("kept: its idempotency key was counted with another event"), "{kept}");
        ensure!(kept.contains("only --all sends it again") && kept.contains(", 1 kept"), "{kept}");
    }
    ensure!(letters(pipeline, 0).await?.len() == before + 1, "nothing was sent");
    let sent = pipeline.run(&["dead-letters", "redrive", "--from", &from, "--all"]).await?;
    ensure!(sent.contains("sent: partition 0"), "{sent}");
    letters(pipeline, before + 2).await?;
    Ok(())
}

fn report() -> WeatherReport {
    WeatherReport {
        id: EventId::new_v7(),
        accepted_at: Timestamp::from(std::time::SystemTime::now()),
        idempotency_key: None,
        draft: Traffic::new(Workload::black_friday(), None).weather(0),
    }
}

/// The most usual mistake is answered at once, with the address and the setting that says where it is.
#[tokio::test]
async fn a_log_or_a_store_that_is_away_is_named_with_its_setting() -> Result<()> {
    let away = format!("127.0.0.1:{}", free_port()?);
    let valkey = Valkey::start().await?;
    let store = format!("redis://{away}");
    let tail = ["tail", "--topic", "ventas", "--kafka-brokers", &away];
    let letters = ["dead-letters", "list", "--log", "rabbitmq", "--rabbitmq-servers", &away];
    let verify = ["verify", "--valkey-url", valkey.url(), "--kafka-brokers", &away];
    // Anything that takes connections: the store is asked next.
    let there = TcpListener::bind("127.0.0.1:0").await?;
    let there = there.local_addr()?.to_string();
    let no_store = ["verify", "--valkey-url", &store, "--kafka-brokers", &there];
    for (words, flag) in [
        (&tail[..], "--kafka-brokers"),
        (&letters[..], "--rabbitmq-servers"),
        (&verify[..], "--kafka-brokers"),
        (&no_store[..], "--valkey-url"),
    ] {
        let command = Command::new(env!("CARGO_BIN_EXE_blackfriday")).args(words).output();
        let ended = timeout(Duration::from_secs(8), command).await.context("at once")??;
        let said = String::from_utf8(ended.stderr)?;
        ensure!(ended.status.code() == Some(69), "{words:?}: {said}");
        ensure!(
            said.contains(flag) && said.contains(&away) && said.lines().count() == 1,
            "{words:?}: {said}"
        );
        ensure!(said.matches("refused").count() == 1, "the cause once: {said}");
    }
    Ok(())
}

/// Wherever it is written, and whatever it says.
#[tokio::test]
async fn the_filter_of_log_lines_works_before_and_after_the_verb() -> Result<()> {
    let away = format!("127.0.0.1:{}", free_port()?);
    for words in [["--log-filter", "off", "tail"], ["tail", "--log-filter", "info"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday"));
        command.args(words).args(["--topic", "ventas", "--kafka-brokers", &away]);
        let ended = command.output().await?;
        let said = String::from_utf8(ended.stderr)?;
        ensure!(ended.status.code() == Some(69) && said.contains("cannot be reached"), "{words:?}: {said}");
    }
    Ok(())
}
