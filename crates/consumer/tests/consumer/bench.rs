//! Kafka, Valkey, what is published, and consumers of it in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use blackfriday_broker::{
    Admin, BatchLimits, LogConfig, OutgoingRecord, Producer, ProducerConfig, Record, Subscription,
    SubscriptionEvent, TopicPartition, TopicSpec, dead_letter,
};
use blackfriday_consumer::{Config, Error, run};
use blackfriday_event::{
    Category, Event, EventId, IdempotencyKey, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp,
};
use blackfriday_proto::{decode_record, encode_record};
use blackfriday_service::Context;
use blackfriday_stack::{Kafka, KafkaOptions, Valkey, eventually};
use blackfriday_store::model::State;
use blackfriday_store::{LastRecord, Store, StoreConfig, ValkeyConfig};
use clap::Parser;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const PARTITIONS: i32 = 3;
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

pub(crate) struct Bench {
    pub(crate) kafka: Kafka,
    pub(crate) valkey: Arc<Valkey>,
    pub(crate) admin: Admin,
    pub(crate) producer: Producer,
    pub(crate) store: Store,
}

pub(crate) struct Consumer {
    pub(crate) context: Context,
    pub(crate) running: JoinHandle<Result<(), Error>>,
}

impl Bench {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(KafkaOptions::default()).await
    }

    pub(crate) async fn start_with(options: KafkaOptions) -> Result<Self> {
        let (kafka, valkey) = tokio::try_join!(Kafka::start_with(options), Valkey::start())?;
        let client = LogConfig::kafka_at(kafka.bootstrap());
        let admin = Admin::new(&client)?;
        let mut topics = vec![topic("ventas", PARTITIONS), topic("clima", 1)];
        topics.extend(["ventas", "clima"].map(|name| topic(&dead_letter::topic_of(name), 1)));
        admin.create_topics(&topics).await?;
        let producer = producer(&kafka).await?;
        let store = Store::new(
            &ValkeyConfig::new(valkey.url()).map_err(anyhow::Error::msg)?,
            &StoreConfig::default(),
        )?;
        Ok(Self { kafka, valkey: Arc::new(valkey), admin, producer, store })
    }

    pub(crate) fn consumer(&self, arguments: &[&str]) -> Result<Consumer> {
        self.consumer_into(self.valkey.url(), arguments)
    }

    /// A consumer that counts into the store at `url`.
    pub(crate) fn consumer_into(&self, url: &str, arguments: &[&str]) -> Result<Consumer> {
        start(self.kafka.bootstrap(), url, arguments)
    }

    /// Publishes a record to a partition of `ventas`, and returns its offset.
    pub(crate) async fn publish(&self, partition: i32, payload: Vec<u8>) -> Result<i64> {
        let record = OutgoingRecord {
            topic: "ventas".into(),
            partition: Some(partition),
            payload,
            ..OutgoingRecord::default()
        };
        self.producer.publish(record).await?.offset.context("Kafka tells the offset")
    }

    /// Publishes sales to all partitions of `ventas` in turn.
    pub(crate) async fn publish_sales(&self, count: u64) -> Result<()> {
        for n in 0..count {
            self.publish(i32::try_from(n)? % PARTITIONS, encode_record(&sale(n, None))).await?;
        }
        Ok(())
    }

    /// Waits until the store is what the log of `ventas` adds up to, key by key.
    pub(crate) async fn counts_exactly(&self) -> Result<()> {
        self.counts_exactly_but(&[]).await
    }

    /// As [`Bench::counts_exactly`], of all partitions but these.
    pub(crate) async fn counts_exactly_but(&self, stopped: &[i32]) -> Result<()> {
        let model = self.model(stopped).await?;
        let now = Timestamp::from(SystemTime::now()).millis();
        let equal = async || self.store.dump().await.is_ok_and(|dump| model.compare(&dump, now).is_empty());
        if eventually(LIMIT, equal).await.is_err() {
            bail!("the store differs: {:?}", model.compare(&self.store.dump().await?, now));
        }
        Ok(())
    }

    /// What the log adds up to.
    pub(crate) async fn model(&self, without: &[i32]) -> Result<State> {
        let mut model = self.store.model();
        for (id, records) in read(&self.kafka, &self.admin, "ventas").await? {
            if without.contains(&id) {
                continue;
            }
            let mut last = None;
            for record in records {
                let accepted_at = Timestamp::from_millis(u64::try_from(record.timestamp_ms)?);
                let decoded = decode_record(&record.payload, accepted_at.context("a time")?);
                if let Ok(Event::Sale(sale)) = decoded {
                    model.record_sale("ventas", id, record.offset, &sale);
                }
                last = Some(LastRecord { offset: record.offset, digest: record.digest() });
            }
            let high = self.admin.watermarks(&TopicPartition::new("ventas", id)).await?.high;
            if let Some(last) = last {
                model.pass("ventas", id, last);
                model.advance("ventas", id, high);
            }
        }
        Ok(model)
    }

    /// Sales that are counted.
    pub(crate) async fn counted(&self) -> u64 {
        let snapshot = self.store.snapshot(1).await.ok();
        let categories = snapshot.into_iter().flat_map(|snapshot| snapshot.categories.into_values());
        categories.filter_map(|category| category.sales?.parse::<u64>().ok()).sum()
    }

    /// Publishes a record as a foreign client does, and returns its offset.
    pub(crate) async fn publish_raw(&self, partition: i32, payload: &[u8]) -> Result<i64> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.bootstrap()).set("message.max.bytes", "10000000");
        let producer: FutureProducer = config.create()?;
        let record = FutureRecord::<(), _>::to("ventas").partition(partition).payload(payload);
        let sent = producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
        Ok(sent.offset)
    }

    /// Changes a setting of `ventas`.
    pub(crate) async fn alter(&self, name: &str, value: &str) -> Result<()> {
        let change = AlterConfig::new(ResourceSpecifier::Topic("ventas")).set(name, value);
        for altered in self.raw()?.alter_configs(&[change], &AdminOptions::new()).await? {
            altered.map_err(|(topic, code)| anyhow::anyhow!("alter {topic:?}: {code}"))?;
        }
        Ok(())
    }

    pub(crate) async fn delete(&self, topic: &str) -> Result<()> {
        for deleted in self.raw()?.delete_topics(&[topic], &AdminOptions::new()).await? {
            deleted.map_err(|(topic, code)| anyhow::anyhow!("delete {topic}: {code}"))?;
        }
        Ok(())
    }

    fn raw(&self) -> Result<AdminClient<DefaultClientContext>> {
        let mut config = ClientConfig::new();
        Ok(config.set("bootstrap.servers", self.kafka.bootstrap()).create()?)
    }

    /// Deletes `ventas`, makes it again at once and fills it.
    pub(crate) async fn make_again(&self, partitions: i32, sales_each: u64) -> Result<()> {
        self.delete("ventas").await?;
        let made = async || {
            let made = self.admin.create_topics(&[topic("ventas", partitions)]).await.is_ok();
            made && self.admin.partitions("ventas").await.is_ok()
        };
        eventually(LIMIT, made).await.context("it is made again")?;
        let producer = producer(&self.kafka).await?;
        for partition in 0..partitions {
            let record = |n| OutgoingRecord {
                topic: "ventas".into(),
                partition: Some(partition),
                payload: encode_record(&sale(n, None)),
                ..OutgoingRecord::default()
            };
            for outcome in producer.publish_batch((0..sales_each).map(record).collect()).outcomes().await {
                outcome?;
            }
        }
        Ok(())
    }
}

