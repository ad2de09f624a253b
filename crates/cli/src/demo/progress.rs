use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blackfriday_store::{SnapshotRequest, Store};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::interval;

const REFRESH: Duration = Duration::from_millis(200);

/// Two bars: accepted and counted. On a terminal only; elsewhere nothing is drawn.
pub(super) struct Bars {
    accepted: ProgressBar,
    counted: ProgressBar,
    follow: JoinHandle<()>,
}

/// A line that says what is being done.
pub(super) fn steps() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Follows what was accepted, and what the store says was counted.
pub(super) fn bars(sales: u64, accepted_so_far: Arc<AtomicU64>, store: Store) -> Bars {
    let all = MultiProgress::new();
    let style = ProgressStyle::with_template("  {prefix:9} {bar:40} {human_pos:>9} / {human_len}  {per_sec}")
        .expect("the template is well formed");
    let bar =
        |name: &'static str| all.add(ProgressBar::new(sales).with_style(style.clone()).with_prefix(name));
    let (accepted, counted) = (bar("accepted"), bar("counted"));
    let (show_accepted, show_counted) = (accepted.clone(), counted.clone());
    let follow = tokio::spawn(async move {
        let mut tick = interval(REFRESH);
        loop {
            tick.tick().await;
            show_accepted.set_position(accepted_so_far.load(Ordering::Relaxed));
            if let Ok(snapshot) =
                store.snapshot(SnapshotRequest { histories: Vec::new(), ..SnapshotRequest::from(1) }).await
            {
                let sales = snapshot
                    .categories
                    .values()
                    .filter_map(|category| category.sales.as_ref()?.parse::<u64>().ok());
                show_counted.set_position(sales.sum());
            }
        }
    });
    Bars { accepted, counted, follow }
}

impl Bars {
    pub(super) async fn finish(self) {
        self.follow.abort();
        // Canceled, as was just asked for.
        self.follow.await.ok();
        self.accepted.finish_and_clear();
        self.counted.finish_and_clear();
    }
}
