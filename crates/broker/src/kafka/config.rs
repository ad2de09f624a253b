use rdkafka::ClientConfig;

use super::security::KafkaSecurity;

/// Where Kafka is.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaConfig {
    /// Bootstrap servers, `host:port`, separated by commas.
    #[arg(
        id = "kafka_brokers",
        long = "kafka-brokers",
        value_name = "HOST:PORT,…",
        env = "BLACKFRIDAY_KAFKA_BROKERS",
        default_value = "127.0.0.1:9092"
    )]
    pub brokers: String,
    /// How we log in to Kafka.
    #[command(flatten)]
    pub security: KafkaSecurity,
}

/// How records are sent.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Kafka producer")]
#[group(id = "KafkaProducerConfig")]
pub struct ProducerConfig {
    /// Milliseconds after which a record without an acknowledgement is given up. Long, whatever a caller waits: librdkafka
    /// sends the others on their way again under a new identity then, and what was written unseen is written twice.
    #[arg(long = "kafka-message-timeout-ms", value_name = "MS",
          env = "BLACKFRIDAY_KAFKA_MESSAGE_TIMEOUT_MS", default_value_t = 300_000,
          value_parser = clap::value_parser!(u32).range(100..=300_000))]
    pub message_timeout_ms: u32,
    /// Milliseconds that a record waits for others to share its batch.
    #[arg(long = "kafka-linger-ms", value_name = "MS", env = "BLACKFRIDAY_KAFKA_LINGER_MS",
          default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub linger_ms: u32,
    /// Requests of records on the way to one broker; more wait, and are sent fuller. Idempotence allows 5.
    #[arg(id = "kafka_max_in_flight", long = "kafka-max-in-flight", value_name = "N",
          env = "BLACKFRIDAY_KAFKA_MAX_IN_FLIGHT", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=5))]
    pub max_in_flight: u32,
    /// Records in the producer's queue; one more is refused.
    #[arg(long = "kafka-queue-max-records", value_name = "N", env = "BLACKFRIDAY_KAFKA_QUEUE_MAX_RECORDS",
          default_value_t = 200_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub queue_max_records: u32,
    /// KiB in the producer's queue; more is refused.
    #[arg(long = "kafka-queue-max-kib", value_name = "KIB", env = "BLACKFRIDAY_KAFKA_QUEUE_MAX_KIB",
          default_value_t = 65_536,
          value_parser = clap::value_parser!(u32).range(1..=2_097_151))]
    pub queue_max_kib: u32,
    /// Bytes of a record before it is compressed; the client refuses a larger one. librdkafka's default.
    #[arg(skip = 1_000_000_u32)]
    pub record_max_bytes: u32,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            message_timeout_ms: 300_000,
            linger_ms: 0,
            max_in_flight: 5,
            queue_max_records: 200_000,
            queue_max_kib: 65_536,
            record_max_bytes: 1_000_000,
        }
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self::new("127.0.0.1:9092")
    }
}

impl KafkaConfig {
    /// For these bootstrap servers.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), security: KafkaSecurity::default() }
    }

    /// What every client has in common.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "blackfriday")
            // The defaults wait up to 10 s between attempts; a broker that is back should be used within half a second. The
            // client adds up to half of it by chance.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "300")
            // A small request need not wait for a full segment (the default leaves Nagle's algorithm on).
            .set("socket.nagle.disable", "true")
            // A broker that hangs is given up in 5 s instead of 60.
            .set("socket.timeout.ms", "5000")
            .set("socket.connection.setup.timeout.ms", "3000");
        self.security.apply(&mut config);
        config
    }
}
