//! Where the server has single active consumers: a subscription to each stream that says when it is the active one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::{ANSWER_LIMIT, LOOK, Member, RETRY};
use crate::membership::{MembershipEvent, Release};
use crate::partition::TopicPartition;
use crate::rabbitmq::codes::Key;
use crate::rabbitmq::connection::{Connection, Handler};
use crate::rabbitmq::error::LinkError;
use crate::rabbitmq::frames::Incoming;
use crate::rabbitmq::streams;
use crate::rabbitmq::topology::Place;
use crate::rabbitmq::wire::Put;

/// How long the owner of revoked partitions may take to finish with them.
const REVOKE_LIMIT: Duration = Duration::from_secs(5);
/// An offset specification: behind the last record.
const NEXT: u16 = 3;
/// Subscriptions of a connection, whose ids are of one byte.
const MOST: usize = 250;

/// What a server said, and over which of our connections.
enum Said {
    Active { desk: u64, correlation: u32, subscription: u8, active: bool },
    StreamLost { desk: u64, stream: String },
    Ended { desk: u64 },
}

struct Listener {
    desk: u64,
    said: UnboundedSender<Said>,
}

impl Handler for Listener {
    fn take(&mut self, frame: Incoming) {
        let desk = self.desk;
        let said = match frame {
            Incoming::ConsumerUpdate { correlation, subscription, active } => {
                Said::Active { desk, correlation, subscription, active }
            }
            Incoming::MetadataUpdate { stream, .. } => Said::StreamLost { desk, stream },
            _ => return,
        };
        self.said.send(said).ok();
    }

    fn ended(&mut self, _: &LinkError) {
        self.said.send(Said::Ended { desk: self.desk }).ok();
    }
}

/// A connection to the server that leads some streams.
struct Desk {
    connection: Connection,
    seats: BTreeMap<u8, TopicPartition>,
}

/// What is subscribed to, and what is ours of it.
#[derive(Default)]
struct Desks {
    by_number: HashMap<u64, Desk>,
    made: u64,
    ours: BTreeSet<TopicPartition>,
}

impl Member {
    /// Follows what the servers say; ends with the receiver.
    pub(super) async fn follow_single(&self) {
        let (said, mut heard) = unbounded_channel();
        let mut desks = Desks::default();
        let mut is_in = false;
        loop {
            let pause = match self.sit_down(&mut desks, &said).await {
                Ok(()) => {
                    if !std::mem::replace(&mut is_in, true) {
                        self.complaints.passed();
                        self.events.send(MembershipEvent::Assigned(Vec::new())).ok();
                    }
                    LOOK
                }
                Err(error) => {
                    self.complain(&error);
                    RETRY
                }
            };
            if !self.listen(&mut desks, &mut heard, Instant::now() + pause).await {
                return;
            }
        }
    }

