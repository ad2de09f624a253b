//! Makes the topics of a log: in Kafka with their partitions and retention, in RabbitMQ a stream for each partition.

use std::time::Duration;

use blackfriday_broker::{Admin, EventLog, LogConfig, SALES, TopicSpec, WEATHER, dead_letter};
use blackfriday_terminal::output;

/// Of `clima` in Kafka, and so the number over which its writers spread reports.
pub const WEATHER_PARTITIONS: u16 = 2;

/// Kafka keeps records for a week where it is not told otherwise; RabbitMQ keeps them for ever.
const FOR_EVER: Duration = Duration::from_millis(i64::MAX.unsigned_abs());

/// Makes the topics.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Make `ventas`, `clima` and their dead-letter topics, where they do not exist yet: topics in Kafka, in RabbitMQ a stream
    /// for each partition.
    #[command(after_help = "Examples:\n  \
        blackfriday topics create --kafka-brokers 127.0.0.1:9092 --partitions 6\n  \
        blackfriday topics create --log rabbitmq --weather-retention 2days")]
    Create(Create),
}

/// How to make them.
#[derive(clap::Args, Debug)]
pub struct Create {
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    log: LogConfig,
}

/// How many partitions there are, and how long they keep their records.
#[derive(clap::Args, Debug, Clone)]
pub struct Shape {
    /// Partitions of `ventas`. Dead-letter topics have one.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=256))]
    pub partitions: i32,
    /// Partitions of `clima`; 2 in Kafka without it, and 1 in RabbitMQ.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=256))]
    pub weather_partitions: Option<i32>,
    /// Copies of each partition.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10))]
    pub replication: i32,
    /// How long a sale is kept at the least; for ever without it. What is not counted by then is lost.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub sales_retention: Option<Duration>,
    /// How long a weather report is kept at the least.
    #[arg(long, default_value = "7days", value_parser = humantime::parse_duration)]
    pub weather_retention: Duration,
    /// MiB of a partition of `clima` over which its oldest reports go, whatever their age.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub weather_partition_max_mib: u64,
}

/// Carries the command out.
///
/// # Errors
/// The log cannot be reached, or refuses.
pub async fn run(Command::Create(create): Command) -> anyhow::Result<()> {
    let made = make(&create.log, &create.shape).await?;
    output::line(format!("topics: {}", made.join(", ")));
    Ok(())
}

/// Makes the topics that do not exist yet, and returns the names of all.
///
/// # Errors
/// The log cannot be reached, or refuses.
pub async fn make(log: &LogConfig, shape: &Shape) -> anyhow::Result<Vec<String>> {
    let topics = shape.topics(log);
    if let Err(error) = Admin::new(log)?.create_topics(&topics).await {
        // A log that starts has its time; then who is away is named, if nobody listens at all.
        log.reach().await?;
        return Err(error.into());
    }
    Ok(topics.into_iter().map(|topic| topic.name).collect())
}

impl Shape {
    fn topics(&self, log: &LogConfig) -> [TopicSpec; 4] {
        let (weather_partitions, for_ever) = if log.log == EventLog::Kafka {
            (i32::from(WEATHER_PARTITIONS), Some(FOR_EVER))
        } else {
            (1, None)
        };
        let kept_for_ever = |name: String| TopicSpec {
            name,
            partitions: 1,
            replication: self.replication,
            retention: for_ever,
            ..TopicSpec::default()
        };
        [
            TopicSpec {
                partitions: self.partitions,
                retention: self.sales_retention.or(for_ever),
                ..kept_for_ever(SALES.to_owned())
            },
            TopicSpec {
                partitions: self.weather_partitions.unwrap_or(weather_partitions),
                retention: Some(self.weather_retention),
                retention_bytes: Some(self.weather_partition_max_mib << 20),
                ..kept_for_ever(WEATHER.to_owned())
            },
            kept_for_ever(dead_letter::topic_of(SALES)),
            kept_for_ever(dead_letter::topic_of(WEATHER)),
        ]
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            partitions: 4,
            weather_partitions: None,
            replication: 1,
            sales_retention: None,
            weather_retention: Duration::from_secs(7 * 24 * 3600),
            weather_partition_max_mib: 1_024,
        }
    }
}
