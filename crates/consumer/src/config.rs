use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use blackfriday_broker::{BatchLimits, LogConfig, SALES, WEATHER};
use blackfriday_service::{ProcessConfig, ServiceConfig};
use blackfriday_store::{StoreConfig, ValkeyConfig};
use blackfriday_telemetry::sampled::EventLines;
use clap::Parser;

/// Counts the sales and weather reports of the event log into the store.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "blackfriday-consumer",
    version,
    after_help = "Example:\n  blackfriday-consumer --kafka-brokers kafka:9092 --valkey-url redis://valkey:6379"
)]
pub struct Config {
    /// Where /livez, /readyz and /metrics are served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_ADMIN_LISTEN",
        default_value = "127.0.0.1:9083"
    )]
    pub admin_listen: SocketAddr,
    /// The topics that are counted, separated by commas. A topic has one position in a store: what counts it from two logs
    /// into one store stops.
    #[arg(long, value_name = "TOPIC,…", env = "BLACKFRIDAY_CONSUMER_TOPICS", value_delimiter = ',',
          value_parser = [SALES, WEATHER],
          default_values = [SALES, WEATHER])]
    pub topics: Vec<String>,
    /// The consumer group, which shares the partitions among consumers.
    #[arg(long, value_name = "NAME", env = "BLACKFRIDAY_CONSUMER_GROUP", default_value = "blackfriday")]
    pub group: String,
    /// A name of this consumer in its group that stays the same over restarts: then it gets its partitions back at once.
    #[arg(long, value_name = "NAME", env = "BLACKFRIDAY_CONSUMER_GROUP_INSTANCE_ID")]
    pub group_instance_id: Option<String>,
    /// What to do when the log does not hold the stored position, or not the record that was counted before it.
    #[arg(long, value_name = "WHAT", env = "BLACKFRIDAY_CONSUMER_ON_GAP", value_enum,
          default_value_t = OnGap::Stop)]
    pub on_gap: OnGap,
    /// Records in one batch of a partition.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_CONSUMER_BATCH_RECORDS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch_records: u32,
    /// Milliseconds that a batch waits to be filled.
    #[arg(long, value_name = "MS", env = "BLACKFRIDAY_CONSUMER_BATCH_WAIT_MS", default_value_t = 50)]
    pub batch_wait_ms: u64,
    /// Milliseconds for the last apply at a stop.
    #[arg(long, value_name = "MS", env = "BLACKFRIDAY_DRAIN_TIMEOUT_MS", default_value_t = 10_000)]
    pub drain_timeout_ms: u64,
    /// Which sales have a line of the log.
    #[command(flatten)]
    pub lines: EventLines,
    /// The event log.
    #[command(flatten)]
    pub log: LogConfig,
    /// Valkey.
    #[command(flatten)]
    pub valkey: ValkeyConfig,
    /// What is kept.
    #[command(flatten)]
    pub store: StoreConfig,
    /// The process.
    #[command(flatten)]
    pub process: ProcessConfig,
}

/// What to do when the log does not hold the stored position.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGap {
    /// Stop the partition, and say which range; it stays stopped until `blackfriday resume` moves it.
    Stop,
    /// Records are gone by retention: go on at the first that is left. They are never counted.
    Skip,
    /// As `skip`; and where the topic was made again, count it from its beginning on top of what is counted.
    StartOver,
}

impl Config {
    pub(crate) fn batch_limits(&self) -> BatchLimits {
        BatchLimits {
            max_records: usize::try_from(self.batch_records).unwrap_or(usize::MAX),
            max_wait: Duration::from_millis(self.batch_wait_ms),
            ..BatchLimits::default()
        }
    }

    /// Each topic once.
    pub(crate) fn topics(&self) -> BTreeSet<&str> {
        self.topics.iter().map(String::as_str).collect()
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

impl ServiceConfig for Config {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }
}
