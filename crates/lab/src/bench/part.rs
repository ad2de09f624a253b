//! The bare parts that the services are held against. Each is a process of its own, so that its CPU time can be told, and says
//! on standard output what it did, as JSON.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};
use axum::extract::Json;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Router, serve};
use blackfriday_broker::kafka;
use blackfriday_event::{Category, Money, ProductId, Quantity, SaleDraft, Timestamp};
use blackfriday_proto::{CONTENT_TYPE, Command, encode_record};
use blackfriday_terminal::output;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, ClientContext};
use serde::Deserialize;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::publisher::{Queue, publish};
use super::usage::Watched;

/// Where the producer's records go.
pub(super) const TOPIC: &str = "bench";
/// Payloads that differ, so that they compress as real ones do.
pub(super) const PAYLOADS: u64 = 1_000;
pub(super) const ASK_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// A bare part.
#[derive(clap::Subcommand, Debug)]
pub enum Part {
    /// Parses a sale and answers 202.
    Handler {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// Sends records with the writer's settings, as many as Kafka takes.
    Producer {
        /// Kafka.
        brokers: String,
        /// For so long.
        seconds: u64,
        /// Of so many products.
        products: u64,
        /// Who must have a record before it is acknowledged: `all` replicas in sync, as in the writer, or the leader, `1`.
        #[arg(value_name = "ACKS", value_parser = ["all", "1"])]
        acks: String,
    },
    /// Publishes messages to a queue of RabbitMQ that is made for it, as many as are confirmed.
    Publisher {
        /// AMQP 0.9.1.
        broker: SocketAddr,
        /// Which kind.
        #[arg(value_enum)]
        queue: Queue,
        /// For so long.
        seconds: u64,
        /// Of so many products.
        products: u64,
    },
    /// Reads a topic to its end, and counts its bytes.
    Consumer {
        /// Kafka.
        brokers: String,
        /// Which topic.
        topic: String,
    },
}

/// Carries a part out; true as soon as it is done.
///
/// # Errors
/// The log cannot be reached, or nobody may listen there.
pub async fn run(part: Part) -> Result<bool> {
    match part {
        Part::Handler { listen } => handle(listen).await?,
        Part::Producer { brokers, seconds, products, acks } => {
            tokio::task::spawn_blocking(move || produce(&brokers, seconds, products, &acks)).await??;
        }
        Part::Publisher { broker, queue, seconds, products } => {
            publish(broker, queue, Duration::from_secs(seconds), products).await?;
        }
        Part::Consumer { brokers, topic } => {
            tokio::task::spawn_blocking(move || consume(&brokers, &topic)).await??;
        }
    }
    Ok(true)
}

/// What any handler of a sale must read.
#[derive(Deserialize)]
struct Body {
    categoria: String,
    producto_id: String,
    precio: f64,
    cantidad_vendida: i64,
}

/// On one thread, as each service has on two cores.
async fn handle(listen: SocketAddr) -> Result<()> {
    let router = Router::new().route("/venta", post(accept));
    let serving = move || -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind(listen).await.context("listen")?;
            tokio::spawn(async move { serve(NoDelay(listener), router).await }).await??;
            Ok(())
        })
    };
    let (tell, told) = oneshot::channel();
    thread::Builder::new().spawn(move || tell.send(serving()))?;
    told.await.map_err(|_| anyhow!("the handler died"))?
}

/// As every server of ours sets it.
struct NoDelay(TcpListener);

