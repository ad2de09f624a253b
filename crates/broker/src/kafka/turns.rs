//! Which records go to librdkafka when: the next ones of a partition after the last have their outcomes.
//!
//! An idempotent librdkafka sends no further request for a partition while more than five of its records are on their way
//! (`RD_KAFKA_IDEMP_MAX_INFLIGHT` is compared with records, not with requests), and with `linger.ms=0` its sending thread
//! polls without a pause meanwhile. So records wait here instead, and go together in one request; and a batch that may go
//! anywhere goes to a partition that has nothing on its way.
//!
//! Invariant: what waits and what is on its way are together within the limits of the client's queue; and each record is
//! handed over once, or has its outcome without.

mod partition;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::BaseRecord;

pub(super) use self::partition::Turn;
use self::partition::{Partition, Ready, Room};
use super::client::Client;
use super::config::ProducerConfig;
use super::fate::of_client_error;
use super::headers;
use super::served::{Served, let_go};
use crate::delivery::Slot;
use crate::error::PublishError;
use crate::record::OutgoingRecord;

/// The partitions of a producer's topics, and what waits for them.
pub(super) struct Turns {
    topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    room: Room,
    client: OnceLock<Weak<Client>>,
}

/// A topic as the last look at it showed it.
struct Topic {
    partitions: Vec<Arc<Partition>>,
    /// Where the next batch begins to look for a partition.
    next: AtomicUsize,
}

/// What goes along with a record until its outcome: its place in its batch, and what its outcome gives back.
pub(super) struct Sent {
    pub(super) slot: Slot,
    pub(super) turn: Option<Turn>,
}

/// A batch that is being handed over.
pub(super) struct Handing<'a> {
    turns: &'a Turns,
    client: &'a Served,
    at: Option<At>,
    groups: Vec<(Arc<Partition>, Vec<Ready>)>,
}

/// The topic of a batch's records.
struct At {
    name: String,
    topic: Option<Arc<Topic>>,
    /// Where those go that may go anywhere.
    chosen: Option<Arc<Partition>>,
}

impl Turns {
    pub(super) fn new(config: &ProducerConfig) -> Self {
        Self { topics: RwLock::default(), room: Room::new(config), client: OnceLock::new() }
    }

    /// The client that takes what has waited.
    pub(super) fn lead_to(&self, client: &Arc<Client>) {
        self.client.set(Arc::downgrade(client)).ok();
    }

    /// What a look at a topic showed. One that has no partitions for a moment keeps those that are known.
    pub(super) fn looked(&self, topic: &MetadataTopic) {
        if topic.partitions().is_empty() {
            return;
        }
        let known = self.topic(topic.name());
        let leads =
            |id: usize| topic.partitions().iter().any(|found| found.id() == to_id(id) && found.leader() >= 0);
        let count = topic.partitions().len();
        match known.filter(|known| known.partitions.len() == count) {
            Some(known) => {
                for (id, partition) in known.partitions.iter().enumerate() {
                    partition.set_leader(leads(id));
                }
            }
            None => self.learn(topic.name(), count, leads),
        }
    }

    fn learn(&self, name: &str, count: usize, leads: impl Fn(usize) -> bool) {
        let known = self.topic(name);
        let known = known.as_ref().map_or(&[][..], |known| &known.partitions[..]);
        let partition =
            |id: usize| known.get(id).cloned().unwrap_or_else(|| Partition::new(to_id(id), leads(id)));
        let topic = Topic { partitions: (0..count).map(partition).collect(), next: AtomicUsize::new(0) };
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(name.to_owned(), Arc::new(topic));
    }

    fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Begins to hand a batch over.
    pub(super) fn hand_over<'a>(&'a self, client: &'a Served) -> Handing<'a> {
        Handing { turns: self, client, at: None, groups: Vec::new() }
    }

    /// A record has its outcome. After the last one of its partition those follow that have waited.
    pub(super) fn done(&self, turn: Turn) {
        self.room.give_back(turn.bytes);
        let Some(ready) = turn.partition.done() else { return };
        let Some(client) = self.client.get().and_then(Weak::upgrade) else {
            ready.into_iter().for_each(|ready| self.refuse(ready, PublishError::Unavailable));
            return;
        };
        let current = client.current();
        self.send_all(&current, &turn.partition, ready);
        let_go(current);
        let_go(client);
    }

