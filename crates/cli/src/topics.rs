use blackfriday_broker::dead_letter;
use blackfriday_broker::kafka::{Admin, KafkaConfig, TopicSpec};
use blackfriday_broker::{SALES, WEATHER};
use blackfriday_terminal::output;

/// Makes the topics.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Make `ventas`, `clima` and their dead-letter topics, where they do not exist yet.
    #[command(
        after_help = "Example:\n  blackfriday topics create --kafka-brokers 127.0.0.1:9092 --partitions 6"
    )]
    Create(Create),
}

/// How to make them.
#[derive(clap::Args, Debug)]
pub struct Create {
    /// Partitions of `ventas`; the others have one.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=1000))]
    partitions: i32,
    /// Copies of each partition.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10))]
    replication: i32,
    #[command(flatten)]
    kafka: KafkaConfig,
}

pub(crate) async fn run(Command::Create(create): Command) -> anyhow::Result<()> {
    let made = make(&create.kafka, create.partitions, create.replication).await?;
    output::line(format!("topics: {}", made.join(", ")));
    Ok(())
}

/// Makes the topics that do not exist yet, and returns the names of all.
pub(crate) async fn make(
    kafka: &KafkaConfig,
    partitions: i32,
    replication: i32,
) -> anyhow::Result<Vec<String>> {
    let spec = |name: &str, partitions| TopicSpec { name: name.to_owned(), partitions, replication };
    let topics =
        [SALES, WEATHER].map(|topic| [spec(topic, 1), spec(&dead_letter::topic_of(topic), 1)]).concat();
    let mut topics = topics;
    topics[0].partitions = partitions;
    Admin::new(kafka)?.create_topics(&topics).await?;
    Ok(topics.into_iter().map(|topic| topic.name).collect())
}
