use std::num::NonZeroU16;

use blackfriday_broker::{Destination, LogConfig, ProducerConfig, SALES, WEATHER};
use blackfriday_telemetry::sampled::EventLines;

use crate::error::PublisherError;

/// What is published where, and how much at a time.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Publishing")]
pub struct PublishConfig {
    /// Partitions of the topic of sales, from the first on, over which sales with an idempotency key are spread. All writers
    /// must be given the same number, and it must never change: then more partitions never count a key twice.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_TOPIC_SALES_KEYED_PARTITIONS",
          default_value_t = NonZeroU16::MIN)]
    pub topic_sales_keyed_partitions: NonZeroU16,
    /// Likewise of the topic of weather reports.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_TOPIC_WEATHER_KEYED_PARTITIONS",
          default_value_t = NonZeroU16::MIN)]
    pub topic_weather_keyed_partitions: NonZeroU16,
    /// Records on their way to the broker; more are refused.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_PUBLISH_MAX_IN_FLIGHT_RECORDS",
          default_value_t = 150_000,
          value_parser = positive)]
    pub max_in_flight_records: usize,
    /// Which records have a line of the log.
    #[command(flatten)]
    pub lines: EventLines,
    /// The event log.
    #[command(flatten)]
    pub log: LogConfig,
    /// How records are sent.
    #[command(flatten)]
    pub producer: ProducerConfig,
}

impl PublishConfig {
    /// # Errors
    /// There is never room for a batch of so many sales.
    pub fn check_batch(&self, batch: usize) -> Result<(), PublisherError> {
        let in_flight = self.max_in_flight_records;
        if batch > in_flight { Err(PublisherError::NoRoom { batch, in_flight }) } else { Ok(()) }
    }

    pub(crate) fn destinations(&self) -> Vec<Destination> {
        let of = |topic: &str, keyed: NonZeroU16| Destination {
            topic: topic.to_owned(),
            min_partitions: usize::from(keyed.get()),
        };
        vec![of(SALES, self.topic_sales_keyed_partitions), of(WEATHER, self.topic_weather_keyed_partitions)]
    }
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number above 0".to_owned())
}
