//! The records of one stream on their way: those that wait to be written to the socket, and those that were.
//!
//! Invariant: a record whose bytes were handed to the socket is of unknown outcome until the server says what became of it;
//! one whose bytes were not was surely not written.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::delivery::Slot;
use crate::error::PublishError;
use crate::faults::Faults;
use crate::rabbitmq::codes::{Code, Key};
use crate::rabbitmq::config::ProducerConfig;
use crate::rabbitmq::connection::Waker;
use crate::rabbitmq::frames::{HEADER_BYTES, frame};
use crate::rabbitmq::message;
use crate::rabbitmq::wire::Put;
use crate::record::{OutgoingRecord, Position};

/// Publisher and count, before the messages of a frame.
const PUBLISH_BYTES: usize = HEADER_BYTES + 5;
/// Publishing id and length, before each message.
const ENTRY_BYTES: usize = 12;

/// What all lanes of a producer have in common.
pub(super) struct Tally {
    pub(super) faults: Arc<Faults>,
    /// Wakes the monitor.
    pub(super) hint: Arc<Notify>,
    records: AtomicU64,
    bytes: AtomicU64,
    max_records: u64,
    max_bytes: u64,
    record_max_bytes: usize,
    empty: Notify,
}

/// The records of one stream.
pub(super) struct Lane {
    pub(super) topic: String,
    pub(super) stream: String,
    pub(super) publisher: u8,
    partition: i32,
    frame_max: usize,
    waker: Waker,
    tally: Arc<Tally>,
    state: Mutex<State>,
}

struct State {
    /// Messages as they stand in a frame, from `at` on not yet written.
    bytes: Vec<u8>,
    at: usize,
    waiting: VecDeque<Entry>,
    sent: VecDeque<Option<Entry>>,
    /// The publishing ids of the first that was sent, and of the next that is put.
    first_sent: u64,
    next: u64,
    /// Since when something is sent and nothing is answered.
    still: Option<Instant>,
    is_closed: bool,
}

struct Entry {
    slot: Slot,
    /// With what is before it.
    bytes: usize,
}

impl Tally {
    pub(super) fn new(config: &ProducerConfig, faults: Arc<Faults>, hint: Arc<Notify>) -> Self {
        Self {
            faults,
            hint,
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            max_records: u64::from(config.queue_max_records),
            max_bytes: u64::from(config.queue_max_kib) << 10,
            record_max_bytes: config.record_max_bytes as usize,
            empty: Notify::new(),
        }
    }

    fn take_room(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let records = self.records.fetch_add(1, Ordering::AcqRel);
        let taken = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        if records < self.max_records && taken + bytes <= self.max_bytes {
            return true;
        }
        self.give_room(1, bytes);
        false
    }

    fn give_room(&self, records: u64, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if self.records.fetch_sub(records, Ordering::AcqRel) == records {
            self.empty.notify_waiters();
        }
    }

