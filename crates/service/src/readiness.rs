use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Whether the process should get traffic: true while every named condition holds, and of each set of alternatives one.
/// Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    conditions: Mutex<Vec<Named>>,
    ready: watch::Sender<bool>,
    missing: watch::Sender<Vec<&'static str>>,
    /// Where what conditions are about should be.
    places: Mutex<HashMap<&'static str, String>>,
}

#[derive(Debug)]
struct Named {
    name: &'static str,
    /// Shared by alternatives.
    group: &'static str,
    holds: bool,
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
        Self(Arc::new(Inner {
            conditions: Mutex::default(),
            ready: watch::Sender::new(true),
            missing: watch::Sender::new(Vec::new()),
            places: Mutex::default(),
        }))
    }

    /// Adds a condition that does not hold yet.
    pub fn condition(&self, name: &'static str) -> Condition {
        self.add(name, name)
    }

    /// Adds conditions that do not hold yet, one of which is enough: each is of a part that serves without the others.
    pub fn alternatives<const N: usize>(&self, names: [&'static str; N]) -> [Condition; N] {
        names.map(|name| self.add(name, names[0]))
    }

    /// Whether the process should get traffic.
    pub fn is_ready(&self) -> bool {
        *self.0.ready.borrow()
    }

    /// The conditions that do not hold; of alternatives also those that the process is ready without.
    pub fn missing(&self) -> Vec<&'static str> {
        self.0.missing.borrow().clone()
    }

    /// Says where what a condition is about should be, for people.
    pub fn locate(&self, name: &'static str, place: impl Into<String>) {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner).insert(name, place.into());
    }

    /// What is missing, and where it should be, for people; empty when nothing is.
    pub fn told(&self) -> String {
        let missing = self.missing();
        let places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        let told = missing.into_iter().map(|name| match places.get(name) {
            Some(place) => format!("{name} at {place}"),
            None => name.to_owned(),
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// Follows what is missing.
    pub(crate) fn watch_missing(&self) -> watch::Receiver<Vec<&'static str>> {
        self.0.missing.subscribe()
    }

    /// Follows the changes.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.ready.subscribe()
    }

    fn add(&self, name: &'static str, group: &'static str) -> Condition {
        let mut conditions = self.conditions();
        conditions.retain(|named| named.name != name);
        conditions.push(Named { name, group, holds: false });
        self.update(&conditions);
        Condition { readiness: self.clone(), name }
    }

    fn set(&self, name: &'static str, holds: bool) {
        let mut conditions = self.conditions();
        if let Some(named) = conditions.iter_mut().find(|named| named.name == name) {
            named.holds = holds;
        }
        self.update(&conditions);
    }

    fn update(&self, conditions: &[Named]) {
        let one_holds = |group| conditions.iter().any(|named| named.group == group && named.holds);
        let ready = conditions.iter().all(|named| one_holds(named.group));
        let missing: Vec<_> =
            conditions.iter().filter(|named| !named.holds).map(|named| named.name).collect();
        self.0.missing.send_if_modified(|was| std::mem::replace(was, missing.clone()) != missing);
        self.0.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }

    fn conditions(&self) -> MutexGuard<'_, Vec<Named>> {
        self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn what_is_missing_is_told_with_its_place() {
        let readiness = Readiness::new();
        let broker = readiness.condition("broker");
        readiness.condition("keys");
        readiness.locate("broker", "kafka:9092");
        assert_eq!(readiness.told(), "broker at kafka:9092, keys");
        broker.set(true);
        assert_eq!(readiness.told(), "keys");
    }

    #[test]
    fn one_of_the_alternatives_is_enough_and_the_others_are_named() {
        let readiness = Readiness::new();
        let [sales, weather] = readiness.alternatives(["sales", "weather"]);
        assert_eq!((readiness.is_ready(), readiness.missing()), (false, vec!["sales", "weather"]));
        weather.set(true);
        assert_eq!((readiness.is_ready(), readiness.missing()), (true, vec!["sales"]));
        let broker = readiness.condition("broker");
        assert!(!readiness.is_ready());
        broker.set(true);
        sales.set(true);
        assert_eq!((readiness.is_ready(), readiness.missing()), (true, vec![]));
    }
}
