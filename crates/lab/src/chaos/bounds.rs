//! What the services take while they are hurt: memory all the while, descriptors, threads and tasks before and after, at rest.
//! All but the tasks is from `/proc`; those the services tell in their metrics.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_stack::eventually;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::field::Field;
use crate::service::Service;

/// Resident memory of any service, at the most.
const MEMORY_LIMIT_MIB: u64 = 256;
/// Connections, threads and tasks that come and go by themselves, such as those of a pool that is not full: twelve. And those
/// of one client of the log that is made when it is first needed, for records that are too large together: with three
/// brokers it has seventeen descriptors.
const SLACK: u64 = 30;
/// In the metrics of a service.
const TASKS: &str = "tokio_alive_tasks";
const LOOK: Duration = Duration::from_millis(250);
/// How long descriptors, threads and tasks of the last requests may take to go.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// What a process takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    memory_mib: u64,
    descriptors: u64,
    threads: u64,
    tasks: u64,
}

/// One service over the run.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) service: Service,
    pub(crate) peak_mib: u64,
    pub(crate) descriptors: [u64; 2],
    pub(crate) threads: [u64; 2],
    pub(crate) tasks: [u64; 2],
}

/// Looks at the services again and again.
pub(crate) struct Watch {
    before: BTreeMap<Service, Taken>,
    seen: Arc<Mutex<Seen>>,
    looking: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    pids: BTreeMap<Service, u32>,
    peaks: BTreeMap<Service, u64>,
}

impl Watch {
    /// Begins with services at rest.
    pub(crate) async fn start(field: &Field) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let looking = tokio::spawn(look(Arc::clone(&seen)));
        let watch = Self { before: taken(field).await, seen, looking };
        watch.follow(field);
        watch
    }

    /// Looks at the processes that run now.
    pub(crate) fn follow(&self, field: &Field) {
        locked(&self.seen).pids = pids(field);
    }

    /// What was taken, once the services are at rest again or take too long for it.
    pub(crate) async fn finish(self, field: &Field) -> Vec<Bound> {
        self.looking.abort();
        let rests = async || self.bounds(field).await.iter().all(Bound::came_back);
        // What has not come back shows in what is returned.
        eventually(REST_LIMIT, rests).await.ok();
        self.bounds(field).await
    }

    async fn bounds(&self, field: &Field) -> Vec<Bound> {
        let after = taken(field).await;
        let peaks = locked(&self.seen).peaks.clone();
        let bound = |(service, before): (&Service, &Taken)| {
            let after = after.get(service).copied().unwrap_or_default();
            Bound {
                service: *service,
                peak_mib: peaks.get(service).copied().unwrap_or(0).max(after.memory_mib),
                descriptors: [before.descriptors, after.descriptors],
                threads: [before.threads, after.threads],
                tasks: [before.tasks, after.tasks],
            }
        };
        self.before.iter().map(bound).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

impl Bound {
    /// Which of its bounds it has not kept.
    pub(crate) fn faults(&self) -> Vec<String> {
        let Self { service, peak_mib, .. } = self;
        let memory = (*peak_mib > MEMORY_LIMIT_MIB)
            .then(|| format!("{service:?} took {peak_mib} MiB, more than {MEMORY_LIMIT_MIB}"));
        let more = |what: &str, [before, after]: [u64; 2]| {
            (after > before.saturating_add(SLACK))
                .then(|| format!("{service:?} has {after} {what} at rest, and had {before}"))
        };
        let all = [
            memory,
            more("descriptors", self.descriptors),
            more("threads", self.threads),
            more("tasks", self.tasks),
        ];
        all.into_iter().flatten().collect()
    }

    pub(crate) fn limit_mib() -> u64 {
        MEMORY_LIMIT_MIB
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({"service": format!("{:?}", self.service), "peak_mib": self.peak_mib, "limit_mib": MEMORY_LIMIT_MIB,
               "descriptors": self.descriptors, "threads": self.threads, "tasks": self.tasks})
    }

    fn came_back(&self) -> bool {
        let is_back = |[before, after]: [u64; 2]| after <= before.saturating_add(SLACK);
        is_back(self.descriptors) && is_back(self.threads) && is_back(self.tasks)
    }
}

async fn look(seen: Arc<Mutex<Seen>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let mut seen = locked(&seen);
        for (service, pid) in seen.pids.clone() {
            if let Ok(taken) = taken_by(pid) {
                let peak = seen.peaks.entry(service).or_default();
                *peak = (*peak).max(taken.memory_mib);
            }
        }
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pids(field: &Field) -> BTreeMap<Service, u32> {
    let services = field.processes.services().iter();
    services.filter_map(|service| Some((*service, field.processes.pid(*service).ok()?))).collect()
}

async fn taken(field: &Field) -> BTreeMap<Service, Taken> {
    let mut all = BTreeMap::new();
    for (service, pid) in pids(field) {
        if let Ok(of_pid) = taken_by(pid) {
            // A service that tells nothing has more of them than any other: that is seen.
            let tasks = field.processes.metric(service, TASKS).await.unwrap_or(u64::MAX);
            all.insert(service, Taken { tasks, ..of_pid });
        }
    }
    all
}

fn taken_by(pid: u32) -> Result<Taken> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read the status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).context("list the descriptors")?.count() as u64;
    Ok(Taken { memory_mib: of("VmRSS:") / 1024, descriptors, threads: of("Threads:"), tasks: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_be_looked_at_and_a_leak_is_named() {
        let own = taken_by(std::process::id()).expect("runs");
        assert!(own.memory_mib > 0 && own.descriptors > 0 && own.threads > 0, "{own:?}");
        let bound = |peak_mib, descriptors, threads, tasks| Bound {
            service: Service::Gateway,
            peak_mib,
            descriptors: [10, descriptors],
            threads: [4, threads],
            tasks: [30, tasks],
        };
        assert!(bound(20, 12, 4, 35).faults().is_empty());
        assert_eq!(bound(MEMORY_LIMIT_MIB + 1, 300, 90, 900).faults().len(), 4);
    }
}
