use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use blackfriday_store::{Snapshot, SnapshotRequest, Store};
use blackfriday_terminal::output::{self, grouped};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::pipeline::Events;

const REFRESH: Duration = Duration::from_millis(200);
/// Where there is no terminal, a line this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far the load is, on standard error: bars on a terminal, lines elsewhere.
pub(super) struct Progress {
    bars: Option<[ProgressBar; 2]>,
    follow: JoinHandle<()>,
}

/// How far the load is.
#[derive(Clone, Copy)]
struct Standing {
    accepted: u64,
    counted: u64,
}

/// A line that says what is being done, gone on drop.
pub(super) struct Steps(ProgressBar);

impl Steps {
    pub(super) fn new(first: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(first);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    pub(super) fn next(&self, step: &'static str) {
        self.0.set_message(step);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Follows what was accepted, and what the store says was counted.
pub(super) fn follow(events: Events, number: u64, accepted: Arc<AtomicU64>, store: Store) -> Progress {
    let bars = stderr().is_terminal().then(|| bars(number));
    let shown = bars.clone();
    let follow = tokio::spawn(async move {
        let (started, mut last_line) = (Instant::now(), Instant::now());
        let mut tick = interval(REFRESH);
        let mut standing = Standing { accepted: 0, counted: 0 };
        loop {
            tick.tick().await;
            // Before the store is read, so that a lag is shown rather too small than too large.
            standing.accepted = accepted.load(Ordering::Relaxed);
            standing.counted = counted(events, &store).await.unwrap_or(standing.counted);
            match &shown {
                Some(bars) => standing.show(bars),
                None if last_line.elapsed() >= LINE_EVERY => {
                    last_line = Instant::now();
                    output::note(standing.line(started.elapsed()));
                }
                None => {}
            }
        }
    });
    Progress { bars, follow }
}

impl Progress {
    pub(super) async fn finish(mut self) {
        self.follow.abort();
        // Canceled, as was just asked for.
        (&mut self.follow).await.ok();
    }
}

/// However the load ends, the screen is whole.
impl Drop for Progress {
    fn drop(&mut self) {
        self.follow.abort();
        self.bars.iter().flatten().for_each(ProgressBar::finish_and_clear);
    }
}

impl Standing {
    fn lag(self) -> u64 {
        self.accepted.saturating_sub(self.counted)
    }

    fn show(self, [accepted, counted]: &[ProgressBar; 2]) {
        accepted.set_position(self.accepted);
        counted.set_position(self.counted);
        counted.set_message(format!("lag {}", grouped(self.lag())));
    }

    fn line(self, after: Duration) -> String {
        let Self { accepted, counted } = self;
        let (accepted, counted, lag) = (grouped(accepted), grouped(counted), grouped(self.lag()));
        format!("  after {:2.0} s: accepted {accepted}, counted {counted}, lag {lag}", after.as_secs_f64())
    }
}

fn bars(number: u64) -> [ProgressBar; 2] {
    let all = MultiProgress::new();
    let template = "  {prefix:9} {wide_bar} {human_pos:>9} / {human_len}  {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    ["accepted", "counted"]
        .map(|name| all.add(ProgressBar::new(number).with_style(style.clone()).with_prefix(name)))
}

async fn counted(events: Events, store: &Store) -> Option<u64> {
    let nothing_else = SnapshotRequest { histories: Vec::new(), ..SnapshotRequest::from(1) };
    let Snapshot { categories, weather, .. } = store.snapshot(nothing_else).await.ok()?;
    match events {
        Events::Sales => {
            let sales =
                categories.values().filter_map(|category| category.sales.as_ref()?.parse::<u64>().ok());
            Some(sales.sum())
        }
        Events::Weather => weather.total?.parse().ok(),
    }
}
