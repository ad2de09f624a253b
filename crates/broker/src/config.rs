use crate::{kafka, rabbitmq};

/// Which event log is used, and where it is.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Event log")]
pub struct LogConfig {
    /// The event log.
    #[arg(long = "log", value_name = "LOG", env = "BLACKFRIDAY_EVENT_LOG", value_enum,
          default_value_t = EventLog::Kafka)]
    pub log: EventLog,
    /// Kafka.
    #[command(flatten)]
    pub kafka: kafka::KafkaConfig,
    /// RabbitMQ.
    #[command(flatten)]
    pub rabbitmq: rabbitmq::RabbitMqConfig,
}

/// An event log.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventLog {
    /// Kafka: a topic's partitions.
    Kafka,
    /// RabbitMQ: a topic's partitions are streams.
    #[value(name = "rabbitmq")]
    RabbitMq,
}

/// How records are sent.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct ProducerConfig {
    /// To Kafka.
    #[command(flatten)]
    pub kafka: kafka::ProducerConfig,
    /// To RabbitMQ.
    #[command(flatten)]
    pub rabbitmq: rabbitmq::ProducerConfig,
}

impl ProducerConfig {
    /// For a producer of single records that gives one up after so many milliseconds. [`ProducerConfig::default`] is for
    /// those that have many on their way.
    pub fn giving_up_after(message_timeout_ms: u32) -> Self {
        let kafka = kafka::ProducerConfig { message_timeout_ms, ..kafka::ProducerConfig::default() };
        Self { kafka, ..Self::default() }
    }

    /// Bytes of a record before it is compressed; the client refuses a larger one.
    #[must_use]
    pub fn with_record_max_bytes(mut self, bytes: u32) -> Self {
        self.kafka.record_max_bytes = bytes;
        self.rabbitmq.record_max_bytes = bytes;
        self
    }
}

impl EventLog {
    /// Its name, as `messaging.system` has it in OpenTelemetry's conventions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::RabbitMq => "rabbitmq",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Kafka => "Kafka",
            Self::RabbitMq => "RabbitMQ",
        }
    }
}

impl LogConfig {
    /// Kafka at these bootstrap servers.
    pub fn kafka_at(brokers: impl Into<String>) -> Self {
        kafka::KafkaConfig::new(brokers).into()
    }

    /// RabbitMQ at these servers, as the user that a new one has.
    pub fn rabbitmq_at(servers: impl Into<String>) -> Self {
        rabbitmq::RabbitMqConfig::new(servers).into()
    }
}

impl From<kafka::KafkaConfig> for LogConfig {
    fn from(kafka: kafka::KafkaConfig) -> Self {
        Self { log: EventLog::Kafka, kafka, rabbitmq: rabbitmq::RabbitMqConfig::default() }
    }
}

impl From<rabbitmq::RabbitMqConfig> for LogConfig {
    fn from(rabbitmq: rabbitmq::RabbitMqConfig) -> Self {
        Self { log: EventLog::RabbitMq, kafka: kafka::KafkaConfig::default(), rabbitmq }
    }
}
