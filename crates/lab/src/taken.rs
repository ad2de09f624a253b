use std::fs;

use anyhow::{Context, Result};

/// What a process takes, from `/proc`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Resident memory.
    pub(crate) memory_kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    /// Data and heap, resident or not: what `RLIMIT_DATA` is about.
    pub(crate) data_kib: u64,
}

impl Taken {
    /// # Errors
    /// There is no such process.
    pub(crate) fn by(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read the status")?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let descriptors =
            fs::read_dir(format!("/proc/{pid}/fd")).context("list the descriptors")?.count() as u64;
        let (memory_kib, threads, data_kib) = (of("VmRSS:"), of("Threads:"), of("VmData:"));
        Ok(Self { memory_kib, descriptors, threads, data_kib })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_be_looked_at() {
        let own = Taken::by(std::process::id()).expect("runs");
        assert!(own.memory_kib > 0 && own.descriptors > 0 && own.threads > 0 && own.data_kib > 0, "{own:?}");
        Taken::by(u32::MAX).expect_err("no such process");
    }
}
