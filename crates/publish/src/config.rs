use std::num::NonZeroU16;

use blackfriday_broker::kafka::{Destination, KafkaConfig, ProducerConfig};

/// What is published where, and how much at a time.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Publishing")]
pub struct PublishConfig {
    /// The topic of sales.
    #[arg(long, env = "BLACKFRIDAY_TOPIC_SALES", default_value = "ventas")]
    pub topic_sales: String,
    /// The topic of weather reports.
    #[arg(long, env = "BLACKFRIDAY_TOPIC_WEATHER", default_value = "clima")]
    pub topic_weather: String,
    /// Partitions of the topic of sales, from the first on, over which sales with an idempotency key are spread. All writers
    /// must be given the same number, and it must never change: then more partitions never count a key twice.
    #[arg(long, env = "BLACKFRIDAY_TOPIC_SALES_KEYED_PARTITIONS", default_value_t = NonZeroU16::MIN)]
    pub topic_sales_keyed_partitions: NonZeroU16,
    /// Likewise of the topic of weather reports.
    #[arg(long, env = "BLACKFRIDAY_TOPIC_WEATHER_KEYED_PARTITIONS", default_value_t = NonZeroU16::MIN)]
    pub topic_weather_keyed_partitions: NonZeroU16,
    /// Records on their way to the broker; more are refused.
    #[arg(long, env = "BLACKFRIDAY_PUBLISH_MAX_IN_FLIGHT_RECORDS", default_value_t = 150_000,
          value_parser = positive)]
    pub max_in_flight_records: usize,
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaConfig,
    /// How records are sent.
    #[command(flatten)]
    pub producer: ProducerConfig,
}

impl PublishConfig {
    /// The topics that are written to, sales first.
    pub fn topics(&self) -> [&str; 2] {
        [&self.topic_sales, &self.topic_weather]
    }

    pub(crate) fn destinations(&self) -> Vec<Destination> {
        let keyed = [self.topic_sales_keyed_partitions, self.topic_weather_keyed_partitions];
        let of = |(topic, keyed): (&str, NonZeroU16)| Destination {
            topic: topic.to_owned(),
            min_partitions: usize::from(keyed.get()),
        };
        self.topics().into_iter().zip(keyed).map(of).collect()
    }
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number above 0".to_owned())
}