impl Consumer {
    /// Partitions of `ventas` whose lag it tells.
    pub(crate) fn lagging(&self) -> BTreeSet<String> {
        let metrics = self.context.registry.encode();
        let lags = metrics.lines().filter(|line| line.starts_with("blackfriday_consumer_lag_records{"));
        let lags = lags.filter(|line| line.contains("\"ventas\""));
        lags.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    }

    /// The sum of a metric over all of its labels; nothing if it has none.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.context.registry.encode();
        let of = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
        };
        let values =
            metrics.lines().filter(of).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    pub(crate) fn lacks(&self, condition: &str) -> bool {
        self.context.readiness.missing().contains(&condition)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.context.shutdown.begin();
        Ok(timeout(LIMIT, self.running).await.context("the consumer ends")???)
    }
}

/// Starts a consumer of these brokers that counts into the store at `url`.
pub(crate) fn start(brokers: &str, url: &str, arguments: &[&str]) -> Result<Consumer> {
    let backends = ["test", "--kafka-brokers", brokers, "--valkey-url", url];
    let config = Config::try_parse_from(backends.iter().chain(arguments))?;
    let context = Context::new("consumer");
    Ok(Consumer { context: context.clone(), running: tokio::spawn(run(config, context)) })
}

pub(crate) async fn producer(kafka: &Kafka) -> Result<Producer> {
    let client = LogConfig::kafka_at(kafka.bootstrap());
    let producer = Producer::new(&client, &ProducerConfig::default(), "ventas")?;
    timeout(LIMIT, producer.availability().watch().wait_for(|available| *available)).await??;
    Ok(producer)
}

/// Everything that a topic holds, by partition.
pub(crate) async fn read(kafka: &Kafka, admin: &Admin, topic: &str) -> Result<BTreeMap<i32, Vec<Record>>> {
    let client = LogConfig::kafka_at(kafka.bootstrap());
    let mut subscription = Subscription::open_with_headers(&client, BatchLimits::default())?;
    let mut missing = BTreeMap::new();
    for partition in admin.partitions(topic).await? {
        let log = admin.watermarks(&partition).await?;
        if log.low < log.high {
            subscription.start(partition.clone(), log.low, 0);
            missing.insert(partition, log.high);
        }
    }
    let mut found = BTreeMap::<i32, Vec<Record>>::new();
    while !missing.is_empty() {
        let event = timeout(LIMIT, subscription.next()).await.context("the topic's records")?;
        let Some(SubscriptionEvent::Batch(batch)) = event else { bail!("{event:?} instead of records") };
        missing.retain(|partition, end| *partition != batch.partition || batch.to < *end);
        found.entry(batch.partition.partition).or_default().extend(batch.records);
    }
    Ok(found)
}

pub(crate) fn topic(name: &str, partitions: i32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, replication: 1, ..TopicSpec::default() }
}

pub(crate) fn sale(n: u64, key: Option<&str>) -> Sale {
    Sale {
        id: EventId::new_v7(),
        accepted_at: Timestamp::from(SystemTime::now()),
        idempotency_key: key.map(|key| IdempotencyKey::new(key).expect("visible ASCII")),
        draft: SaleDraft {
            category: Category::ALL[usize::try_from(n % 4).expect("small")],
            product_id: ProductId::new(&format!("P-{}", n % 7)).expect("visible"),
            price: Money::from_cents(100 + n).expect("in range"),
            quantity: Quantity::new(1 + i64::try_from(n % 5).expect("small")).expect("in range"),
        },
    }
}
