use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blackfriday_store::{Snapshot, SnapshotRequest, Store};
use blackfriday_terminal::output::grouped;
use blackfriday_terminal::progress::{Following, Length, Progress};

use crate::pipeline::Events;

/// Follows what was accepted, and what the store says was counted.
pub(super) fn follow(events: Events, number: u64, accepted: Arc<AtomicU64>, store: Store) -> Following {
    let shown = Progress::new(&[("accepted", Length::Number(number)), ("counted", Length::Number(number))]);
    let before = Arc::new(AtomicU64::new(0));
    Following::new(shown, move || {
        let (accepted, before, store) = (Arc::clone(&accepted), Arc::clone(&before), store.clone());
        async move {
            // Before the store is read, so that a lag is shown rather too small than too large. What was counted may be more:
            // answers are under way, and some events are counted whose client never hears of it.
            let accepted = accepted.load(Ordering::Relaxed);
            let counted = counted(events, &store).await.unwrap_or_else(|| before.load(Ordering::Relaxed));
            before.store(counted, Ordering::Relaxed);
            let lag = accepted.checked_sub(counted).map(|lag| format!("lag {}", grouped(lag)));
            (vec![accepted, counted], lag.unwrap_or_default())
        }
    })
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
