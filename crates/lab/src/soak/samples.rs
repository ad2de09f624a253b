//! What each service takes over time, from `/proc`: memory, descriptors, threads.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::slope::Slope;
use crate::service::Service;
use crate::taken::Taken;

/// Looks in a whole run.
const LOOKS: u32 = 240;
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// Of the time, that the first quarter has: pools and buffers fill.
const WARMING: f64 = 0.25;
/// What may be more at the end of the line than at its begin, whatever the error: a buffer that was first full late. KiB.
const MEMORY_LIMIT_KIB: f64 = 1024.0;
/// Likewise, a connection or a thread.
const COUNT_LIMIT: f64 = 2.0;

/// Looks at the services again and again.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    looking: JoinHandle<()>,
}

#[derive(Debug)]
struct Seen {
    tracks: Vec<Track>,
    /// What every look is written into, until it takes no more; then why.
    kept: Option<io::Result<File>>,
}

#[derive(Debug)]
struct Track {
    service: Service,
    pid: u32,
    /// Times as parts of the whole run, and in hours.
    looks: Vec<(f64, f64, Taken)>,
}

/// What one service takes, and how that grew.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) service: Service,
    pub(super) looks: usize,
    pub(super) memory_kib: Measure,
    pub(super) descriptors: Measure,
    pub(super) threads: Measure,
}

/// One thing that a service takes, at the begin of what is measured, at its end, and between.
#[derive(Debug)]
pub(super) struct Measure {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) most: u64,
    /// Nothing if it could not be looked at often enough.
    pub(super) slope: Option<Slope>,
    limit: f64,
}

impl Watch {
    /// Each look is kept in this file, too, as soon as it was taken: a line of JSON for each service.
    pub(super) fn start(services: Vec<(Service, u32)>, total: Duration, kept: Option<File>) -> Self {
        let track = |(service, pid)| Track { service, pid, looks: Vec::new() };
        let tracks = services.into_iter().map(track).collect();
        let seen = Arc::new(Mutex::new(Seen { tracks, kept: kept.map(Ok) }));
        let looking = tokio::spawn(look(Arc::clone(&seen), total));
        Self { seen, looking }
    }

    /// # Errors
    /// Not every look could be kept.
    pub(super) fn finish(self) -> Result<Vec<Grown>> {
        self.looking.abort();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.kept.take().transpose().context("keep the samples")?;
        Ok(seen.tracks.iter().map(Grown::of).collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn look(seen: Arc<Mutex<Seen>>, total: Duration) {
    let begin = Instant::now();
    let mut pause = interval((total / LOOKS).max(SHORTEST_PAUSE));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        let at = begin.elapsed().as_secs_f64();
        let (part, hours) = (at / total.as_secs_f64(), at / 3600.0);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        for track in &mut seen.tracks {
            // One that has ended is looked at too seldom, which shows.
            if let Ok(taken) = Taken::by(track.pid) {
                track.looks.push((part, hours, taken));
                lines += &line(at, track.service, &taken);
            }
        }
        seen.keep(&lines);
    }
}

/// One look at one service.
fn line(seconds: f64, service: Service, taken: &Taken) -> String {
    let Taken { memory_kib, descriptors, threads, .. } = taken;
    let seconds = (seconds * 1000.0).round() / 1000.0;
    let line = json!({"seconds": seconds, "service": format!("{service:?}"), "memory_kib": memory_kib,
                      "descriptors": descriptors, "threads": threads});
    format!("{line}\n")
}

impl Seen {
    fn keep(&mut self, lines: &str) {
        if let Some(Ok(file)) = &mut self.kept
            && let Err(error) = file.write_all(lines.as_bytes())
        {
            self.kept = Some(Err(error));
        }
    }
}

impl Grown {
    fn of(track: &Track) -> Self {
        let looks: Vec<_> = track.looks.iter().filter(|(part, ..)| *part >= WARMING).collect();
        let measure = |limit: f64, of: fn(&Taken) -> u64| {
            let values: Vec<_> = looks.iter().map(|(_, hours, taken)| (*hours, of(taken))).collect();
            Measure::of(&values, limit)
        };
        Self {
            service: track.service,
            looks: looks.len(),
            memory_kib: measure(MEMORY_LIMIT_KIB, |taken| taken.memory_kib),
            descriptors: measure(COUNT_LIMIT, |taken| taken.descriptors),
            threads: measure(COUNT_LIMIT, |taken| taken.threads),
        }
    }

    /// What is not flat.
    pub(super) fn faults(&self) -> Vec<String> {
        let all =
            [("memory", &self.memory_kib), ("descriptors", &self.descriptors), ("threads", &self.threads)];
        let fault = |(name, measure): (&str, &Measure)| measure.fault().map(|what| format!("{name}: {what}"));
        all.into_iter().filter_map(fault).map(|what| format!("{:?}, {what}", self.service)).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"service": format!("{:?}", self.service), "looks": self.looks, "memory_kib": self.memory_kib.to_json(),
               "descriptors": self.descriptors.to_json(), "threads": self.threads.to_json()})
    }
}

