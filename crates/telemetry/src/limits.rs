use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// The limits of a process, each by its flag, and what is used of them. That is read when it is asked for: nothing is
/// counted for it where work is done. Clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits(Arc<Mutex<Vec<Limit>>>);

struct Limit {
    flag: &'static str,
    most: usize,
    used: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Limits {
    /// One more; in place of the one that its flag had.
    pub(crate) fn add(
        &self,
        flag: &'static str,
        most: usize,
        used: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limits.retain(|limit| limit.flag != flag);
        limits.push(Limit { flag, most, used: Box::new(used) });
    }
}

impl Collector for Limits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = limits.iter().map(|limit| (limit.flag, limit.most));
        family(&mut encoder, "blackfriday_limit", "What a limit allows, by its flag", allowed)?;
        let used = limits.iter().map(|limit| (limit.flag, (limit.used)()));
        family(&mut encoder, "blackfriday_limit_used", "What is used of a limit, by its flag", used)
    }
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'static str, usize)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (flag, value) in values {
        let labels = [("flag", flag)];
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("flag", &self.flag).field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::metrics::Registry;

    #[test]
    fn a_limit_is_told_with_what_is_used_of_it_now() {
        let registry = Registry::new("gateway");
        let used = Arc::new(AtomicUsize::new(3));
        let read = Arc::clone(&used);
        registry.limit("lane-queue-sales", 1, || 0);
        registry.limit("lane-queue-sales", 8192, move || read.load(Ordering::Relaxed));
        registry.limit("http-max-in-flight", usize::MAX, || 7);
        let told = |name: &str, flag: &str| {
            let text = registry.encode();
            let mut of = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
            let line = of.find(|line| line.contains(&format!("flag=\"{flag}\""))).expect("it is told");
            assert!(line.contains("service=\"gateway\""), "{line}");
            assert_eq!(text.matches(line).count(), 1, "once: {text}");
            line.rsplit_once(' ').expect("a value").1.to_owned()
        };
        assert_eq!(told("blackfriday_limit", "lane-queue-sales"), "8192");
        assert_eq!(told("blackfriday_limit_used", "lane-queue-sales"), "3");
        used.store(5, Ordering::Relaxed);
        assert_eq!(told("blackfriday_limit_used", "lane-queue-sales"), "5");
        assert_eq!(told("blackfriday_limit", "http-max-in-flight"), i64::MAX.to_string());
        assert_eq!(told("blackfriday_limit_used", "http-max-in-flight"), "7");
    }
}
