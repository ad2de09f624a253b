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
        if let Some(bytes) = resident_bytes() {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            let name = "process_resident_memory_bytes";
            gauge.encode(encoder.encode_descriptor(
                name,
                "Resident memory size",
                None,
                gauge.metric_type(),
            )?)?;
        }
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            let name = "process_cpu_seconds";
            counter.encode(encoder.encode_descriptor(
                name,
                "User and system CPU time spent",
                None,
                counter.metric_type(),
            )?)?;
        }
        if let Some(seconds) = start_seconds() {
            let gauge = ConstGauge::new(seconds);
            let name = "process_start_time_seconds";
            gauge.encode(encoder.encode_descriptor(
                name,
                "When the process began, since the Unix epoch",
                None,
                gauge.metric_type(),
            )?)?;
        }
        if let Some(open) = open_fds() {
            let gauge = ConstGauge::new(i64::try_from(open).unwrap_or(i64::MAX));
            let name = "process_open_fds";
            gauge.encode(encoder.encode_descriptor(
                name,
                "Open file descriptors",
                None,
                gauge.metric_type(),
            )?)?;
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
