//! A log whose beginning is gone by retention: since when it is there, and what may have been before.

use blackfriday_broker::{Record, TopicPartition, WEATHER};
use blackfriday_event::Timestamp;
use blackfriday_store::Part;

use super::{Event, Kind, Log};
use crate::records::TOPICS;

/// How far the log's clock may have gone back just where the log was cut: a new leader's is another one.
const CLOCK_BACK_MS: u64 = 5_000;
/// How far a clock by which an identity was made may be from the log's.
const CLOCK_SKEW_MS: u64 = 60_000;

impl Log {
    /// Takes the time of the first record that is left of a partition: lost ones are older.
    pub(super) fn begin(&mut self, partition: &TopicPartition, record: &Record) {
        let Some(accepted_at) = Timestamp::from_log(record.timestamp_ms) else { return };
        if self.unbegun.remove(partition) {
            // Producers' clocks say nothing of each other.
            let until_ms =
                if record.appended { accepted_at.millis() + CLOCK_BACK_MS } else { Timestamp::MAX.millis() };
            self.model.begin(&partition.topic, partition.partition, until_ms);
        }
    }

    /// Whether what was acknowledged under this identity may be gone by retention. An identity without a time may always be.
    pub(crate) fn may_be_gone(&self, (kind, id): Event) -> bool {
        let [sales, weather] = TOPICS;
        let until_ms = self.model.lost_until(part_of(if kind == Kind::Sale { sales } else { weather }));
        let made_at_ms = || {
            let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
            Some(seconds * 1000 + u64::from(nanoseconds / 1_000_000))
        };
        until_ms.is_some_and(|until_ms| {
            made_at_ms().is_none_or(|made_at_ms| made_at_ms <= until_ms.saturating_add(CLOCK_SKEW_MS))
        })
    }
}

/// What a topic is counted as.
pub(super) fn part_of(topic: &str) -> Part<'_> {
    if topic == WEATHER { Part::Weather(topic) } else { Part::Sales(topic) }
}
