//! Makes the topics of a log: in Kafka with their partitions and retention, in RabbitMQ a stream for each partition.

use std::time::Duration;

use blackfriday_broker::{
    Admin, BrokerError, EventLog, LogConfig, SALES, TopicDifference, TopicSpec, WEATHER, dead_letter,
};
use blackfriday_terminal::output;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Of `clima` in Kafka, and so the number over which its writers spread reports.
pub const WEATHER_PARTITIONS: u16 = 2;

/// Kafka keeps records for a week where it is not told otherwise; RabbitMQ keeps them for ever.
const FOR_EVER: Duration = Duration::from_millis(i64::MAX.unsigned_abs());

/// For a log that is being started.
const START_LIMIT: Duration = Duration::from_secs(10);
const START_PAUSE: Duration = Duration::from_millis(500);

/// Makes the topics.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Make `ventas`, `clima` and their dead-letter topics, where they do not exist yet: topics in Kafka, in RabbitMQ a stream
    /// for each partition.
    #[command(after_help = "Examples:\n  \
        blackfriday topics create --kafka-brokers 127.0.0.1:9092 --partitions 6\n  \
        blackfriday topics create --log rabbitmq --weather-retention 2days\n\n\
        A topic that exists is not changed; a line says where it differs from what was asked for.\n\
        Exit code 0 if all topics are as asked for, 1 if one differs, 69 if the log cannot be reached or refuses.")]
    Create(Create),
}

/// How to make them.
#[derive(clap::Args, Debug)]
pub struct Create {
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    log: LogConfig,
}

/// What became of a topic.
struct Topic {
    name: String,
    /// It was there before.
    existed: bool,
    differences: Vec<TopicDifference>,
}

/// How many partitions there are, and how long they keep their records.
#[derive(clap::Args, Debug, Clone)]
pub struct Shape {
    /// Partitions of `ventas`. Dead-letter topics have one.
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(i32).range(1..=256))]
    pub partitions: i32,
    /// Partitions of `clima`; 2 in Kafka without it, and 1 in RabbitMQ.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=256))]
    pub weather_partitions: Option<i32>,
    /// Copies of each partition.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10))]
    pub replication: i32,
    /// How long a sale is kept at the least; for ever without it. What is not counted by then is lost.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub sales_retention: Option<Duration>,
    /// How long a weather report is kept at the least.
    #[arg(long, value_name = "DURATION", default_value = "7days", value_parser = humantime::parse_duration)]
    pub weather_retention: Duration,
    /// MiB of a partition of `clima` over which its oldest reports go, whatever their age.
    #[arg(long, value_name = "MIB", default_value_t = 1_024,
          value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub weather_partition_max_mib: u64,
}

/// Carries the command out; true if every topic is as asked for.
///
/// # Errors
/// The log cannot be reached, or refuses.
pub async fn run(Command::Create(Create { json, shape, log }): Command) -> anyhow::Result<bool> {
    wait_for(&log).await?;
    let (admin, specs) = (Admin::new(&log)?, shape.topics(&log));
    let mut topics = Vec::new();
    for spec in &specs {
        let existed = match admin.partitions(&spec.name).await {
            Err(BrokerError::NoTopic(_)) => false,
            found => found.map(|_| true)?,
        };
        topics.push(Topic { name: spec.name.clone(), existed, differences: Vec::new() });
    }
    admin.create_topics(&specs).await?;
    for (topic, spec) in topics.iter_mut().zip(&specs).filter(|(topic, _)| topic.existed) {
        topic.differences = admin.differences(spec).await?;
    }
    if json {
        output::line(json!({"topics": topics.iter().map(Topic::to_json).collect::<Vec<_>>()}));
    } else {
        topics.iter().flat_map(Topic::lines).for_each(output::line);
    }
    Ok(topics.iter().all(|topic| topic.differences.is_empty()))
}

/// One that starts has its time; a line says at once who is waited for.
async fn wait_for(log: &LogConfig) -> anyhow::Result<()> {
    let begun = Instant::now();
    let Err(away) = log.reach().await else { return Ok(()) };
    output::note(format_args!("{away}; waiting for it, {} s at the most", START_LIMIT.as_secs()));
    loop {
        sleep(START_PAUSE).await;
        match log.reach().await {
            Err(_) if begun.elapsed() < START_LIMIT => {}
            reached => return Ok(reached?),
        }
    }
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

impl Topic {
    fn lines(&self) -> Vec<String> {
        let Self { name, existed, differences } = self;
        match (*existed, differences.as_slice()) {
            (false, _) => vec![format!("{name}: made")],
            (true, []) => vec![format!("{name}: exists, as asked for")],
            (true, differences) => differences.iter().map(|difference| differs(name, difference)).collect(),
        }
    }

    fn to_json(&self) -> Value {
        let difference = |TopicDifference { what, found, asked }: &TopicDifference| json!({"what": what, "found": found, "asked": asked});
        let differences: Vec<_> = self.differences.iter().map(difference).collect();
        json!({"topic": self.name, "made": !self.existed, "differences": differences})
    }
}

fn differs(name: &str, TopicDifference { what, found, asked }: &TopicDifference) -> String {
    let has = output::bad("has");
    match &**what {
        what @ ("partitions" | "copies") => format!("{name}: {has} {found} {what}, not {asked}; unchanged"),
        setting => format!("{name}: {has} {setting}={found}, not {asked}; unchanged"),
    }
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