impl serve::Listener for NoDelay {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.0.accept().await {
                stream.set_nodelay(true).ok();
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

async fn accept(Json(body): Json<Body>) -> (StatusCode, &'static str) {
    let is_one = !body.categoria.is_empty()
        && !body.producto_id.is_empty()
        && body.precio.is_finite()
        && body.cantidad_vendida > 0;
    if is_one { (StatusCode::ACCEPTED, r#"{"estado":"OK"}"#) } else { (StatusCode::UNPROCESSABLE_ENTITY, "") }
}

/// Counts what is acknowledged.
#[derive(Default)]
struct Acknowledged(AtomicU64);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn produce(brokers: &str, seconds: u64, products: u64, acks: &str) -> Result<()> {
    let mut settings =
        kafka::producer_settings(&kafka::KafkaConfig::new(brokers), &kafka::ProducerConfig::default());
    if acks == "1" {
        // Idempotence wants all of them.
        settings.set("enable.idempotence", "false").set("acks", acks);
    }
    let producer: ThreadedProducer<Acknowledged> =
        settings.create_with_context(Acknowledged::default()).context("a producer")?;
    let payloads: Vec<_> = (0..PAYLOADS).map(|at| payload(at, products)).collect::<Result<_>>()?;
    let headers =
        OwnedHeaders::new_with_capacity(1).insert(Header { key: "content-type", value: Some(CONTENT_TYPE) });
    let began = Instant::now();
    let lasts = Duration::from_secs(seconds);
    let mut sent = 0_usize;
    while began.elapsed() < lasts {
        let payload = &payloads[sent % payloads.len()];
        let record = BaseRecord::<(), [u8]>::to(TOPIC).payload(payload).headers(headers.clone());
        match producer.send(record) {
            Ok(()) => sent += 1,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error).context("send"),
        }
    }
    producer.flush(ASK_LIMIT).context("flush")?;
    let records = producer.context().0.load(Ordering::Relaxed);
    ensure!(records == sent as u64, "{records} of {sent} records were acknowledged");
    tell(records, 0, began.elapsed())
}

pub(super) fn payload(at: u64, products: u64) -> Result<Vec<u8>> {
    let wrong = |error| anyhow!("{error:?}");
    let category = Category::from_number(i64::try_from(at % 4)? + 1).map_err(wrong)?;
    let draft = SaleDraft {
        category,
        product_id: ProductId::new(&format!("P-{}", at % products)).map_err(wrong)?,
        price: Money::from_cents(100 + at * 97).map_err(wrong)?,
        quantity: Quantity::new(1 + i64::try_from(at % 5)?).map_err(wrong)?,
    };
    Ok(encode_record(&Command::new(draft, None).accepted(Timestamp::from(SystemTime::now()))))
}

fn consume(brokers: &str, topic: &str) -> Result<()> {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench-bare")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = settings.create().context("a consumer")?;
    let metadata = consumer.fetch_metadata(Some(topic), ASK_LIMIT)?;
    let found = metadata.topics().first().context("the topic")?;
    let (mut assigned, mut missing) = (TopicPartitionList::new(), BTreeMap::new());
    for partition in found.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), ASK_LIMIT)?;
        if low < high {
            assigned.add_partition_offset(topic, partition.id(), Offset::Offset(low))?;
            missing.insert(partition.id(), high);
        }
    }
    let began = Instant::now();
    consumer.assign(&assigned)?;
    let (mut records, mut bytes) = (0, 0);
    while !missing.is_empty() {
        let Some(message) = consumer.poll(Timeout::After(POLL)) else { continue };
        let message = message.context("read")?;
        records += 1;
        bytes += message.payload().map_or(0, <[u8]>::len);
        if missing.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
            missing.remove(&message.partition());
        }
    }
    tell(records, bytes as u64, began.elapsed())
}

pub(super) fn tell(records: u64, bytes: u64, took: Duration) -> Result<()> {
    let mut watched = Watched::default();
    watched.add_self("part");
    let cpu_us = watched.used()?["part"].as_micros();
    let resident_mib = watched.resident_mib()["part"];
    let told = json!({"records": records, "bytes": bytes, "seconds": took.as_secs_f64(),
                      "cpu_us": u64::try_from(cpu_us)?, "resident_mib": resident_mib});
    output::line(told);
    Ok(())
}
