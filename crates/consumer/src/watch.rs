//! A look at store and log, twice a second, one at a time: how far the log is ahead, whether somebody else moved a position,
//! and which partitions no consumer counts.
//!
//! The group says who should count a partition. It takes seconds to notice that one died, and to agree on who is next; the
//! store's position says at once whether anybody counts. So a partition with records, whose position does not move, is
//! adopted. That two count one partition does no harm: the store refuses one of them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use blackfriday_broker::{Admin, TopicPartition, Watermarks};
use blackfriday_store::{Store, StoreError, StoredPartition};
use futures_util::future::join_all;

/// For each question to the broker.
const ANSWER_LIMIT: Duration = Duration::from_millis(1_500);
/// How long a position with records above it does not move, at least, until the partition is adopted.
const STILL: Duration = Duration::from_millis(800);
/// And how many of the store's round trips: where it is slow, a consumer that counts moves the position seldom.
const ROUND_TRIPS: u32 = 3;
/// After an adopted partition turned out to be counted by another, or could not be.
const COOL_DOWN: Duration = Duration::from_secs(5);

/// What one look found.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// None if the store did not answer.
    pub(crate) stored: Option<BTreeMap<TopicPartition, StoredPartition>>,
    pub(crate) logs: BTreeMap<TopicPartition, Watermarks>,
    /// How long the store took to answer.
    pub(crate) took: Duration,
}

/// Partitions whose positions do not move.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    still: HashMap<TopicPartition, (i64, Instant)>,
    cooling: HashMap<TopicPartition, Instant>,
}

/// Looks once.
///
/// # Errors
/// The store is not as it should be, and does not get so by itself.
pub(crate) async fn look(store: &Store, admin: &Admin, topics: &[&str]) -> Result<Seen, StoreError> {
    let began = Instant::now();
    let stored = async { (stored(store, topics).await, began.elapsed()) };
    let ((stored, took), logs) = tokio::join!(stored, logs(admin, topics));
    Ok(Seen { stored: stored?, logs, took })
}

async fn stored(
    store: &Store,
    topics: &[&str],
) -> Result<Option<BTreeMap<TopicPartition, StoredPartition>>, StoreError> {
    let mut all = BTreeMap::new();
    for topic in topics {
        match store.partitions(topic).await {
            Ok(partitions) => all
                .extend(partitions.into_iter().map(|(id, stored)| (TopicPartition::new(*topic, id), stored))),
            Err(error) if error.is_retryable() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(all))
}

async fn logs(admin: &Admin, topics: &[&str]) -> BTreeMap<TopicPartition, Watermarks> {
    let partitions = join_all(topics.iter().map(|topic| admin.partitions_within(topic, ANSWER_LIMIT))).await;
    let ranges = partitions.into_iter().flatten().flatten().map(async |partition| {
        let range = admin.watermarks_within(&partition, ANSWER_LIMIT).await.ok()?;
        Some((partition, range))
    });
    join_all(ranges).await.into_iter().flatten().collect()
}

impl Orphans {
    /// Takes a look, and names the partitions to adopt among those that are not ours. `trip`: the store's last round trip.
    pub(crate) fn of(
        &mut self,
        seen: &Seen,
        trip: Duration,
        is_ours: impl Fn(&TopicPartition) -> bool,
    ) -> Vec<TopicPartition> {
        let Some(stored) = &seen.stored else {
            self.still.clear();
            return Vec::new();
        };
        let (now, still) = (Instant::now(), STILL.max(trip * ROUND_TRIPS));
        // What was not seen may have moved meanwhile.
        self.still.retain(|partition, _| seen.logs.contains_key(partition));
        self.cooling.retain(|_, since| now.duration_since(*since) < COOL_DOWN);
        let mut orphans = Vec::new();
        for (partition, log) in &seen.logs {
            let at = stored.get(partition).cloned().unwrap_or_default();
            if is_ours(partition) || at.stopped.is_some() || at.next == log.high {
                self.still.remove(partition);
                continue;
            }
            let (position, since) = *self.still.entry(partition.clone()).or_insert((at.next, now));
            if position != at.next {
                self.still.insert(partition.clone(), (at.next, now));
            } else if now.duration_since(since) >= still && !self.cooling.contains_key(partition) {
                self.still.remove(partition);
                orphans.push(partition.clone());
            }
        }
        orphans
    }

    /// This partition is not to be adopted again soon.
    pub(crate) fn cool(&mut self, partition: &TopicPartition) {
        self.cooling.insert(partition.clone(), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(next: i64, high: i64, stopped: bool) -> Seen {
        let partition = TopicPartition::new("ventas", 0);
        let stored = StoredPartition {
            next,
            stopped: stopped.then(|| "a gap".to_owned()),
            ..StoredPartition::default()
        };
        Seen {
            stored: Some([(partition.clone(), stored)].into()),
            logs: [(partition, Watermarks { low: 0, high })].into(),
            took: Duration::ZERO,
        }
    }

    fn age(orphans: &mut Orphans) {
        for (_, since) in orphans.still.values_mut() {
            *since = since.checked_sub(STILL).expect("the clock runs since the machine started");
        }
    }

    #[test]
    fn a_partition_is_adopted_when_it_has_records_and_its_position_stands_still() {
        let partition = TopicPartition::new("ventas", 0);
        let mut orphans = Orphans::default();
        let nobody = |_: &TopicPartition| false;
        assert!(orphans.of(&seen(5, 9, false), Duration::ZERO, nobody).is_empty(), "the first look");
        age(&mut orphans);
        assert!(orphans.of(&seen(6, 9, false), Duration::ZERO, nobody).is_empty(), "it moved");
        age(&mut orphans);
        assert_eq!(orphans.of(&seen(6, 9, false), Duration::ZERO, nobody), std::slice::from_ref(&partition));
        orphans.cool(&partition);
        for what in [seen(6, 9, true), seen(9, 9, false), Seen::default(), seen(6, 9, false)] {
            orphans.of(&what, Duration::ZERO, nobody);
            age(&mut orphans);
            assert!(orphans.of(&what, Duration::ZERO, nobody).is_empty(), "{what:?}");
        }
        orphans.cooling.clear();
        age(&mut orphans);
        assert!(orphans.of(&seen(6, 9, false), Duration::ZERO, |_| true).is_empty(), "ours");
    }

    #[test]
    fn a_partition_is_not_adopted_while_the_store_is_slow_or_after_a_look_that_did_not_see_it() {
        let mut orphans = Orphans::default();
        let nobody = |_: &TopicPartition| false;
        let slow = STILL;
        assert!(orphans.of(&seen(5, 9, false), slow, nobody).is_empty());
        age(&mut orphans);
        assert!(orphans.of(&seen(5, 9, false), slow, nobody).is_empty(), "one round trip of three");
        let unseen = Seen { logs: BTreeMap::new(), ..seen(5, 9, false) };
        assert!(orphans.of(&unseen, Duration::ZERO, nobody).is_empty());
        assert!(
            orphans.of(&seen(5, 9, false), Duration::ZERO, nobody).is_empty(),
            "it begins to stand still"
        );
        age(&mut orphans);
        assert_eq!(orphans.of(&seen(5, 9, false), Duration::ZERO, nobody).len(), 1);
    }
}
