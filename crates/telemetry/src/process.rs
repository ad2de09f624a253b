use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// `process_*` metrics, read from `/proc/self` when they are asked for.
///
/// The names are those of the Prometheus client libraries' guidelines.
#[derive(Debug)]
pub(crate) struct ProcessCollector;

/// Linux's `USER_HZ`, fixed at 100 for user space (proc_pid_stat(5)).
const TICKS_PER_SECOND: f64 = 100.0;
/// Page size on the platforms that we build for.
const PAGE_BYTES: u64 = 4096;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut put = |name, help, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let gauge = |value: Option<i64>| ConstGauge::new(value.unwrap_or(i64::MAX));
        if let Some(bytes) = resident_bytes() {
            put("process_resident_memory_bytes", "Resident memory size", &gauge(bytes.try_into().ok()))?;
        }
        if let Some(seconds) = cpu_seconds() {
            put("process_cpu_seconds", "User and system CPU time spent", &ConstCounter::new(seconds))?;
        }
        if let Some(seconds) = start_seconds() {
            let help = "When the process began, since the Unix epoch";
            put("process_start_time_seconds", help, &ConstGauge::new(seconds))?;
        }
        if let Some(open) = open_fds() {
            put("process_open_fds", "Open file descriptors", &gauge(open.try_into().ok()))?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE_BYTES)
}

fn cpu_seconds() -> Option<f64> {
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

fn start_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let booted: f64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(booted + ticks(22)? / TICKS_PER_SECOND)
}

/// A field of `/proc/self/stat`, by its number in proc_pid_stat(5), where utime is 14, stime 15 and starttime 22.
fn ticks(field: usize) -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the command in parentheses and may hold spaces.
    let after_command = stat.rsplit_once(") ")?.1;
    after_command.split(' ').nth(field - 3)?.parse().ok()
}

fn open_fds() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}
