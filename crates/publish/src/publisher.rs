use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blackfriday_broker::{BrokerError, EventLog, Outcome, Position, Producer, PublishError, SALES, WEATHER};
use blackfriday_event::{EventId, Timestamp};
use blackfriday_proto::{
    Command, ErrorCode, EventOutcome, RecordDraft, Refusal, SaleCommand, WeatherCommand,
};
use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::planted::{Planted, is_planted};
use blackfriday_telemetry::sampled::EveryNth;
use tokio::time::Instant;

use crate::config::PublishConfig;
use crate::error::PublisherError;
use crate::in_flight::Room;
use crate::signs::Signs;
use crate::target::{Prepared, Target, conclude};

/// Turns events into records and waits for the broker. Clones share the producer and its room.
#[derive(Clone)]
pub struct Publisher {
    producer: Producer,
    sales: Arc<Target>,
    weather: Arc<Target>,
    room: Room,
    log: EventLog,
    /// Which records have a line of the log.
    told: Option<EveryNth>,
}

impl Publisher {
    /// Makes a producer that looks for the broker in the background.
    ///
    /// # Errors
    /// A setting is refused by the client, or this is not within a runtime. An unreachable broker is not an error here: events are answered `Unavailable`.
    pub fn new(config: &PublishConfig, registry: &Registry) -> Result<Self, PublisherError> {
        let producer = Producer::to(&config.log, &config.producer, config.destinations());
        let refused = |error| match error {
            BrokerError::Client(_) => PublisherError::Settings(error),
            _ => PublisherError::Producer(error),
        };
        let log = config.log.log;
        Ok(Self {
            producer: producer.map_err(refused)?,
            sales: Target::new(log, SALES, config.topic_sales_keyed_partitions),
            weather: Target::new(log, WEATHER, config.topic_weather_keyed_partitions),
            room: Room::new(config.max_in_flight_records, registry),
            log,
            told: config.lines.taken(),
        })
    }

    /// Publishes sales and waits for every outcome, until `by` at the latest.
    pub async fn sales(&self, commands: Vec<SaleCommand>, by: Instant) -> Vec<EventOutcome> {
        self.publish(prepared(&self.sales, commands), by).await
    }

    /// Publishes a weather report and waits for its outcome, until `by` at the latest.
    pub async fn weather(&self, command: WeatherCommand, by: Instant) -> EventOutcome {
        let id = command.id;
        let unknown = || Err(Refusal::new(ErrorCode::OutcomeUnknown, "no outcome").of(id));
        self.publish(prepared(&self.weather, vec![command]), by).await.pop().unwrap_or_else(unknown)
    }

    /// What it can take, followed.
    pub fn signs(&self, registry: &Registry) -> Signs {
        Signs::new(self.producer.availability().watch(), self.producer.watch_topics(), registry)
    }

    /// Waits until no record is on its way any more.
    ///
    /// # Errors
    /// Some still are after `limit`.
    pub async fn flush(&self, limit: Duration) -> Result<(), PublisherError> {
        self.producer.flush(limit).await.map_err(PublisherError::Flush)
    }

    async fn publish(&self, prepared: Vec<Prepared>, by: Instant) -> Vec<EventOutcome> {
        let Some(mut in_flight) = self.room.begin(prepared.len()) else {
            let full =
                || Refusal::new(ErrorCode::Overloaded, "too many records are on their way to the broker");
            return prepared.into_iter().map(|prepared| Err(full().of(prepared.id))).collect();
        };
        let (about, records): (Vec<_>, Vec<_>) =
            prepared.into_iter().map(|prepared| ((prepared.id, prepared.span), prepared.record)).unzip();
        if is_planted(Planted::EarlyAcknowledgement) {
            let producer = self.producer.clone();
            tokio::spawn(async move { producer.publish_batch(records).outcomes_until(by).await });
            return about.into_iter().map(|(id, _)| Ok(id)).collect();
        }
        let delivered = self.producer.publish_batch(records).outcomes_until(by).await;
        in_flight.acknowledged = delivered.iter().filter(|delivered| delivered.is_ok()).count();
        if let Some(told) = &self.told {
            tell(self.log, told, &delivered);
        }
        let outcome = |((id, span), delivered): ((EventId, Option<tracing::Span>), _)| {
            if let Some(span) = span {
                conclude(&span, &delivered);
            }
            delivered.map(|_| id).map_err(|error| refusal(&error).of(id))
        };
        about.into_iter().zip(delivered).map(outcome).collect()
    }
}

fn prepared<D: RecordDraft>(target: &Target, commands: Vec<Command<D>>) -> Vec<Prepared> {
    let written_at = Timestamp::from(SystemTime::now());
    commands.into_iter().map(|command| target.prepare(command, written_at)).collect()
}

/// In the words of the assignment's reports.
fn tell(log: EventLog, told: &EveryNth, delivered: &[Outcome]) {
    let acknowledged = delivered.iter().filter_map(|delivered| delivered.as_ref().ok());
    for Position { partition, offset } in acknowledged.filter(|_| told.takes_next()) {
        let title = log.title();
        match offset {
            Some(offset) => {
                tracing::info!("Mensaje enviado a {title} [partition={partition}, offset={offset}]");
            }
            // RabbitMQ confirms without it.
            None => tracing::info!("Mensaje enviado a {title} [partition={partition}]"),
        }
    }
}

/// What the client learns of a record that was not acknowledged.
fn refusal(error: &PublishError) -> Refusal {
    let code = match error {
        PublishError::QueueFull => ErrorCode::Overloaded,
        PublishError::Unavailable => ErrorCode::Unavailable,
        PublishError::OutcomeUnknown => ErrorCode::OutcomeUnknown,
        PublishError::TooLarge => ErrorCode::TooLarge,
        PublishError::Rejected(_) => ErrorCode::Internal,
    };
    Refusal::new(code, error.to_string())
}
