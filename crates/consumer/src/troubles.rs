//! What keeps partitions from being counted, and has to be mended by somebody: each shows in readiness, in a metric, and in
//! the log when it begins, seldom while it lasts, and when it has passed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use blackfriday_broker::TopicPartition;
use blackfriday_service::{Condition, Context};
use blackfriday_telemetry::metrics::types::family::Family;
use blackfriday_telemetry::metrics::types::gauge::Gauge;

use crate::progress::Partition;

/// Between two times that a trouble which lasts is logged.
const REMINDER: Duration = Duration::from_secs(30);

/// Whose trouble it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A partition is stopped until an operator resumes it.
    Stopped(TopicPartition),
    /// The log's range of a partition is not known.
    Locating(TopicPartition),
    /// A partition cannot be read.
    Reading(TopicPartition),
    /// A partition waits until its dead letters are written.
    DeadLetters(TopicPartition),
    /// The group cannot be joined.
    Group,
    /// A client cannot use the brokers.
    Log,
    /// The store must not be counted into.
    Store,
}

pub(crate) struct Troubles {
    met: Mutex<BTreeMap<Subject, (String, Instant)>>,
    stopped: (Condition, Family<Partition, Gauge>),
    waiting: (Condition, Family<Partition, Gauge>),
    dead_letters: (Condition, Family<Partition, Gauge>),
    log: Condition,
    store: Condition,
}

impl Troubles {
    pub(crate) fn new(context: &Context) -> Self {
        let of = |condition, metric, help| {
            let condition = context.readiness.condition(condition);
            (condition, context.registry.gauges(metric, help))
        };
        let troubles = Self {
            met: Mutex::default(),
            stopped: of(
                "no stopped partition",
                "blackfriday_consumer_stopped_partitions",
                "1 while a partition is stopped until an operator resumes it",
            ),
            waiting: of(
                "partitions can be read",
                "blackfriday_consumer_unreadable_partitions",
                "1 while a partition cannot be read",
            ),
            dead_letters: of(
                "dead letters",
                "blackfriday_consumer_waiting_dead_letters",
                "1 while a partition waits until its dead letters are written",
            ),
            log: context.readiness.condition("the event log can be used"),
            store: context.readiness.condition("valkey keeps all"),
        };
        troubles.show(&BTreeMap::new());
        troubles
    }

    pub(crate) fn met(&self, subject: &Subject, reason: String) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let due = met.get(subject).is_none_or(|(told, at)| *told != reason || at.elapsed() >= REMINDER);
        if !due {
            return;
        }
        tracing::error!(%subject, reason, "counting is held up");
        met.insert(subject.clone(), (reason, Instant::now()));
        self.gauge(subject, 1);
        self.show(&met);
    }

    pub(crate) fn passed(&self, subject: &Subject) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.remove(subject).is_some() {
            tracing::info!(%subject, "counting is no longer held up");
            self.gauge(subject, 0);
            self.show(&met);
        }
    }

    /// A partition is not ours any more: its new owner reports its troubles.
    pub(crate) fn forget(&self, partition: &TopicPartition) {
        for subject in [Subject::Stopped, Subject::Locating, Subject::Reading, Subject::DeadLetters] {
            self.passed(&subject(partition.clone()));
        }
    }

    /// Forgets the troubles of partitions for which `lasts` is false: a task that was given up may have reported one late.
    pub(crate) fn keep(&self, lasts: impl Fn(&Subject) -> bool) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        for (subject, _) in met.extract_if(.., |subject, _| !lasts(subject)) {
            self.gauge(&subject, 0);
        }
        self.show(&met);
    }

    /// Logs again what lasts.
    pub(crate) fn remind(&self) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        for (subject, (reason, told)) in met.iter_mut().filter(|(_, (_, told))| told.elapsed() >= REMINDER) {
            tracing::error!(%subject, reason, "counting is still held up");
            *told = Instant::now();
        }
    }

    fn gauge(&self, subject: &Subject, value: i64) {
        let (family, partition) = match subject {
            Subject::Stopped(partition) => (&self.stopped.1, partition),
            Subject::Locating(partition) | Subject::Reading(partition) => (&self.waiting.1, partition),
            Subject::DeadLetters(partition) => (&self.dead_letters.1, partition),
            Subject::Group | Subject::Log | Subject::Store => return,
        };
        let label = Partition::of(partition);
        if value == 0 {
            family.remove(&label);
        } else {
            family.get_or_create(&label).set(value);
        }
    }

    fn show(&self, met: &BTreeMap<Subject, (String, Instant)>) {
        let none = |is: fn(&Subject) -> bool| !met.keys().any(is);
        self.stopped.0.set(none(|subject| matches!(subject, Subject::Stopped(_))));
        self.waiting.0.set(none(|subject| matches!(subject, Subject::Locating(_) | Subject::Reading(_))));
        self.dead_letters.0.set(none(|subject| matches!(subject, Subject::DeadLetters(_))));
        self.log.set(none(|subject| matches!(subject, Subject::Group | Subject::Log)));
        self.store.set(none(|subject| matches!(subject, Subject::Store)));
    }
}

impl Subject {
    /// Whose it is, if it is a partition's.
    pub(crate) fn partition(&self) -> Option<&TopicPartition> {
        match self {
            Self::Stopped(partition)
            | Self::Locating(partition)
            | Self::Reading(partition)
            | Self::DeadLetters(partition) => Some(partition),
            Self::Group | Self::Log | Self::Store => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(partition) => write!(f, "stopped partition {partition}"),
            Self::Locating(partition) => write!(f, "the range of {partition}"),
            Self::Reading(partition) => write!(f, "reading {partition}"),
            Self::DeadLetters(partition) => write!(f, "dead letters of {partition}"),
            Self::Group => f.write_str("the consumer group"),
            Self::Log => f.write_str("the event log"),
            Self::Store => f.write_str("Valkey"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_that_was_told_late_goes_and_takes_nothing_of_another_with_it() {
        let context = Context::new("consumer");
        let troubles = Troubles::new(&context);
        let [first, second] = [0, 1].map(|id| Subject::DeadLetters(TopicPartition::new("ventas", id)));
        troubles.met(&first, "no topic".to_owned());
        troubles.met(&second, "no topic".to_owned());
        troubles.keep(|subject| *subject != first);
        assert!(context.readiness.missing().contains(&"dead letters"), "the second lasts");
        troubles.keep(|_| false);
        assert!(!context.readiness.missing().contains(&"dead letters"));
        assert!(!context.registry.encode().contains("waiting_dead_letters{"));
    }
}
