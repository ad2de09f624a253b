//! Logs whose beginning is gone, Kafka's and RabbitMQ's: `verify` proves the rest, says that it is no more, and finds each lie that
//! the rest of the log tells.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use blackfriday_broker::{LogConfig, OutgoingRecord, Producer, ProducerConfig, WEATHER};
use blackfriday_e2e::{BothLogs, Pipeline, Processes, Service};
use blackfriday_event::{EventId, IdempotencyKey, Timestamp, WeatherDraft, WeatherReport};
use blackfriday_proto::encode_record;
use blackfriday_stack::{Valkey, eventually};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
/// Enough for RabbitMQ to let go of whole segments, under its limit of 1 MiB.
const REPORTS: usize = 3_000;
const AT_ONCE: usize = 250;
/// Kafka's `clima` has two partitions.
const KAFKA_PARTITIONS: usize = 2;

/// A store with the arguments that prove it against its log.
struct Counted<'a> {
    processes: &'a Processes,
    store: &'a Valkey,
    arguments: Vec<&'a str>,
    topic: &'a str,
}

/// A lie: commands that tell it, commands that take it back, and the key that `verify` has to name.
struct Lie {
    tell: Vec<Vec<String>>,
    take_back: Vec<Vec<String>>,
    named: String,
}

impl Counted<'_> {
    async fn verify(&self, more: &[&str]) -> Result<Value> {
        self.processes.verify_receipts(&[], &[&self.arguments, more].concat()).await
    }

    /// The rest holds, which is the whole proof to nobody who did not ask for less.
    async fn only_the_rest_is_proved(&self) -> Result<Value> {
        let strict = self.verify(&[]).await.err().context("a part of the log is gone")?.to_string();
        ensure!(
            strict.contains("exit status: 1") && strict.contains("\"verdict\":\"not proved\""),
            "{strict}"
        );
        let proof = self.verify(&["--allow-retention", self.topic]).await?;
        ensure!(proof["verdict"] == "retained only" && proof["holds"] == false, "{proof}");
        ensure!(proof["begins_at"]["count"].as_u64() > Some(0), "{proof}");
        Ok(proof)
    }

    async fn finds(&self, lie: Lie) -> Result<()> {
        self.run(&lie.tell).await?;
        let told = self.verify(&["--allow-retention", self.topic]).await.err();
        let told = told.with_context(|| format!("{:?} was not found", lie.tell))?.to_string();
        let named = format!("\"key\":\"{}\"", lie.named);
        ensure!(told.contains("exit status: 1") && told.contains(&named), "{:?}: {told}", lie.tell);
        self.run(&lie.take_back).await
    }

    async fn run(&self, commands: &[Vec<String>]) -> Result<()> {
        for command in commands {
            self.ask(command).await?;
        }
        Ok(())
    }

    async fn ask(&self, command: &[String]) -> Result<String> {
        let words: Vec<_> = command.iter().map(String::as_str).collect();
        Ok(self.store.command(&words).await?.trim().to_owned())
    }

    /// A field is another one, or gone.
    async fn field(&self, key: &str, field: &str, to: &str) -> Result<Lie> {
        let before = self.ask(&words(&["HGET", key, field])).await?;
        ensure!(!before.is_empty(), "{key} {field}");
        Ok(Lie {
            tell: vec![words(&["HSET", key, field, to])],
            take_back: vec![words(&["HSET", key, field, &before])],
            named: key.to_owned(),
        })
    }

    /// The field with the highest number is another one.
    async fn newest_field(&self, key: &str, to: &str) -> Result<Lie> {
        let fields = self.ask(&words(&["HKEYS", key])).await?;
        let newest = fields.lines().filter_map(|field| field.parse::<u64>().ok()).max();
        self.field(key, &newest.context("a field")?.to_string(), to).await
    }

    async fn text(&self, key: &str, to: &str) -> Result<Lie> {
        let before = self.ask(&words(&["GET", key])).await?;
        Ok(Lie {
            tell: vec![words(&["SET", key, to])],
            take_back: vec![words(&["SET", key, &before])],
            named: key.to_owned(),
        })
    }

    /// The newest member of a sorted set is gone.
    async fn newest_member(&self, key: &str) -> Result<Lie> {
        let newest = self.ask(&words(&["ZRANGE", key, "-1", "-1", "WITHSCORES"])).await?;
        let (member, score) = newest.split_once('\n').context("a member and its score")?;
        Ok(Lie {
            tell: vec![words(&["ZREM", key, member])],
            take_back: vec![words(&["ZADD", key, score, member])],
            named: key.to_owned(),
        })
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn weather_of_a_week_ago_is_gone_and_the_rest_is_proved_in_both_logs() -> Result<()> {
    let mut pipeline = BothLogs::start_with(&["--weather-partition-max-mib", "1"]).await?;
    let newest = publish(&pipeline).await?;
    for consumer in [Service::KafkaConsumer, Service::RabbitConsumer] {
        pipeline.terminate(consumer).await?;
    }
    for partition in 0..KAFKA_PARTITIONS {
        delete_before(pipeline.kafka.bootstrap(), WEATHER, partition, REPORTS / KAFKA_PARTITIONS / 2).await?;
    }
    for (log, store) in [("kafka", &pipeline.redis), ("rabbitmq", &pipeline.valkey)] {
        let arguments = vec!["--log", log, "--topics", "clima", "--valkey-url", store.url(), "--wait", "2s"];
        let counted = Counted { processes: &pipeline, store, arguments, topic: "clima" };
        let proof = counted.only_the_rest_is_proved().await.with_context(|| log.to_owned())?;
        ensure!(proof["counted"] == REPORTS && proof["in_broker"].as_u64() < Some(REPORTS as u64), "{proof}");
        for lie in lies_about_weather(&counted, newest).await? {
            counted.finds(lie).await.with_context(|| log.to_owned())?;
        }
        counted.only_the_rest_is_proved().await.context("every lie was taken back")?;
        acknowledgements_are_compared_where_they_can_be(&counted, newest).await?;
    }
    Ok(())
}

/// Publishes the same reports to both logs, and waits until both stores have counted them. The identity of the newest.
async fn publish(pipeline: &BothLogs) -> Result<EventId> {
    let mut newest = EventId::new_v7();
    let logs = [
        LogConfig::kafka_at(pipeline.kafka.bootstrap()),
        LogConfig::rabbitmq_at(pipeline.rabbitmq.address()),
    ];
    let [kafka, rabbitmq] = logs.map(|log| Producer::new(&log, &ProducerConfig::default(), WEATHER));
    let producers = [kafka?, rabbitmq?];
    for producer in &producers {
        producer.availability().watch().wait_for(|available| *available).await?;
    }
    for first in (0..REPORTS).step_by(AT_ONCE) {
        let payloads: Vec<_> = (0..AT_ONCE).map(|_| report()).collect::<Result<_>>()?;
        newest = payloads.last().context("some reports")?.0;
        for (producer, partitions) in producers.iter().zip([KAFKA_PARTITIONS, 1]) {
            let record = |(at, (_, payload)): (usize, &(EventId, Vec<u8>))| OutgoingRecord {
                topic: WEATHER.to_owned(),
                partition: i32::try_from((first + at) % partitions).ok(),
                payload: payload.clone(),
                ..OutgoingRecord::default()
            };
            let records = payloads.iter().enumerate().map(record).collect();
            for outcome in producer.publish_batch(records).outcomes().await {
                outcome?;
            }
        }
    }
    for store in [&pipeline.redis, &pipeline.valkey] {
        let all = REPORTS.to_string();
        let is_counted =
            async || store.command(&["GET", "total_messages"]).await.is_ok_and(|total| total.trim() == all);
        eventually(LIMIT, is_counted).await.context("every report is counted")?;
    }
    Ok(newest)
}

/// Under a key, its own identity, as the services give each report one.
fn report() -> Result<(EventId, Vec<u8>)> {
    let key = IdempotencyKey::unique();
    let id = EventId::of_key(&key);
    let report = WeatherReport {
        id,
        accepted_at: Timestamp::from(SystemTime::now()),
        draft: WeatherDraft::new(&"x".repeat(1_000), "GT", "Nublado")
            .map_err(|error| anyhow::anyhow!("{error:?}"))?,
        idempotency_key: Some(key),
    };
    Ok((id, encode_record(&report)))
}

async fn lies_about_weather(counted: &Counted<'_>, newest: EventId) -> Result<Vec<Lie>> {
    let report = counted.ask(&words(&["KEYS", &format!("clima:GT:*:{newest}")])).await?;
    ensure!(report.ends_with(&newest.to_string()), "the newest report is there: {report:?}");
    let keys = counted.ask(&words(&["KEYS", "idempotencia:clima:*:evento"])).await?;
    let events = keys.lines().next().context("keys are remembered")?.to_owned();
    let set = events.trim_end_matches(":evento").to_owned();
    let newest_key = counted.ask(&words(&["ZRANGE", &set, "-1", "-1"])).await?;
    let event = counted.ask(&words(&["HGET", &events, &newest_key])).await?;
    let (offset, _) = event.split_once(':').context("an offset and a digest")?;
    let gone = Lie {
        tell: vec![words(&["RENAME", &report, "aside"])],
        take_back: vec![words(&["RENAME", "aside", &report])],
        named: report.clone(),
    };
    let rounder = (REPORTS + 1).to_string();
    let mut both = counted.field("country_counts", "GT", &rounder).await?;
    both.tell.push(words(&["SET", "total_messages", &rounder]));
    both.take_back.push(words(&["SET", "total_messages", &REPORTS.to_string()]));
    both.named = "total_messages".to_owned();
    Ok(vec![
        gone,
        both,
        counted.field("country_counts", "GT", "7").await?,
        counted.text("total_messages", &rounder).await?,
        counted.field(&report, "description", "another").await?,
        counted.field(&events, &newest_key, &format!("{offset}:0000000000000000")).await?,
        counted.newest_member(&set).await?,
        counted.field("ultimo:clima", "0", "7:0000000000000000").await?,
    ])
}

/// One that is younger than all that is gone must be there; of a key's identity nobody knows how old it is.
async fn acknowledgements_are_compared_where_they_can_be(
    counted: &Counted<'_>,
    newest: EventId,
) -> Result<()> {
    let ahead_ms = (SystemTime::now() + Duration::from_secs(600)).duration_since(UNIX_EPOCH)?.as_millis();
    let younger = format!("{:08x}-{:04x}-7000-8000-000000000000", ahead_ms >> 16, ahead_ms & 0xffff);
    let of_key = EventId::of_key(&IdempotencyKey::unique());
    let prove = async |name: &str, lines: String| {
        let receipts = counted.processes.write_receipts(name, &lines)?;
        let more = ["--allow-retention", "clima"];
        counted.processes.verify_receipts(&[&receipts], &[&counted.arguments[..], &more].concat()).await
    };
    let proof = prove("right", format!("w {newest}\nw {of_key}\n")).await?;
    ensure!(proof["accepted"] == 2 && proof["not_compared"] == 1, "{proof}");
    let told = prove("lost", format!("w {younger}\n")).await.err().context("it is lost")?.to_string();
    ensure!(told.contains(&younger), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_of_which_the_first_are_gone_are_proved_as_far_as_they_are_left() -> Result<()> {
    let mut pipeline = Pipeline::start(&[]).await?;
    // Longer than the log's clock may have gone back where it was cut.
    let load = pipeline.load("sales", &["--sales", "500", "--rate", "50"])?;
    load.finish_undisturbed(LIMIT).await?;
    pipeline.verify(&[&load]).await?;
    pipeline.terminate(Service::Consumer).await?;
    for partition in 0..4 {
        delete_before(pipeline.kafka.bootstrap(), "ventas", partition, 5).await?;
    }
    let arguments = vec!["--topics", "ventas", "--wait", "2s"];
    let counted = Counted { processes: &pipeline, store: &pipeline.valkey, arguments, topic: "ventas" };
    let proof = counted.only_the_rest_is_proved().await?;
    ensure!(proof["counted"] == 500 && proof["in_broker"] == 480, "{proof}");
    for lie in lies_about_sales(&counted).await? {
        counted.finds(lie).await?;
    }
    counted.only_the_rest_is_proved().await.context("every lie was taken back")?;
    let more = ["--topics", "ventas", "--only-these", "--allow-retention", "ventas"];
    let proof = pipeline.verify_receipts(&[&load.receipts], &more).await?;
    ensure!(proof["accepted"] == 500 && proof["not_compared"] == 20, "{proof}");

    // With one partition gone as a whole there is still what the others tell.
    let end = counted.ask(&words(&["HGET", "posicion:ventas", "0"])).await?.parse()?;
    delete_before(pipeline.kafka.bootstrap(), "ventas", 0, end).await?;
    counted.only_the_rest_is_proved().await?;
    counted.finds(counted.field("stats:cantidad:suma", "Ropa", "7").await?).await
}

async fn lies_about_sales(counted: &Counted<'_>) -> Result<Vec<Lie>> {
    let mut lies = Vec::new();
    for (key, to) in [
        ("reportes:total", "7"),
        ("stats:precio:suma", "7.00"),
        ("stats:precio:promedio", "7.00"),
        ("stats:cantidad:suma", "7"),
        ("stats:cantidad:promedio", "7.00"),
        ("stats:ingresos:suma", "7.00"),
    ] {
        lies.push(counted.field(key, "Ropa", to).await?);
    }
    for (key, to) in [
        ("reportes:total:Ropa", "7"),
        ("ventas:global:precio_max", "7.00"),
        ("ventas:global:precio_min", "10000000.00"),
    ] {
        lies.push(counted.text(key, to).await?);
    }
    for key in ["ranking:Ropa", "ranking:global", "historial:precio:Ropa", "serie:ventas"] {
        lies.push(counted.newest_member(key).await?);
    }
    lies.push(counted.newest_field("serie:precio:Ropa", "1:7.00:7.00:7.00").await?);
    lies.push(counted.field("ultimo:ventas", "3", "7:0000000000000000").await?);
    Ok(lies)
}

/// Deletes what is before an offset, as retention does.
async fn delete_before(brokers: &str, topic: &str, partition: usize, offset: usize) -> Result<()> {
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, i32::try_from(partition)?, Offset::Offset(i64::try_from(offset)?))?;
    let options = AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT));
    let deleted = client.delete_records(&list, &options).await?;
    for element in deleted.elements() {
        element.error()?;
    }
    Ok(())
}
