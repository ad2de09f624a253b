use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// A gauge of something that cannot be read at times: without a value it has no sample, so that nobody takes an old one for
/// that of now. Clones are one.
#[derive(Debug, Clone)]
pub struct Reading {
    name: &'static str,
    help: String,
    value: Arc<Mutex<Option<u64>>>,
}

impl Reading {
    pub(crate) fn new(name: &'static str, help: &str) -> Self {
        Self { name, help: format!("{help}."), value: Arc::default() }
    }

    /// What was read, or that nothing could be.
    pub fn set(&self, value: Option<u64>) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(value) = *self.value.lock().unwrap_or_else(PoisonError::into_inner) else { return Ok(()) };
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(encoder.encode_descriptor(self.name, &self.help, None, MetricType::Gauge)?)
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Registry;

    #[test]
    fn what_cannot_be_read_has_no_sample() {
        let registry = Registry::of_part("consumer");
        let replicas = registry.reading("replicas", "Replicas");
        let has_sample = |sample: &str| registry.encode().lines().any(|line| line == sample);
        assert!(!registry.encode().contains("replicas"), "{}", registry.encode());
        replicas.set(Some(0));
        assert!(has_sample("replicas{service=\"consumer\"} 0"), "{}", registry.encode());
        replicas.set(None);
        assert!(!registry.encode().contains("replicas"), "{}", registry.encode());
    }
}
