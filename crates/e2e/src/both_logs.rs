//! Two logs with a store each. Weather goes to both logs under one identity, and each store counts one of them: Redis Kafka's
//! reports, Valkey RabbitMQ's. Sales go to RabbitMQ, and are counted in Valkey next to its reports.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use anyhow::{Context, Result};
use blackfriday_lab::{Processes, Service};
use blackfriday_stack::{Kafka, RabbitMq, Valkey, ValkeyOptions};
use serde_json::Value;

/// Partitions of `ventas`.
const PARTITIONS: &str = "2";
/// Of Kafka's `clima`.
const WEATHER_PARTITIONS: &str = "2";

/// What each service is given besides the servers' addresses.
const OF_SERVICES: [(Service, &str, &str); 8] = [
    (Service::KafkaWriter, "BLACKFRIDAY_EVENT_LOG", "kafka"),
    (Service::KafkaWriter, "BLACKFRIDAY_TOPIC_WEATHER_KEYED_PARTITIONS", WEATHER_PARTITIONS),
    (Service::RabbitWriter, "BLACKFRIDAY_EVENT_LOG", "rabbitmq"),
    (Service::KafkaConsumer, "BLACKFRIDAY_EVENT_LOG", "kafka"),
    (Service::KafkaConsumer, "BLACKFRIDAY_CONSUMER_TOPICS", "clima"),
    (Service::RabbitConsumer, "BLACKFRIDAY_EVENT_LOG", "rabbitmq"),
    (Service::RabbitConsumer, "BLACKFRIDAY_CONSUMER_TOPICS", "ventas,clima"),
    (Service::Relay, "BLACKFRIDAY_RELAY_TRUST_HOPS", "true"),
];

/// Kafka and RabbitMQ, Redis and Valkey, and all services between them, each a process.
#[derive(Debug)]
pub struct BothLogs {
    /// The first log.
    pub kafka: Kafka,
    /// The second.
    pub rabbitmq: RabbitMq,
    /// Counts what Kafka has.
    pub redis: Valkey,
    /// Counts what RabbitMQ has.
    pub valkey: Valkey,
    processes: Processes,
}

impl BothLogs {
    /// Starts everything and waits until all is ready.
    ///
    /// # Errors
    /// A server or a binary is missing or does not come up in time.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// As [`BothLogs::start`], with more arguments of `topics create`.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(topics: &[&str]) -> Result<Self> {
        let (kafka, rabbitmq, redis, valkey) = tokio::try_join!(
            Kafka::start(),
            RabbitMq::start(),
            Valkey::start_redis_with(ValkeyOptions::default()),
            Valkey::start()
        )?;
        let mut processes = Processes::new(&Service::BOTH)?;
        let servers = [
            ("BLACKFRIDAY_KAFKA_BROKERS", kafka.bootstrap().to_owned()),
            ("BLACKFRIDAY_RABBITMQ_SERVERS", rabbitmq.address()),
        ];
        for (name, value) in &servers {
            processes.set(&Service::BOTH, name, value);
            processes.set_of_commands(name, value);
        }
        for (service, name, value) in OF_SERVICES {
            processes.set(&[service], name, value);
        }
        processes.set(&[Service::KafkaConsumer], "BLACKFRIDAY_VALKEY_URL", redis.url());
        processes.set(&[Service::RabbitConsumer], "BLACKFRIDAY_VALKEY_URL", valkey.url());
        processes.set(&[Service::Dashboard], "BLACKFRIDAY_VALKEY_URL", valkey.url());
        processes.set(&[Service::Dashboard], "BLACKFRIDAY_WEATHER_REDIS_URL", redis.url());
        let [relay, into_kafka, into_rabbitmq] =
            [Service::Relay, Service::KafkaWriter, Service::RabbitWriter]
                .map(|service| processes.address(service).to_string());
        processes.set(&[Service::Gateway], "BLACKFRIDAY_RELAY_URL", &format!("http://{relay}"));
        processes.set(&[Service::Relay], "BLACKFRIDAY_WRITER_TARGET", &into_rabbitmq);
        processes.set(&[Service::Relay], "BLACKFRIDAY_WEATHER_KAFKA_TARGET", &into_kafka);
        processes.set(&[Service::Relay], "BLACKFRIDAY_WEATHER_RABBITMQ_TARGET", &into_rabbitmq);
        for log in ["kafka", "rabbitmq"] {
            let create = ["create", "--log", log, "--partitions", PARTITIONS];
            processes.run("topics", &[&create, topics].concat()).await?;
        }
        processes.start_all().await?;
        Ok(Self { kafka, rabbitmq, redis, valkey, processes })
    }

    /// Accepted, in both logs and counted in both stores are the same: each store against its log, and the logs against each
    /// other, by all receipts that there are. The three proofs as JSON: Redis with Kafka, Valkey with RabbitMQ, Kafka with
    /// RabbitMQ.
    ///
    /// # Errors
    /// Anything differs: the error is the command's whole output.
    pub async fn verify(&self, sales: &[&Path], weather: &[&Path]) -> Result<[Value; 3]> {
        let mut all = weather.to_vec();
        all.extend(sales.iter().filter(|path| !weather.contains(path)));
        let in_redis = self.verify_store("kafka", "clima", self.redis.url(), weather).await?;
        let in_valkey = self.verify_store("rabbitmq", "ventas,clima", self.valkey.url(), &all).await?;
        let logs = self.verify_receipts(weather, &["--both-logs", "--only-these"]).await?;
        Ok([in_redis, in_valkey, logs])
    }

    /// One store against its log.
    async fn verify_store(&self, log: &str, topics: &str, store: &str, receipts: &[&Path]) -> Result<Value> {
        let arguments = ["--log", log, "--topics", topics, "--valkey-url", store, "--only-these"];
        let proof = self.verify_receipts(receipts, &arguments).await;
        proof.with_context(|| format!("{topics} of {log} in {store}"))
    }
}

impl Deref for BothLogs {
    type Target = Processes;

    fn deref(&self) -> &Processes {
        &self.processes
    }
}

impl DerefMut for BothLogs {
    fn deref_mut(&mut self) -> &mut Processes {
        &mut self.processes
    }
}
