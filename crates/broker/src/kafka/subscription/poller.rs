//! The polling thread: takes what the client fetched, checks what must come first, and cuts batches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use crate::complaints::Complaints;
use crate::kafka::fetched::{Event, Fetched, Message, Wanted};
use crate::kafka::lifeline::Lifeline;
use crate::kafka::reports::{Reports, hear, log};
use crate::partition::{Topic, TopicPartition};
use crate::record::{LastRead, RecordBatch};
use crate::subscription::{BatchLimits, SubscriptionEvent};

const IDLE_POLL: Duration = Duration::from_millis(50);
/// For the answer about a topic that is read for the first time.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// What the subscription asks for.
pub(super) enum Command {
    Start { partition: TopicPartition, offset: i64, after: Option<LastRead>, epoch: u64 },
    Stop(TopicPartition),
}

/// The polling thread's state.
pub(super) struct Poller {
    pub(super) consumer: Arc<BaseConsumer<Reports>>,
    pub(super) fetched: Fetched<Reports>,
    pub(super) complaints: Complaints,
    pub(super) lifeline: Lifeline,
    pub(super) commands: Receiver<Command>,
    pub(super) events: mpsc::Sender<SubscriptionEvent>,
    pub(super) limits: BatchLimits,
    pub(super) wanted: Wanted,
    pub(super) open: HashMap<TopicPartition, Open>,
    /// Partitions that met errors since their last record, and whether that was reported.
    pub(super) failed: HashMap<TopicPartition, bool>,
    /// Topics that the client was asked about.
    pub(super) known: HashSet<Topic>,
    /// Topics' ids, as the client logs them.
    pub(super) ids: HashMap<String, String>,
}

/// A batch that is being filled.
pub(super) struct Open {
    batch: RecordBatch,
    bytes: usize,
    since: Option<Instant>,
    /// What must come first.
    expected: Option<LastRead>,
}

impl Poller {
    pub(super) fn run(mut self) {
        while self.obey() {
            if !(self.poll() && self.send_ripe()) {
                return;
            }
            if let Some(partition) = self.open.keys().next() {
                self.lifeline.look(self.consumer.client(), &partition.topic);
            }
        }
    }

    /// Carries out what was asked for; false once the subscription is dropped.
    fn obey(&mut self) -> bool {
        loop {
            let done = match self.commands.try_recv() {
                Ok(Command::Start { partition, offset, after, epoch }) => {
                    self.start(partition, offset, after, epoch)
                }
                Ok(Command::Stop(partition)) => {
                    self.failed.remove(&partition);
                    self.stop(&partition)
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
            if let Err(error) = done {
                tracing::error!(%error, "the client refused a change of partitions");
            }
        }
    }

    fn start(
        &mut self,
        partition: TopicPartition,
        offset: i64,
        after: Option<LastRead>,
        epoch: u64,
    ) -> Result<(), KafkaError> {
        self.stop(&partition)?;
        self.meet(&partition.topic);
        let first = after.map_or(offset, |last| last.offset);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(first))?;
        self.consumer.incremental_assign(&list)?;
        let batch = RecordBatch {
            partition: partition.clone(),
            epoch,
            from: offset,
            to: offset,
            records: Vec::new(),
        };
        self.open.insert(partition, Open { batch, bytes: 0, since: None, expected: after });
        Ok(())
    }

    /// Asks about a topic that is read for the first time: by itself the client looks for leaders that it does not know once a
    /// second only.
    fn meet(&mut self, topic: &Topic) {
        if !self.known.contains(topic)
            && self.consumer.client().fetch_metadata(Some(topic), FIRST_ANSWER).is_ok()
        {
            self.known.insert(Arc::clone(topic));
        }
    }

    fn stop(&mut self, partition: &TopicPartition) -> Result<(), KafkaError> {
        if self.open.remove(partition).is_none() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.partition);
        self.consumer.incremental_unassign(&list)
    }

