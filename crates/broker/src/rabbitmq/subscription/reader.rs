//! The reading task: takes what the servers deliver, checks what must come first, and hands batches on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until};

use super::attach::{Attempt, Input, attach, look};
use super::cut::Cut;
use super::part::{Expected, Meaning, Part, identity};
use crate::complaints::Complaints;
use crate::partition::TopicPartition;
use crate::rabbitmq::chunk::Chunk;
use crate::rabbitmq::error::LinkError;
use crate::rabbitmq::message::Wanted;
use crate::rabbitmq::readers::{Notice, Readers, Seat};
use crate::rabbitmq::streams;
use crate::rabbitmq::topology::Locator;
use crate::record::LastRead;
use crate::subscription::{BatchLimits, SubscriptionEvent};

/// Until a partition that was lost is looked for again, and one that was not found.
const LOST_PAUSE: Duration = Duration::from_millis(50);
const FAILED_PAUSE: Duration = Duration::from_millis(300);

/// What the subscription asks for.
pub(super) enum Command {
    Start { partition: TopicPartition, offset: i64, after: Option<LastRead>, epoch: u64 },
    Stop(TopicPartition),
}

/// The receiver of events is gone.
struct Gone;

/// The reading task's state.
pub(super) struct Reader {
    pub(super) locator: Arc<Locator>,
    pub(super) readers: Arc<Readers>,
    pub(super) complaints: Complaints,
    pub(super) limits: BatchLimits,
    pub(super) wanted: Wanted,
    pub(super) commands: UnboundedReceiver<Command>,
    pub(super) notices: UnboundedReceiver<Notice>,
    pub(super) inputs: UnboundedSender<Input>,
    pub(super) input: UnboundedReceiver<Input>,
    pub(super) events: mpsc::Sender<SubscriptionEvent>,
    pub(super) parts: HashMap<TopicPartition, Part>,
    pub(super) attempts: u64,
}

