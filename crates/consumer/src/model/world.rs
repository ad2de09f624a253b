//! The small world: what is in it, and each step that any of its parts may take.
//!
//! What a consumer decides, it decides by its own code: `start::{gap, decide}`, `count::fate`, `owned::Phase`. What the store
//! does is `blackfriday_store::model::Place`, which a property test holds against the functions on real servers. Only the log, and
//! how it is read, is described here.

use blackfriday_broker::{BrokerError, LastRead, TopicPartition};
use blackfriday_store::{LastRecord, Outcome};

use super::Fault;
use super::parts::{Consumer, Log, Starting, Store, at};
use crate::config::OnGap;
use crate::owned::Phase;
use crate::start::{Decision, Start, decide, gap};

/// Records that are ever in the log at once.
const MOST: usize = 2;
/// Records of a batch.
const BATCH: usize = 2;

/// Everything there is. Two that are equal have the same future.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) log: Log,
    pub(super) primary: Store,
    /// As the primary was at some time, and becomes when it replicates.
    pub(super) replica: Store,
    consumers: [Consumer; 2],
    faults_left: FaultsLeft,
}

/// How often something may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FaultsLeft {
    pub(super) failovers: u8,
    pub(super) lost_answers: u8,
    pub(super) lost_heads: u8,
    pub(super) lost_tails: u8,
    pub(super) departures: u8,
}