    /// Takes what the client has; false once the receiver is gone.
    fn poll(&mut self) -> bool {
        match self.fetched.poll(self.patience()) {
            Some(Event::Message(message)) => self.add(&message),
            Some(Event::End(partition, offset)) => self.end(&partition, offset),
            Some(Event::Failed { partition, code, reason }) => self.report(partition, code, &reason),
            Some(Event::Log { level, fac, text }) => self.log(level, &fac, &text),
            Some(Event::Other) | None => true,
        }
    }

    /// How long a poll may wait: until the oldest open batch is ripe.
    fn patience(&self) -> Duration {
        let oldest = self.open.values().filter_map(|open| open.since).min();
        oldest.map_or(IDLE_POLL, |since| self.limits.max_wait.saturating_sub(since.elapsed()).min(IDLE_POLL))
    }

    fn add(&mut self, message: &Message) -> bool {
        let found = self.open.iter_mut().find(|(partition, _)| message.is_of(partition));
        let Some((partition, open)) = found else { return true };
        if let Some(expected) = open.expected {
            let record = message.to_record(Wanted::Nothing);
            if (LastRead { offset: record.offset, digest: record.digest() }) == expected {
                open.expected = None;
                return true;
            }
            let partition = partition.clone();
            return self.replaced(&partition);
        }
        // What was fetched before a stop or a start over is void.
        if message.offset() >= open.batch.to {
            open.bytes += message.payload_len();
            open.batch.to = message.offset() + 1;
            open.batch.records.push(message.to_record(self.wanted));
            open.since.get_or_insert_with(Instant::now);
        }
        self.failed.is_empty() || {
            let partition = partition.clone();
            self.recovered(partition)
        }
    }

    /// The log's control records, or those of aborted transactions, may be between the last record and the end.
    fn end(&mut self, partition: &TopicPartition, offset: i64) -> bool {
        let Some(open) = self.open.get_mut(partition) else { return true };
        if let Some(expected) = open.expected {
            // An end before the record proves nothing: a new leader may not have all yet. The watermarks decide.
            return if offset > expected.offset {
                self.replaced(partition)
            } else {
                self.tell(SubscriptionEvent::OutOfRange { partition: Some(partition.clone()) })
            };
        }
        if offset > open.batch.to {
            open.batch.to = offset;
            open.since.get_or_insert_with(Instant::now);
        }
        self.recovered(partition.clone())
    }

    fn replaced(&mut self, partition: &TopicPartition) -> bool {
        let Some(epoch) = self.open.get(partition).map(|open| open.batch.epoch) else { return true };
        if let Err(error) = self.stop(partition) {
            tracing::error!(%error, %partition, "the client refused to stop reading");
        }
        self.tell(SubscriptionEvent::Replaced { partition: partition.clone(), epoch })
    }

    fn recovered(&mut self, partition: TopicPartition) -> bool {
        self.failed.remove(&partition) != Some(true) || self.tell(SubscriptionEvent::Recovered(partition))
    }

    /// Reports what an error means; false once the receiver is gone.
    fn report(&mut self, partition: Option<TopicPartition>, code: RDKafkaErrorCode, reason: &str) -> bool {
        match (code, partition) {
            (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange, partition) => {
                tracing::warn!(
                    partition = partition.as_ref().map(tracing::field::display),
                    reason,
                    "the log changed"
                );
                self.tell(SubscriptionEvent::OutOfRange { partition })
            }
            (code, Some(partition)) => {
                let reason = format!("{partition}: {reason}");
                let mend = hear(&self.complaints, Some(code), &reason);
                !(self.open.contains_key(&partition) && fails(&mut self.failed, &partition, mend))
                    || self.tell(SubscriptionEvent::Failed { partition, reason })
            }
            // Of the group that the client names and never joins: whether it might does not matter.
            (RDKafkaErrorCode::GroupAuthorizationFailed, None) => true,
            (code, None) => {
                hear(&self.complaints, Some(code), reason);
                true
            }
        }
    }