    /// Waits until no record is on its way.
    pub(super) async fn until_empty(&self) {
        loop {
            let emptied = self.empty.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.records.load(Ordering::Acquire) == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// Which lane it is, and what it is written with.
pub(super) struct Identity {
    pub(super) topic: String,
    pub(super) stream: String,
    pub(super) partition: i32,
    pub(super) publisher: u8,
    /// Its first publishing id. No other lane of the connection has ids near it.
    pub(super) first: u64,
}

impl Lane {
    pub(super) fn new(identity: Identity, frame_max: u32, waker: Waker, tally: Arc<Tally>) -> Self {
        let Identity { topic, stream, partition, publisher, first } = identity;
        let state = State {
            bytes: Vec::new(),
            at: 0,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            first_sent: first,
            next: first,
            still: None,
            is_closed: false,
        };
        let frame_max = frame_max as usize;
        Self { topic, stream, publisher, partition, frame_max, waker, tally, state: Mutex::new(state) }
    }

    /// Takes a record, or says why not: then it was not written.
    pub(super) fn put(&self, record: &OutgoingRecord, slot: Slot) -> Result<(), (PublishError, Slot)> {
        if record.payload.len() > self.tally.record_max_bytes {
            return Err((PublishError::TooLarge, slot));
        }
        let mut guard = self.state();
        let state = &mut *guard;
        if state.is_closed {
            return Err((PublishError::Unavailable, slot));
        }
        let begin = state.bytes.len();
        state.bytes.put_u64(state.next);
        state.bytes.put_u32(0);
        message::put(&mut state.bytes, record);
        let bytes = state.bytes.len() - begin;
        let refused = if PUBLISH_BYTES + bytes > self.frame_max {
            Some(PublishError::TooLarge)
        } else if self.tally.take_room(bytes) {
            None
        } else {
            Some(PublishError::QueueFull)
        };
        if let Some(refused) = refused {
            state.bytes.truncate(begin);
            return Err((refused, slot));
        }
        let length = u32::try_from(bytes - ENTRY_BYTES).expect("below a frame's size");
        state.bytes[begin + 8..begin + ENTRY_BYTES].copy_from_slice(&length.to_be_bytes());
        state.waiting.push_back(Entry { slot, bytes });
        state.next += 1;
        Ok(())
    }

    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Appends the next frame, if any waits. Its records count as sent from now on.
    pub(super) fn fill(&self, into: &mut Vec<u8>) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        let (mut bytes, mut records) = (0, 0);
        while let Some(entry) = state.waiting.front()
            && PUBLISH_BYTES + bytes + entry.bytes <= self.frame_max
        {
            (bytes, records) = (bytes + entry.bytes, records + 1);
            state.sent.push_back(state.waiting.pop_front());
        }
        if records == 0 {
            return false;
        }
        let head = frame(Key::Publish as u16, |body| {
            body.put_u8(self.publisher);
            body.put_u32(records);
        });
        let length = u32::try_from(head.len() - 4 + bytes).expect("below a frame's size");
        let from = into.len();
        into.extend_from_slice(&head);
        into[from..from + 4].copy_from_slice(&length.to_be_bytes());
        into.extend_from_slice(&state.bytes[state.at..state.at + bytes]);
        state.at += bytes;
        if state.at == state.bytes.len() {
            state.bytes.clear();
            state.at = 0;
        }
        state.still.get_or_insert_with(Instant::now);
        true
    }

    /// The server has written these; publishing ids of eight bytes each.
    pub(super) fn confirmed(&self, ids: &[u8]) {
        let position = Position { partition: self.partition, offset: None };
        let ids = ids.as_chunks::<8>().0.iter().map(|id| u64::from_be_bytes(*id));
        self.tally.faults.taken(&self.topic);
        self.conclude(self.take_sent(ids.map(|id| (id, ()))), |()| Ok(position));
    }

    /// The server has not written these.
    pub(super) fn refused(&self, errors: Vec<(u64, Code)>) {
        for (_, code) in errors.iter().take(1) {
            if matches!(*code, Code::ACCESS_REFUSED | Code::NO_STREAM) {
                self.tally.faults.refused(&self.topic, format!("publishing to {}: {code}", self.stream));
            }
        }
        self.tally.hint.notify_one();
        self.conclude(self.take_sent(errors.into_iter()), |code| Err(fate(code)));
    }

    fn take_sent<T>(&self, ids: impl Iterator<Item = (u64, T)>) -> Vec<(Entry, T)> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut taken = Vec::with_capacity(ids.size_hint().0);
        for (id, what) in ids {
            let at = id.checked_sub(state.first_sent).and_then(|at| usize::try_from(at).ok());
            let entry = at.and_then(|at| state.sent.get_mut(at)).and_then(Option::take);
            taken.extend(entry.map(|entry| (entry, what)));
        }
        while let Some(None) = state.sent.front() {
            state.sent.pop_front();
            state.first_sent += 1;
        }
        state.still = (!state.sent.is_empty()).then(Instant::now);
        taken
    }

    fn conclude<T>(
        &self,
        entries: Vec<(Entry, T)>,
        mut outcome: impl FnMut(T) -> Result<Position, PublishError>,
    ) {
        let Some((first, _)) = entries.first() else { return };
        // A refusal is an answer, too.
        first.slot.batch.progress.told();
        let (records, bytes) =
            (entries.len() as u64, entries.iter().map(|(entry, _)| entry.bytes as u64).sum());
        for (entry, what) in entries {
            entry.slot.fill(outcome(what));
        }
        self.tally.give_room(records, bytes);
    }

    /// For how long nothing was answered about what was sent.
    pub(super) fn still_for(&self) -> Duration {
        self.state().still.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Takes no more; what was not sent was not written.
    pub(super) fn close(&self) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.is_closed = true;
        state.bytes = Vec::new();
        state.at = 0;
        let waiting = std::mem::take(&mut state.waiting);
        drop(guard);
        self.abandon(waiting.into_iter(), &PublishError::Unavailable);
    }

    /// Nothing more is heard of what was sent.
    pub(super) fn settle(&self) {
        self.close();
        let sent = std::mem::take(&mut self.state().sent);
        self.abandon(sent.into_iter().flatten(), &PublishError::OutcomeUnknown);
    }

    /// What the client gives up by itself says nothing of the broker.
    fn abandon(&self, entries: impl Iterator<Item = Entry>, error: &PublishError) {
        for entry in entries {
            entry.slot.fill(Err(error.clone()));
            self.tally.give_room(1, entry.bytes as u64);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.settle();
    }
}

/// What a refusal says of its record.
fn fate(code: Code) -> PublishError {
    match code {
        Code::FRAME_TOO_LARGE => PublishError::TooLarge,
        Code::NO_STREAM | Code::STREAM_NOT_AVAILABLE | Code::ACCESS_REFUSED | Code::NO_PUBLISHER => {
            PublishError::Unavailable
        }
        _ => PublishError::OutcomeUnknown,
    }
}
