//! What is wrong with something that is waited for: read from the API server's answers, never guessed from the time that
//! has passed.

mod claims;
mod images;
mod pods;
mod resources;

use std::fmt;

use serde_json::Value;

pub(super) use self::claims::of_claims;
pub(super) use self::pods::{Trouble, of_pod, restarts};
pub(super) use self::resources::{of_creation, of_data_volume, of_object, of_operator};

/// Why something does not become ready, and what to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// `pod kafka/kafka-0, container format`.
    pub(super) object: String,
    /// In Kubernetes' own word.
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) advice: String,
    pub(super) patience: Patience,
    /// The words after `kubectl` that show the log which tells more.
    pub(super) log: Option<Vec<String>>,
}

/// How long a fault may last: some go away by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Patience {
    /// It is final.
    None,
    /// The kubelet tries again in seconds.
    Short,
    /// Somebody else, an autoscaler or an operator, may help.
    Long,
    /// It is reported only when the whole wait is over.
    Endless,
}

impl Fault {
    fn new(object: impl Into<String>, reason: &str, message: &str) -> Self {
        Self {
            object: object.into(),
            reason: reason.to_owned(),
            message: one_line(message),
            advice: String::new(),
            patience: Patience::Short,
            log: None,
        }
    }

    fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    fn lasting(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    fn with_log(mut self, words: Vec<String>) -> Self {
        self.log = Some(words);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.reason)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if !self.advice.is_empty() {
            write!(f, "\n  {}", self.advice)?;
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text in a JSON object; empty if it is not there.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The last warning about an object whose reason is one of these.
fn warning<'a>(events: &'a [Value], object: &Value, reasons: &[&str]) -> Option<&'a Value> {
    let is_about = |event: &&Value| {
        let uid = text(event, "/involvedObject/uid");
        let same = if uid.is_empty() {
            text(event, "/involvedObject/name") == text(object, "/metadata/name")
        } else {
            uid == text(object, "/metadata/uid")
        };
        same && event["type"] == "Warning" && reasons.contains(&text(event, "/reason"))
    };
    let when = |event: &&Value| {
        let series = text(event, "/series/lastObservedTime");
        if series.is_empty() { text(event, "/lastTimestamp").to_owned() } else { series.to_owned() }
    };
    events.iter().filter(is_about).max_by_key(when)
}

#[cfg(test)]
mod tests;