    /// The client's log says when a topic has another id than before.
    fn log(&mut self, level: RDKafkaLogLevel, fac: &str, text: &str) -> bool {
        log(level, fac, text);
        let Some((topic, id)) = changed_id(text) else { return true };
        let known = self.ids.insert(topic.to_owned(), id.to_owned());
        if known.is_none_or(|known| known == id) {
            return true;
        }
        tracing::error!(topic, "the topic was made again under its name");
        let of_topic: Vec<_> =
            self.open.keys().filter(|partition| *partition.topic == *topic).cloned().collect();
        for partition in &of_topic {
            if let Err(error) = self.stop(partition) {
                tracing::error!(%error, %partition, "the client refused to stop reading");
            }
        }
        of_topic
            .into_iter()
            .all(|partition| self.tell(SubscriptionEvent::OutOfRange { partition: Some(partition) }))
    }

    fn tell(&self, event: SubscriptionEvent) -> bool {
        self.events.blocking_send(event).is_ok()
    }

    /// Sends every batch that is full, and all of them once one is old enough: what is counted together costs the store less.
    /// False once the receiver is gone.
    fn send_ripe(&mut self) -> bool {
        let is_ripe = |since: Instant| since.elapsed() >= self.limits.max_wait;
        let all = self.open.values().filter_map(|open| open.since).any(is_ripe);
        for open in self.open.values_mut().filter(|open| open.since.is_some()) {
            let full =
                open.batch.records.len() >= self.limits.max_records || open.bytes >= self.limits.max_bytes;
            if full || all {
                let next = RecordBatch {
                    partition: open.batch.partition.clone(),
                    epoch: open.batch.epoch,
                    from: open.batch.to,
                    to: open.batch.to,
                    records: Vec::new(),
                };
                let ripe = std::mem::replace(&mut open.batch, next);
                (open.bytes, open.since) = (0, None);
                if self.events.blocking_send(SubscriptionEvent::Batch(ripe)).is_err() {
                    return false;
                }
            }
        }
        true
    }
}

/// Takes an error of a partition, and says whether it is to be reported now: at once if somebody has to mend it, any other when
/// it comes again before a record does.
fn fails(failed: &mut HashMap<TopicPartition, bool>, partition: &TopicPartition, mend: bool) -> bool {
    let before = failed.get(partition).copied();
    let told = mend || before.is_some();
    failed.insert(partition.clone(), told);
    told && before != Some(true)
}

/// Topic and new id of librdkafka's line `Topic NAME changed id from ID to ID` (`rdkafka_topic.c`).
fn changed_id(text: &str) -> Option<(&str, &str)> {
    let (head, ids) = text.split_once(" changed id from ")?;
    let (_, topic) = head.rsplit_once("Topic ")?;
    Some((topic, ids.split_once(" to ")?.1.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_partition_is_told_at_once_or_when_it_repeats_and_then_no_more() {
        let (ventas, mut failed) = (TopicPartition::new("ventas", 0), HashMap::new());
        assert!(!fails(&mut failed, &ventas, false), "it may pass");
        assert!(fails(&mut failed, &ventas, false), "it does not");
        assert!(!fails(&mut failed, &ventas, true), "known");
        failed.clear();
        assert!(fails(&mut failed, &ventas, true));
        assert!(!fails(&mut failed, &ventas, false));
    }

    #[test]
    fn the_line_that_tells_a_changed_id_is_read() {
        let line =
            "[thrd:main]: Topic ventas changed id from AAAAAAAAAAAAAAAAAAAAAA to 2ZHLRsM8S9ysKkhwFYGK9Q";
        assert_eq!(changed_id(line), Some(("ventas", "2ZHLRsM8S9ysKkhwFYGK9Q")));
        assert_eq!(changed_id("[thrd:main]: Topic ventas [0] Leader 1 Epoch 0"), None);
    }
}
