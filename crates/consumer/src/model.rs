//! The consumer's protocol in a small world, all of whose states are visited: two consumers of one partition, a log that grows
//! and loses its head and its tail, a store that fails over to a stale copy, answers that get lost, owners that come and go at
//! any time. Partitions do not meet in the protocol, so that one is enough.
//!
//! Invariant: what the store has counted is a beginning of the log, each record once, and the position is its length; and a
//! partition is stopped only where the log is not the one that was counted.
//!
//! The search is a queue and a set: there is nothing in it that a model checker of its own would do shorter.

mod parts;
mod world;

use std::collections::{HashMap, VecDeque};

use self::world::{FaultsLeft, World};

/// A fault of the protocol itself, which the search must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The store counts a batch whatever its position is.
    PositionUnchecked,
    /// Nobody looks for the record that was counted last.
    AnotherLogUnseen,
    /// A refusal at the position that the batch leads to is taken for a try of one's own that was applied.
    RefusalTakenForApplied,
    /// The counters are replicated by themselves.
    CountersWithoutPosition,
}

/// Every state that can be reached, with the state and the step that it was reached by first.
struct Visited {
    worlds: Vec<World>,
    /// By number of the state.
    from: Vec<Option<(usize, &'static str)>>,
    /// All ways into a state.
    before: Vec<Vec<usize>>,
    transitions: usize,
}

/// The log loses its head and its tail.
const OF_THE_LOG: FaultsLeft =
    FaultsLeft { failovers: 0, lost_answers: 0, lost_heads: 1, lost_tails: 1, departures: 1 };
/// The store goes back, twice.
const OF_THE_STORE: FaultsLeft =
    FaultsLeft { failovers: 2, lost_answers: 1, lost_heads: 0, lost_tails: 0, departures: 1 };

impl Visited {
    /// Visits all states, or ends at the first that is wrong, with the steps that lead there.
    fn all(faults_left: FaultsLeft, fault: Option<Fault>) -> Result<Self, Vec<&'static str>> {
        let first = World::new(faults_left);
        let mut numbers = HashMap::from([(first.clone(), 0)]);
        let mut visited =
            Self { worlds: vec![first], from: vec![None], before: vec![Vec::new()], transitions: 0 };
        let mut queue = VecDeque::from([0]);
        while let Some(number) = queue.pop_front() {
            let world = visited.worlds[number].clone();
            for (step, next) in world.steps(fault) {
                visited.transitions += 1;
                let known = numbers.get(&next).copied();
                let of_next = known.unwrap_or(visited.worlds.len());
                if known.is_none() {
                    numbers.insert(next.clone(), of_next);
                    visited.worlds.push(next);
                    visited.from.push(Some((number, step)));
                    visited.before.push(Vec::new());
                    queue.push_back(of_next);
                }
                visited.before[of_next].push(number);
                if !is_right(&world, &visited.worlds[of_next]) {
                    let mut steps = visited.way_to(number);
                    steps.push(step);
                    return Err(steps);
                }
            }
        }
        Ok(visited)
    }

    fn way_to(&self, mut number: usize) -> Vec<&'static str> {
        let mut steps = Vec::new();
        while let Some((before, step)) = self.from[number] {
            steps.push(step);
            number = before;
        }
        steps.reverse();
        steps
    }

    /// The states from which no state can be reached in which all is counted, or the partition is stopped.
    fn dead_ends(&self) -> Vec<usize> {
        let is_done = |world: &World| {
            world.primary.place.0.stopped.is_some() || world.primary.counted == world.log.records
        };
        let mut ends = vec![false; self.worlds.len()];
        let mut queue: Vec<_> =
            (0..self.worlds.len()).filter(|number| is_done(&self.worlds[*number])).collect();
        queue.iter().for_each(|number| ends[*number] = true);
        while let Some(number) = queue.pop() {
            for before in &self.before[number] {
                if !std::mem::replace(&mut ends[*before], true) {
                    queue.push(*before);
                }
            }
        }
        (0..ends.len()).filter(|number| !ends[*number]).collect()
    }
}

/// Whether a world is right, and so is the step to it.
fn is_right(before: &World, world: &World) -> bool {
    let logs = || [Some(&world.log.records), world.log.before.as_ref()].into_iter().flatten();
    let is_a_beginning = [&world.primary, &world.replica].into_iter().all(|store| {
        let length = usize::try_from(store.place.0.next).is_ok_and(|next| next == store.counted.len());
        length && logs().any(|log| log.starts_with(&store.counted))
    });
    let was_stopped = before.primary.place.0.stopped.is_none() && world.primary.place.0.stopped.is_some();
    let is_the_log =
        world.log.records.starts_with(&world.primary.counted) && world.primary.counted.len() >= world.log.low;
    let is_the_same_store = before.primary.counted == world.primary.counted;
    is_a_beginning && !(was_stopped && is_the_log && is_the_same_store)
}

#[test]
fn what_is_counted_is_a_beginning_of_the_log_in_every_state() {
    for faults_left in [OF_THE_LOG, OF_THE_STORE] {
        let visited = Visited::all(faults_left, None).expect("no state is wrong");
        println!("{} states, {} transitions", visited.worlds.len(), visited.transitions);
        assert!(visited.worlds.len() > 40_000, "the world became smaller");
        let dead_ends = visited.dead_ends();
        let first = dead_ends.first().map(|number| (visited.way_to(*number), &visited.worlds[*number]));
        assert_eq!(first, None, "{} states lead to no end", dead_ends.len());
    }
}

/// By as few steps as it takes.
#[test]
fn a_fault_of_the_protocol_is_found() {
    for (fault, faults_left, fewest) in [
        (Fault::PositionUnchecked, OF_THE_STORE, 8),
        (Fault::AnotherLogUnseen, OF_THE_LOG, 13),
        (Fault::RefusalTakenForApplied, OF_THE_LOG, 19),
        (Fault::CountersWithoutPosition, OF_THE_STORE, 8),
    ] {
        let steps = Visited::all(faults_left, Some(fault)).err().expect("it is found");
        assert_eq!(steps.len(), fewest, "{fault:?}: {steps:#?}");
    }
}