/// A step, and the world after it.
pub(super) type Step = (&'static str, World);

impl World {
    pub(super) fn new(faults_left: FaultsLeft) -> Self {
        let consumers = [Consumer::default(), Consumer::default()];
        Self {
            log: Log::default(),
            primary: Store::default(),
            replica: Store::default(),
            consumers,
            faults_left,
        }
    }

    /// All that may happen next.
    pub(super) fn steps(&self, fault: Option<Fault>) -> Vec<Step> {
        let mut steps = Vec::new();
        self.steps_of_the_log(&mut steps);
        self.steps_of_the_store(fault, &mut steps);
        // The consumers are alike: which of two equal ones takes a step is no difference.
        let both = self.consumers[0] != self.consumers[1];
        for who in if both { 0..2 } else { 0..1 } {
            self.steps_of_the_group(who, &mut steps);
            self.steps_of_a_start(who, &mut steps);
            self.steps_of_reading(who, fault, &mut steps);
            self.steps_of_counting(who, fault, &mut steps);
        }
        steps
    }

    fn steps_of_the_log(&self, steps: &mut Vec<Step>) {
        let mut step = |name, change: &dyn Fn(&mut World)| steps.push((name, self.after(change)));
        let (low, high) = (self.log.low, self.log.records.len());
        if high < MOST {
            step("a record is appended", &|world| {
                world.log.records.push(world.log.appended);
                world.log.appended += 1;
            });
        }
        // Where a tail was lost, and what came in its place is gone as well, nothing shows that there was another.
        let last_common = self.log.before.as_ref().map_or(high, |before| common(before, &self.log.records));
        if self.faults_left.lost_heads > 0 && low < last_common {
            step("retention takes the first record", &|world| {
                world.log.low += 1;
                world.faults_left.lost_heads -= 1;
            });
        }
        if self.faults_left.lost_tails > 0 && low < high {
            step("the log loses its last record", &|world| {
                world.log.before = Some(world.log.records.clone());
                world.log.records.pop();
                world.faults_left.lost_tails -= 1;
            });
        }
    }

    fn steps_of_the_store(&self, fault: Option<Fault>, steps: &mut Vec<Step>) {
        if self.replica != self.primary {
            let replicate = |world: &mut World| {
                let place = world.replica.place.clone();
                world.replica = world.primary.clone();
                if fault == Some(Fault::CountersWithoutPosition) {
                    world.replica.place = place;
                }
            };
            steps.push(("the store replicates", self.after(&replicate)));
            if self.faults_left.failovers > 0 {
                let fail_over = |world: &mut World| {
                    world.primary = world.replica.clone();
                    world.faults_left.failovers -= 1;
                };
                steps.push(("the stale replica becomes the primary", self.after(&fail_over)));
            }
        }
    }

    /// Assigned, adopted, revoked, killed: to the store it is all the same.
    fn steps_of_the_group(&self, who: usize, steps: &mut Vec<Step>) {
        if self.consumers[who].phase.is_none() {
            steps.push(("a consumer begins", self.after(&|world| world.consumers[who].begin(None))));
        } else if self.faults_left.departures > 0 {
            let leave = |world: &mut World| {
                world.consumers[who].give_up();
                (world.consumers[who].phase, world.consumers[who].start) = (None, Starting::Nothing);
                world.faults_left.departures -= 1;
            };
            steps.push(("a consumer leaves", self.after(&leave)));
        }
    }

    fn steps_of_a_start(&self, who: usize, steps: &mut Vec<Step>) {
        match &self.consumers[who].start {
            Starting::Nothing => {}
            Starting::Asks { replaced } => {
                let (stored, replaced) = (self.primary.place.0.clone(), *replaced);
                let know = |world: &mut World| {
                    world.consumers[who].start = Starting::Knows { stored: stored.clone(), replaced };
                };
                steps.push(("a start reads the position", self.after(&know)));
            }
            Starting::Knows { stored, replaced } => {
                let (stored, log) = (stored.clone(), self.log.watermarks());
                let gap = gap(&partition(), &stored, log, *replaced);
                if matches!(gap, Some(BrokerError::PastEnd { .. })) && stored.stopped.is_none() {
                    let again = |world: &mut World| {
                        world.consumers[who].start = Starting::Asks { replaced: *replaced };
                    };
                    steps.push(("a start waits for the log's end", self.after(&again)));
                }
                let (position, decision) = (stored.next, decide(OnGap::Stop, stored, log, gap));
                let start = |world: &mut World| world.start(who, position, &decision, *replaced);
                steps.push(("a start looks at the log", self.after(&start)));
            }
        }
    }

    fn start(&mut self, who: usize, position: i64, decision: &Decision, replaced: Option<LastRecord>) {
        let consumer = &mut self.consumers[who];
        match decision {
            Decision::Done(Start::At { position, last, check }) => {
                consumer.start = Starting::Nothing;
                consumer.phase = Some(Phase::Counting { position: *position, last: *last });
                (consumer.read, consumer.after) =
                    (at(*position), check.map(|LastRead { offset, digest }| LastRecord { offset, digest }));
                consumer.is_checked = check.is_none();
            }
            Decision::Done(Start::Stopped { .. }) => consumer.stop(),
            Decision::Stop { .. } => match self.primary.place.stop(position, "gap") {
                Outcome::Applied => consumer.stop(),
                Outcome::Refused { .. } | Outcome::Stopped { .. } => {
                    consumer.start = Starting::Asks { replaced }
                }
            },
            Decision::Move { .. } => unreachable!("nothing is skipped without being told to"),
        }
    }

    /// A reader goes on only after the record that it has read last, as far as the log still has that offset.
    fn steps_of_reading(&self, who: usize, fault: Option<Fault>, steps: &mut Vec<Step>) {
        let consumer = &self.consumers[who];
        let Some(Phase::Counting { last, .. }) = consumer.phase.as_ref().filter(|_| consumer.ready.is_none())
        else {
            return;
        };
        let (low, high) = (self.log.low, self.log.records.len());
        let is_unchecked = fault == Some(Fault::AnotherLogUnseen);
        let follows = is_unchecked
            || consumer.after.is_none_or(|after| at(after.offset) < low || self.log.holds(after));
        if consumer.read < low || consumer.read > high || (consumer.is_checked && !follows) {
            steps.push(("a reader is out of range", self.after(&|world| world.consumers[who].begin(None))));
        } else if !follows {
            let replaced = |world: &mut World| world.consumers[who].begin(*last);
            steps.push(("a reader finds another record", self.after(&replaced)));
        } else {
            for to in consumer.read + 1..=high.min(consumer.read + BATCH) {
                let read = |world: &mut World| world.consumers[who].take(&self.log.records, to);
                steps.push(("a batch is read", self.after(&read)));
            }
        }
    }

    fn steps_of_counting(&self, who: usize, fault: Option<Fault>, steps: &mut Vec<Step>) {
        let consumer = &self.consumers[who];
        if consumer.sent.is_none() && consumer.ready.is_some() {
            let send = |world: &mut World| world.consumers[who].sent = world.consumers[who].ready.take();
            steps.push(("a batch is sent", self.after(&send)));
        }
        if let Some(batch) = &consumer.sent {
            let settle = |world: &mut World| {
                let outcome = world.primary.apply(batch, fault);
                world.consumers[who].settle(batch, outcome, fault);
            };
            steps.push(("a batch is applied and answered", self.after(&settle)));
            if self.faults_left.lost_answers > 0 {
                let lose = |world: &mut World| {
                    world.primary.apply(batch, fault);
                    world.faults_left.lost_answers -= 1;
                };
                steps.push(("a batch is applied and its answer is lost", self.after(&lose)));
            }
        }
        if let Some(batch) = &consumer.stray {
            let apply = |world: &mut World| {
                world.primary.apply(batch, fault);
                world.consumers[who].stray = None;
            };
            steps.push(("a batch of before arrives", self.after(&apply)));
        }
        let position = consumer.phase.as_ref().and_then(Phase::position);
        let change = consumer.phase.as_ref().and_then(|phase| phase.change(position, &self.primary.place.0));
        if consumer.sent.is_none() && change.is_some() {
            steps.push(("a look finds a change", self.after(&|world| world.consumers[who].begin(None))));
        }
    }

    fn after(&self, change: &dyn Fn(&mut World)) -> World {
        let mut world = self.clone();
        change(&mut world);
        world
    }
}

fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn partition() -> TopicPartition {
    TopicPartition::new("ventas", 0)
}
