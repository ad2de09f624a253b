//! What processes use, as Linux counts it: CPU time in ticks of 10 ms, memory in pages.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// `USER_HZ`, in which the kernel tells times to programs, on every architecture that we run on.
const TICKS_PER_S: u64 = 100;
/// Places of fields in `/proc/<pid>/stat` behind the name, which ends with the last bracket (proc_pid_stat(5)).
const PARENT: usize = 1;
const TIMES: std::ops::Range<usize> = 11..13;

/// Lines of `/proc/<pid>/status` (proc_pid_status(5)): what a process has in memory, and the most that it ever had.
const NOW: &str = "VmRSS:";
const PEAK: &str = "VmHWM:";

/// Named processes.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched(Vec<One>);

#[derive(Debug, Clone, Copy)]
struct One {
    name: &'static str,
    pid: u32,
    /// Whether what it started counts, too.
    with_children: bool,
}

/// What a process has in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resident {
    pub(super) name: &'static str,
    pub(super) now_kib: u64,
    /// Since it began.
    pub(super) peak_kib: u64,
}

/// What each name has used so far.
pub(super) type Used = BTreeMap<&'static str, Duration>;

impl Watched {
    /// Adds a process with all that it starts; several may share a name.
    pub(super) fn add(&mut self, name: &'static str, pid: u32) {
        self.0.push(One { name, pid, with_children: true });
    }

    /// Adds this process by itself: what it starts has names of its own.
    pub(super) fn add_self(&mut self, name: &'static str) {
        self.0.push(One { name, pid: std::process::id(), with_children: false });
    }

    /// CPU time since each process began.
    ///
    /// # Errors
    /// A process has ended.
    pub(super) fn used(&self) -> Result<Used> {
        self.used_of(&processes())
    }

    fn used_of(&self, all: &Processes) -> Result<Used> {
        let mut used = Used::new();
        for One { name, pid, with_children } in self.0.iter().copied() {
            let own = all.get(&pid).with_context(|| format!("{name} has ended"))?.1;
            let ticks = if with_children { tree(all, pid) } else { own };
            *used.entry(name).or_default() += Duration::from_millis(ticks * 1000 / TICKS_PER_S);
        }
        Ok(used)
    }

    /// What each process has in memory, in the order in which they were added.
    pub(super) fn resident(&self) -> Vec<Resident> {
        let of = |one: &One| {
            let status = status(one.pid);
            Resident { name: one.name, now_kib: kib(&status, NOW), peak_kib: kib(&status, PEAK) }
        };
        self.0.iter().map(of).collect()
    }

    /// MiB in memory now, of each name.
    pub(super) fn resident_mib(&self) -> BTreeMap<&'static str, u64> {
        let mut resident = BTreeMap::new();
        for One { name, pid, .. } in self.0.iter().copied() {
            *resident.entry(name).or_default() += kib(&status(pid), NOW) / 1024;
        }
        resident
    }
}

/// Parent, and ticks of each process itself.
type Processes = BTreeMap<u32, (u32, u64)>;

fn processes() -> Processes {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

fn stat(text: &str) -> Option<(u32, u64)> {
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(TIMES)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some((fields.get(PARENT)?.parse().ok()?, ticks))
}

/// Ticks of a process and of all below it that still run.
fn tree(all: &Processes, pid: u32) -> u64 {
    let own = all.get(&pid).map_or(0, |(_, ticks)| *ticks);
    let children = all.iter().filter(|(_, (parent, _))| *parent == pid).map(|(child, _)| tree(all, *child));
    own + children.sum::<u64>()
}

/// Empty for a process that has ended.
fn status(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

fn kib(status: &str, name: &str) -> u64 {
    let number = |line: &str| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok();
    status.lines().find_map(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let line = "42 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 11 22 33 44 20 0 5 0 100";
        assert_eq!(stat(line), Some((7, 33)));
    }

    #[test]
    fn a_process_has_its_childrens_time_and_this_one_does_not() {
        let me = std::process::id();
        let all = Processes::from([(me, (1, 5)), (me + 1, (me, 30)), (me + 2, (me + 1, 200))]);
        let mut watched = Watched::default();
        watched.add_self("client");
        watched.add("server", me + 1);
        let used = watched.used_of(&all).expect("all run");
        let of = |name| used[name].as_millis();
        assert_eq!((of("client"), of("server")), (50, 2_300));
    }

    #[test]
    fn what_this_process_uses_is_seen() {
        let mut watched = Watched::default();
        watched.add_self("me");
        let before = watched.used().expect("it runs")["me"];
        let began = std::time::Instant::now();
        let mut number = 1_u64;
        while watched.used().expect("it runs")["me"] < before + Duration::from_millis(20) {
            number = std::hint::black_box(number.wrapping_mul(3));
            assert!(began.elapsed() < Duration::from_secs(30), "it is busy all the time");
        }
        assert!(watched.resident_mib()["me"] > 0);
        let resident = watched.resident();
        assert!(resident.len() == 1 && resident[0].peak_kib >= resident[0].now_kib, "{resident:?}");
        assert!(resident[0].now_kib > 1_024, "{resident:?}");
        let mut gone = Watched::default();
        gone.add("nobody", u32::MAX);
        assert!(gone.used().is_err());
    }
}