impl Measure {
    #[expect(clippy::cast_precision_loss, reason = "kibibytes and descriptors are far below 2⁵²")]
    fn of(values: &[(f64, u64)], limit: f64) -> Self {
        let points: Vec<_> = values.iter().map(|(hours, value)| (*hours, *value as f64)).collect();
        let all = || values.iter().map(|(_, value)| *value);
        Self {
            first: all().next().unwrap_or(0),
            last: all().next_back().unwrap_or(0),
            most: all().max().unwrap_or(0),
            slope: Slope::through(&points),
            limit,
        }
    }

    fn fault(&self) -> Option<String> {
        match self.slope {
            None => Some("it ended before it could be measured".to_owned()),
            Some(slope) if slope.is_flat(self.limit) => None,
            Some(slope) => Some(format!("grew by {:.1}, {slope} an hour", slope.grown)),
        }
    }

    fn to_json(&self) -> Value {
        json!({"first": self.first, "last": self.last, "most": self.most, "slope": self.slope.map(Slope::to_json)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(memory_kib: impl Fn(u64) -> u64, looks: u64) -> Track {
        let look = |at: u64| {
            let part = f64::from(u32::try_from(at).expect("few")) / 100.0;
            (part, part / 3.0, Taken { memory_kib: memory_kib(at), descriptors: 20, ..Taken::default() })
        };
        Track { service: Service::Gateway, pid: 1, looks: (0..looks).map(look).collect() }
    }

    #[test]
    fn what_grows_after_the_first_quarter_is_named() {
        let leaks = Grown::of(&track(|at| 20_000 + 100 * at, 100));
        assert_eq!((leaks.looks, leaks.memory_kib.first, leaks.memory_kib.last), (75, 22_500, 29_900));
        assert_eq!(leaks.faults().len(), 1, "{:?}", leaks.faults());
        assert!(leaks.faults()[0].starts_with("Gateway, memory: grew by 7400.0, "), "{:?}", leaks.faults());
        let warms = Grown::of(&track(|at| 20_000 + 1_000 * at.min(25), 100));
        assert!(warms.faults().is_empty(), "{:?}", warms.faults());
    }

    #[test]
    fn what_ended_early_is_not_flat() {
        let ended = Grown::of(&track(|_| 20_000, 20));
        assert_eq!(ended.faults().len(), 3, "{:?}", ended.faults());
    }

    #[test]
    fn a_file_that_takes_nothing_is_told() {
        let only_read = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("it is there");
        let mut seen = Seen { tracks: Vec::new(), kept: Some(Ok(only_read)) };
        seen.keep("a line\n");
        assert!(matches!(seen.kept, Some(Err(_))), "{seen:?}");
    }
}