impl Reader {
    /// Reads until the subscription is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let due = self.due();
            let done = tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => {
                        self.obey(command);
                        Ok(())
                    }
                    None => return,
                },
                Some(notice) = self.notices.recv() => {
                    self.lose(&notice);
                    Ok(())
                }
                // What is ripe goes before what comes: there may always be more of that.
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.tick().await,
                Some(input) = self.input.recv() => self.take(input).await,
            };
            if done.is_err() {
                return;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start { partition, offset, after, epoch } => {
                let part = Part::new(Cut::new(partition.clone(), epoch, offset), after);
                self.parts.insert(partition.clone(), part);
                self.attach(&partition);
            }
            Command::Stop(partition) => drop(self.parts.remove(&partition)),
        }
    }

    /// Begins a new try.
    fn attach(&mut self, partition: &TopicPartition) {
        let Some(part) = self.parts.get_mut(partition) else { return };
        self.attempts += 1;
        part.try_again(self.attempts);
        let (attempt, offset) =
            (Attempt { partition: partition.clone(), number: self.attempts }, part.begin());
        let (locator, readers, inputs) =
            (Arc::clone(&self.locator), Arc::clone(&self.readers), self.inputs.clone());
        tokio::spawn(async move { attach(&locator, &readers, attempt, offset, inputs).await });
    }

    /// When something is to be done although nothing comes.
    fn due(&self) -> Option<Instant> {
        let due = |part: &Part| [part.cut.due(self.limits.max_wait), part.again].into_iter().flatten().min();
        self.parts.values().filter_map(due).min()
    }

    async fn tick(&mut self) -> Result<(), Gone> {
        // All of them once one is old enough: what is counted together costs the store less.
        let is_ripe = self.parts.values().any(|part| part.cut.is_ripe(&self.limits));
        let mut ripe = Vec::new();
        let mut again = Vec::new();
        for (partition, part) in &mut self.parts {
            ripe.extend(if is_ripe { part.cut.begun() } else { None });
            again.extend(part.again.is_some_and(|again| again <= Instant::now()).then(|| partition.clone()));
        }
        for partition in again {
            self.attach(&partition);
        }
        for batch in ripe {
            self.tell(SubscriptionEvent::Batch(batch)).await?;
        }
        Ok(())
    }

    /// Looks again for what is not delivered any more.
    fn lose(&mut self, notice: &Notice) {
        for (partition, part) in &mut self.parts {
            let link = part.seat.as_ref().map(Seat::link);
            let is_lost = match notice {
                Notice::LinkEnded { link: ended } => link == Some(*ended),
                // One that is just being looked for may be meant, too.
                Notice::StreamLost { link: on, stream } => {
                    link.is_none_or(|link| link == *on) && streams::of(partition) == *stream
                }
            };
            if is_lost {
                part.seat.iter().for_each(Seat::lost);
                (part.seat, part.again) = (None, Some(Instant::now() + LOST_PAUSE));
                // What comes of that try is void.
                part.attempt = 0;
            }
        }
    }

    async fn take(&mut self, input: Input) -> Result<(), Gone> {
        let (Input::Chunk { attempt, .. } | Input::Attached { attempt, .. } | Input::Low { attempt, .. }) =
            &input;
        let partition = attempt.partition.clone();
        let number = attempt.number;
        let Some(part) = self.parts.get_mut(&partition).filter(|part| part.attempt == number) else {
            return Ok(());
        };
        match input {
            Input::Chunk { chunk, .. } => {
                let chunk = match Chunk::read(&chunk) {
                    Ok(chunk) => chunk,
                    Err(error) => return self.fail(&partition, error.to_string(), false).await,
                };
                if part.held.is_empty() {
                    return self.read(&partition, chunk, false).await;
                }
                part.held.push_back(chunk);
                Ok(())
            }
            Input::Attached { seat: Ok(seat), .. } if seat.is_live() => {
                part.seat = Some(seat);
                self.attached(&partition).await
            }
            Input::Attached { seat: Ok(_), .. } => {
                part.again = Some(Instant::now() + LOST_PAUSE);
                Ok(())
            }
            Input::Low { low: Ok(low), .. } => {
                let due = part.due();
                if low.is_none_or(|low| low > due) {
                    tracing::warn!(%partition, offset = due, low, "the log begins behind what is due");
                    return self.out_of_range(&partition).await;
                }
                self.read_held(&partition).await
            }
            Input::Attached { seat: Err(error), .. } | Input::Low { low: Err(error), .. } => {
                self.refused(&partition, &error).await
            }
        }
    }

    /// Every chunk that was there has come by now.
    async fn attached(&mut self, partition: &TopicPartition) -> Result<(), Gone> {
        let Some(part) = self.parts.get_mut(partition) else { return Ok(()) };
        // What came before was dealt with without a way to give credit back.
        if part.held.is_empty() {
            part.top_up();
        }
        let told = part.failed.take() == Some(true);
        let ends_before = !part.is_begun && part.expected != Expected::Anything;
        self.complaints.passed();
        if told {
            self.tell(SubscriptionEvent::Recovered(partition.clone())).await?;
        }
        if ends_before {
            // It may be a new leader that has not all of it yet: the subscription stays.
            self.tell(SubscriptionEvent::OutOfRange { partition: Some(partition.clone()) }).await?;
        }
        Ok(())
    }

    async fn read(&mut self, partition: &TopicPartition, chunk: Chunk, is_whole: bool) -> Result<(), Gone> {
        let Some(part) = self.parts.get_mut(partition) else { return Ok(()) };
        let records = match part.meaning(&chunk, self.wanted, is_whole) {
            Ok(Meaning::Records(records)) => records,
            Ok(Meaning::Hole) => {
                part.held.push_front(chunk);
                self.look(partition);
                return Ok(());
            }
            Ok(Meaning::Another) => return self.another(partition).await,
            Err(error) => return self.fail(partition, error.to_string(), true).await,
        };
        part.last = records.last().map(identity).or(part.last);
        part.refill(chunk.len());
        for record in records {
            let Some(part) = self.parts.get_mut(partition) else { return Ok(()) };
            part.cut.add(record);
            if let Some(full) = part.cut.full(&self.limits) {
                self.tell(SubscriptionEvent::Batch(full)).await?;
            }
        }
        Ok(())
    }

    /// Reads what waited until it was known where the log begins.
    async fn read_held(&mut self, partition: &TopicPartition) -> Result<(), Gone> {
        let Some(part) = self.parts.get_mut(partition) else { return Ok(()) };
        let mut held = std::mem::take(&mut part.held);
        let mut is_whole = true;
        while let Some(chunk) = held.pop_front() {
            self.read(partition, chunk, std::mem::take(&mut is_whole)).await?;
            let Some(part) = self.parts.get_mut(partition) else { break };
            if !part.held.is_empty() {
                // Another hole: the rest waits again.
                part.held.append(&mut held);
            }
        }
        Ok(())
    }

    fn look(&mut self, partition: &TopicPartition) {
        let Some(part) = self.parts.get(partition) else { return };
        let attempt = Attempt { partition: partition.clone(), number: part.attempt };
        let (locator, readers, inputs) =
            (Arc::clone(&self.locator), Arc::clone(&self.readers), self.inputs.clone());
        tokio::spawn(async move { look(&locator, &readers, attempt, inputs).await });
    }

    /// The log does not hold the record after which it was to be read on.
    async fn another(&mut self, partition: &TopicPartition) -> Result<(), Gone> {
        let Some(part) = self.parts.remove(partition) else { return Ok(()) };
        tracing::error!(%partition, "the stream is not the one that was read");
        let partition = partition.clone();
        self.tell(if part.is_named {
            SubscriptionEvent::Replaced { partition, epoch: part.cut.epoch() }
        } else {
            SubscriptionEvent::OutOfRange { partition: Some(partition) }
        })
        .await
    }

    async fn out_of_range(&mut self, partition: &TopicPartition) -> Result<(), Gone> {
        self.parts.remove(partition);
        self.tell(SubscriptionEvent::OutOfRange { partition: Some(partition.clone()) }).await
    }

    async fn refused(&mut self, partition: &TopicPartition, error: &LinkError) -> Result<(), Gone> {
        let mend = error.check();
        if let Some(check) = mend {
            self.complaints.tell(&error.to_string(), check);
        }
        if matches!(error, LinkError::Refused { .. }) {
            return self.fail(partition, error.to_string(), mend.is_some()).await;
        }
        // A server that is away is no trouble of a partition's.
        if let Some(part) = self.parts.get_mut(partition) {
            part.again = Some(Instant::now() + FAILED_PAUSE);
        }
        Ok(())
    }

    /// A partition cannot be read now. The reason is reported at once if somebody has to mend it, any other when it comes again.
    async fn fail(&mut self, partition: &TopicPartition, reason: String, mend: bool) -> Result<(), Gone> {
        let Some(part) = self.parts.get_mut(partition) else { return Ok(()) };
        let before = part.failed;
        let told = mend || before.is_some();
        (part.failed, part.again) = (Some(told), Some(Instant::now() + FAILED_PAUSE));
        (part.seat, part.attempt) = (None, 0);
        if told && before != Some(true) {
            let partition = partition.clone();
            return self.tell(SubscriptionEvent::Failed { partition, reason }).await;
        }
        Ok(())
    }

    async fn tell(&self, event: SubscriptionEvent) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_| Gone)
    }
}