    /// Subscribes to every stream that is not subscribed to yet.
    async fn sit_down(&self, desks: &mut Desks, said: &UnboundedSender<Said>) -> Result<(), LinkError> {
        for topic in &self.topics {
            for (id, place) in self.locator.partitions(topic, ANSWER_LIMIT).await? {
                let partition = TopicPartition::new(topic.as_str(), id);
                if let (false, Place::Led(leader)) = (desks.has(&partition), place) {
                    self.subscribe(desks, said, &leader, partition).await?;
                }
            }
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        desks: &mut Desks,
        said: &UnboundedSender<Said>,
        leader: &str,
        partition: TopicPartition,
    ) -> Result<(), LinkError> {
        let number = match desks.with_room(leader) {
            Some(number) => number,
            None => {
                desks.made += 1;
                let listener = Listener { desk: desks.made, said: said.clone() };
                let connection = Connection::open(&self.dial, leader, listener, None).await?;
                desks.by_number.insert(desks.made, Desk { connection, seats: BTreeMap::new() });
                desks.made
            }
        };
        let desk = desks.by_number.get_mut(&number).expect("it is there, or was made");
        let id = (0..=u8::MAX).find(|id| !desk.seats.contains_key(id)).expect("it has room");
        let stream = streams::of(&partition);
        // Before the answer: the server may say at once that it is the active one.
        desk.seats.insert(id, partition);
        let asked = desk.connection.ask(Key::Subscribe, |body| {
            body.put_u8(id);
            body.put_string(&stream);
            body.put_u16(NEXT);
            // No credit, so no chunk.
            body.put_u16(0);
            body.put_map(&[("single-active-consumer", "true"), ("name", &self.group)]);
        });
        let subscribed = asked.done(ANSWER_LIMIT, || format!("reading {stream}")).await;
        if subscribed.is_err() {
            desk.seats.remove(&id);
        }
        subscribed
    }

    /// Hears what the servers say until then, or until something is lost; false once the receiver is gone.
    async fn listen(&self, desks: &mut Desks, heard: &mut UnboundedReceiver<Said>, until: Instant) -> bool {
        while let Ok(Some(said)) = timeout_at(until, heard.recv()).await {
            if let Said::Active { desk, correlation, subscription, active } = said {
                if !self.change(desks, desk, correlation, subscription, active) {
                    return false;
                }
                continue;
            }
            let partitions = desks.lose(&said);
            if !partitions.is_empty() {
                let event = MembershipEvent::Revoked { partitions, lost: true, release: Release::new(()) };
                return self.events.send(event).is_ok();
            }
        }
        !self.events.is_closed()
    }

    fn change(&self, desks: &mut Desks, desk: u64, correlation: u32, subscription: u8, active: bool) -> bool {
        let Some(desk) = desks.by_number.get(&desk) else { return true };
        let connection = desk.connection.clone();
        let next = |body: &mut Vec<u8>| body.put_u16(NEXT);
        let Some(partition) = desk.seats.get(&subscription).cloned() else {
            connection.answer(Key::ConsumerUpdate, correlation, next);
            return true;
        };
        if active {
            connection.answer(Key::ConsumerUpdate, correlation, next);
            desks.ours.insert(partition.clone());
            return self.events.send(MembershipEvent::Assigned(vec![partition])).is_ok();
        }
        desks.ours.remove(&partition);
        let (release, released) = oneshot::channel::<()>();
        tokio::spawn(async move {
            timeout(REVOKE_LIMIT, released).await.ok();
            // Then the server makes another the active one.
            connection.answer(Key::ConsumerUpdate, correlation, next);
        });
        let (partitions, release) = (vec![partition], Release::new(release));
        self.events.send(MembershipEvent::Revoked { partitions, lost: false, release }).is_ok()
    }
}

impl Desks {
    fn has(&self, partition: &TopicPartition) -> bool {
        self.by_number.values().any(|desk| desk.seats.values().any(|of| of == partition))
    }

    fn with_room(&self, address: &str) -> Option<u64> {
        let has_room = |desk: &Desk| {
            let connection = &desk.connection;
            connection.address() == address && connection.ended().is_none() && desk.seats.len() < MOST
        };
        self.by_number.iter().find_map(|(number, desk)| has_room(desk).then_some(*number))
    }

    /// What was ours, and is lost now.
    fn lose(&mut self, said: &Said) -> Vec<TopicPartition> {
        let lost: Vec<_> = match said {
            Said::StreamLost { desk, stream } => {
                let Some(desk) = self.by_number.get_mut(desk) else { return Vec::new() };
                let is_lost = |_: &u8, of: &mut TopicPartition| streams::of(of) == *stream;
                desk.seats.extract_if(.., is_lost).map(|(_, of)| of).collect()
            }
            Said::Ended { desk } => {
                self.by_number.remove(desk).map(|desk| desk.seats.into_values().collect()).unwrap_or_default()
            }
            Said::Active { .. } => Vec::new(),
        };
        lost.into_iter().filter(|of| self.ours.remove(of)).collect()
    }
}