    /// Whether records wait or are on their way.
    pub(super) fn is_idle(&self) -> bool {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.values().flat_map(|topic| &topic.partitions).all(|partition| partition.is_idle())
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.values().flat_map(|topic| &topic.partitions).map(|partition| partition.waiting()).sum()
    }

    /// Hands records over that count as on their way.
    fn send_all(&self, client: &Served, partition: &Arc<Partition>, ready: Vec<Ready>) {
        let mut refused = 0;
        for Ready { record, slot } in ready {
            let bytes = record.bytes();
            let turn = Turn { partition: Arc::clone(partition), bytes };
            let sent = Box::new(Sent { slot, turn: Some(turn) });
            if let Err((error, sent)) = send(client, &record, Some(partition.id()), sent) {
                self.room.give_back(bytes);
                sent.slot.fill(Err(of_client_error(&error)));
                refused += 1;
            }
        }
        // What was refused has its outcome, and others may have come to wait meanwhile.
        if let Some(ready) = partition.done_with(refused) {
            self.send_all(client, partition, ready);
        }
    }

    fn refuse(&self, ready: Ready, error: PublishError) {
        self.room.give_back(ready.record.bytes());
        ready.slot.fill(Err(error));
    }
}

impl Topic {
    /// For a batch that may go anywhere: a partition without records on their way, or else the one for which the fewest wait.
    fn choose(&self) -> Option<Arc<Partition>> {
        let count = self.partitions.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(count)?;
        let in_turn =
            || (first..first + count).map(|at| &self.partitions[at % count]).filter(|one| one.has_leader());
        let idle = in_turn().find(|one| one.is_idle());
        idle.or_else(|| in_turn().min_by_key(|one| one.waiting())).cloned()
    }
}

impl Handing<'_> {
    /// Adds a record; its outcome is in its slot if it cannot be handed over.
    pub(super) fn add(&mut self, record: OutgoingRecord, slot: Slot) {
        let Some(partition) = self.partition(&record) else {
            return hand(self.client, &record, slot);
        };
        if !self.turns.room.take(record.bytes()) {
            return slot.fill(Err(PublishError::QueueFull));
        }
        match self.groups.iter_mut().find(|(group, _)| Arc::ptr_eq(group, &partition)) {
            Some((_, ready)) => ready.push(Ready { record, slot }),
            None => self.groups.push((partition, vec![Ready { record, slot }])),
        }
    }

    /// Hands over whose turn it is; the others wait.
    pub(super) fn finish(self) {
        for (partition, ready) in self.groups {
            let ready = partition.begin(ready);
            self.turns.send_all(self.client, &partition, ready);
        }
    }

    /// Where a record goes; none if the client decides, because the topic or the partition is not known.
    fn partition(&mut self, record: &OutgoingRecord) -> Option<Arc<Partition>> {
        if self.at.as_ref().is_none_or(|at| at.name != record.topic) {
            let (name, topic) = (record.topic.clone(), self.turns.topic(&record.topic));
            self.at = Some(At { name, topic, chosen: None });
        }
        let At { topic, chosen, .. } = self.at.as_mut()?;
        let topic = topic.as_ref()?;
        match (record.partition, &record.key) {
            (Some(id), _) => usize::try_from(id).ok().and_then(|id| topic.partitions.get(id).cloned()),
            (None, Some(_)) => None,
            (None, None) => {
                *chosen = chosen.take().or_else(|| topic.choose());
                chosen.clone()
            }
        }
    }
}

/// Hands a record to the client without waiting for a turn.
pub(super) fn hand(client: &Served, record: &OutgoingRecord, slot: Slot) {
    let sent = Box::new(Sent { slot, turn: None });
    if let Err((error, sent)) = send(client, record, record.partition, sent) {
        sent.slot.fill(Err(of_client_error(&error)));
    }
}

fn send(
    client: &Served,
    record: &OutgoingRecord,
    partition: Option<i32>,
    sent: Box<Sent>,
) -> Result<(), (KafkaError, Box<Sent>)> {
    let mut outgoing = BaseRecord::<[u8], [u8], Box<Sent>>::with_opaque_to(&record.topic, sent)
        .payload(&record.payload)
        .timestamp(record.timestamp_ms)
        .headers(headers::of_outgoing(record));
    if let Some(key) = &record.key {
        outgoing = outgoing.key(key);
    }
    if let Some(partition) = partition {
        outgoing = outgoing.partition(partition);
    }
    client.send(outgoing).map_err(|(error, record)| (error, record.delivery_opaque))
}

fn to_id(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}
