//! Topics that take no records, although the broker is there, for a reason other than the record: a user who may
//! not write, a topic that is compacted, has too few partitions or does not exist.
//!
//! Such a topic's records are refused before they are handed over. What a look at the topic shows is true until the next
//! look. What the broker answered about a record is tried again after a pause, by the next record: nothing else can show that it
//! passed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

const FIRST_PAUSE: Duration = Duration::from_secs(3);
const LONGEST_PAUSE: Duration = Duration::from_secs(12);
/// Between two times that the same is logged.
const REMINDER: Duration = Duration::from_secs(60);

/// Why topics take no records, by topic.
pub type Reasons = BTreeMap<String, String>;

#[derive(Debug)]
pub(crate) struct Faults {
    /// Whether there is any: most of the time there is not.
    any: AtomicBool,
    topics: Mutex<BTreeMap<String, Fault>>,
    shown: watch::Sender<Reasons>,
}

#[derive(Debug, Default)]
struct Fault {
    looked: Option<String>,
    refused: Option<Refusal>,
    logged: Option<(Instant, String)>,
}

#[derive(Debug)]
struct Refusal {
    reason: String,
    until: Instant,
    pause: Duration,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { any: AtomicBool::new(false), topics: Mutex::default(), shown: watch::Sender::default() }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Reasons> {
        self.shown.subscribe()
    }

    /// Why records of this topic are not handed over now.
    pub(crate) fn reason(&self, topic: &str) -> Option<String> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.topics().get(topic).and_then(Fault::reason)
    }

    /// What a look at the topic showed: a reason, or that nothing is wrong.
    pub(crate) fn looked(&self, topic: &str, reason: Option<String>) {
        if reason.is_none() && !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut topics = self.topics();
        let fault = topics.entry(topic.to_owned()).or_default();
        if let Some(reason) = &reason {
            fault.log(topic, reason);
        }
        let passed = fault.looked.is_some() && reason.is_none();
        fault.looked = reason;
        if passed {
            tracing::info!(topic, "the topic can be written to again");
        }
        self.show(&topics);
    }

    /// The broker refused a record for a reason that holds for others, too.
    pub(crate) fn refused(&self, topic: &str, reason: String) {
        let mut topics = self.topics();
        let fault = topics.entry(topic.to_owned()).or_default();
        fault.log(topic, &reason);
        let now = Instant::now();
        let pause = match &fault.refused {
            // Others that were on their way.
            Some(refusal) if now < refusal.until => return,
            Some(refusal) => (refusal.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        fault.refused = Some(Refusal { reason, until: now + pause, pause });
        self.show(&topics);
    }

    /// The broker took a record.
    pub(crate) fn taken(&self, topic: &str) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut topics = self.topics();
        let Some(fault) = topics.get_mut(topic) else { return };
        // One that was sent before the refusal says nothing of what comes after it.
        if fault.refused.take_if(|refusal| Instant::now() >= refusal.until).is_some() {
            tracing::info!(topic, "the topic takes records again");
            self.show(&topics);
        }
    }

    /// Shows what has become due to be tried again.
    pub(crate) fn tick(&self) {
        if self.any.load(Ordering::Acquire) {
            self.show(&self.topics());
        }
    }

    fn show(&self, topics: &BTreeMap<String, Fault>) {
        let any = topics.values().any(|fault| fault.looked.is_some() || fault.refused.is_some());
        self.any.store(any, Ordering::Release);
        let reasons: Reasons =
            topics.iter().filter_map(|(topic, fault)| Some((topic.clone(), fault.reason()?))).collect();
        self.shown.send_if_modified(|shown| std::mem::replace(shown, reasons.clone()) != reasons);
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Fault>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fault {
    fn reason(&self) -> Option<String> {
        let refused = || self.refused.as_ref().filter(|refusal| Instant::now() < refusal.until);
        self.looked.clone().or_else(|| refused().map(|refusal| refusal.reason.clone()))
    }

    fn log(&mut self, topic: &str, reason: &str) {
        let known = self.logged.as_ref().is_some_and(|(at, told)| told == reason && at.elapsed() < REMINDER);
        if !known {
            self.logged = Some((Instant::now(), reason.to_owned()));
            tracing::error!(topic, reason, "the topic takes no records");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_holds_for_its_topic_until_it_is_due_to_be_tried_and_ends_with_a_record_that_is_taken() {
        let faults = Faults::new();
        let shown = faults.watch();
        faults.refused("ventas", "InvalidRecord".to_owned());
        assert_eq!(faults.reason("ventas").as_deref(), Some("InvalidRecord"));
        assert_eq!(faults.reason("clima"), None);
        faults.taken("ventas");
        assert!(faults.reason("ventas").is_some(), "that one was sent before");
        let due = |faults: &Faults| {
            faults.topics().values_mut().filter_map(|fault| fault.refused.as_mut()).for_each(|refusal| {
                refusal.until = Instant::now();
            });
            faults.tick();
        };
        due(&faults);
        assert_eq!((faults.reason("ventas"), shown.borrow().len()), (None, 0));
        faults.refused("ventas", "InvalidRecord".to_owned());
        assert_eq!(shown.borrow().len(), 1);
        assert_eq!(
            faults.topics()["ventas"].refused.as_ref().map(|refusal| refusal.pause),
            Some(FIRST_PAUSE * 2)
        );
        due(&faults);
        faults.taken("ventas");
        assert!(!faults.any.load(Ordering::Acquire));
    }

    #[test]
    fn what_a_look_told_holds_until_the_next() {
        let faults = Faults::new();
        faults.looked("ventas", Some("1 partition".to_owned()));
        faults.taken("ventas");
        assert!(faults.reason("ventas").is_some());
        faults.looked("ventas", None);
        assert_eq!(faults.reason("ventas"), None);
    }
}
