use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Whether the process should get traffic: true while every named condition holds. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    conditions: Mutex<Vec<(&'static str, bool)>>,
    ready: watch::Sender<bool>,
}

/// One named condition of readiness; false until it is set.
#[derive(Debug, Clone)]
pub struct Condition {
    readiness: Readiness,
    name: &'static str,
}

impl Readiness {
    /// Ready, as long as no condition says otherwise.
    pub fn new() -> Self {
        Self(Arc::new(Inner { conditions: Mutex::default(), ready: watch::Sender::new(true) }))
    }

    /// Adds a condition that does not hold yet.
    pub fn condition(&self, name: &'static str) -> Condition {
        self.set(name, false);
        Condition { readiness: self.clone(), name }
    }

    /// Whether every condition holds.
    pub fn is_ready(&self) -> bool {
        *self.0.ready.borrow()
    }

    /// The conditions that do not hold.
    pub fn missing(&self) -> Vec<&'static str> {
        let conditions = self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.iter().filter(|(_, holds)| !holds).map(|(name, _)| *name).collect()
    }

    /// Follows the changes.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.ready.subscribe()
    }

    fn set(&self, name: &'static str, holds: bool) {
        let mut conditions = self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        match conditions.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = holds,
            None => conditions.push((name, holds)),
        }
        let ready = conditions.iter().all(|(_, holds)| *holds);
        self.0.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Condition {
    /// Says whether it holds.
    pub fn set(&self, holds: bool) {
        self.readiness.set(self.name, holds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_the_conjunction_of_the_conditions() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let (broker, valkey) = (readiness.condition("broker"), readiness.condition("valkey"));
        broker.set(true);
        assert_eq!((readiness.is_ready(), readiness.missing()), (false, vec!["valkey"]));
        valkey.set(true);
        assert!(readiness.is_ready());
        broker.set(false);
        assert_eq!(readiness.missing(), ["broker"]);
    }
}
