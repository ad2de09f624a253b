//! Reading streams, each from an offset that the caller names.
//!
//! A task takes the chunks that the servers deliver and cuts batches; a bounded channel hands them on. A server delivers as
//! much as it was given credit for, and credit comes back with what was cut: memory stays flat however far the log is ahead.
//!
//! A server never says that an offset is not there. It begins at its first if that is later, and at its end if that is
//! earlier, and a reader that retention has overtaken goes on behind the hole. So each start begins at the record before
//! the position, which must come; after a connection broke, or a stream was lost, at the record that was read last, which must
//! be the same. And a hole is believed only if the log still begins before it: then it holds what servers note for
//! themselves.

mod attach;
mod cut;
mod part;
mod reader;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedSender, unbounded_channel};

use self::reader::{Command, Reader};
use super::config::RabbitMqConfig;
use super::dial::Dial;
use super::message::Wanted;
use super::readers::Readers;
use super::topology::Locator;
use crate::complaints::Complaints;
use crate::error::BrokerError;
use crate::partition::TopicPartition;
use crate::record::LastRead;
use crate::subscription::{BatchLimits, SubscriptionEvent};

/// Batches that wait for the reader.
const CHANNEL: usize = 4;
/// For each question on the way to a stream.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Reads partitions from given offsets.
pub struct Subscription {
    events: mpsc::Receiver<SubscriptionEvent>,
    commands: UnboundedSender<Command>,
    complaints: Complaints,
}

impl Subscription {
    /// Opens a subscription of nothing. `with_traces`: whether records' trace contexts are read, at the cost of an
    /// allocation per record.
    ///
    /// # Errors
    /// A setting cannot be used, or this is not within a runtime.
    pub fn open(
        config: &RabbitMqConfig,
        limits: BatchLimits,
        with_traces: bool,
    ) -> Result<Self, BrokerError> {
        Self::open_with(config, limits, if with_traces { Wanted::Trace } else { Wanted::Nothing })
    }

    /// Opens a subscription of nothing, whose records come with all their headers.
    ///
    /// # Errors
    /// As above.
    pub fn open_with_headers(config: &RabbitMqConfig, limits: BatchLimits) -> Result<Self, BrokerError> {
        Self::open_with(config, limits, Wanted::All)
    }

    fn open_with(config: &RabbitMqConfig, limits: BatchLimits, wanted: Wanted) -> Result<Self, BrokerError> {
        let dial = Dial::new(config)?;
        let runtime = tokio::runtime::Handle::try_current();
        let runtime = runtime.map_err(|error| BrokerError::Client(error.into()))?;
        let ((commands, asked), (sender, events)) = (unbounded_channel(), mpsc::channel(CHANNEL));
        let ((notices, noticed), (inputs, input)) = (unbounded_channel(), unbounded_channel());
        let complaints = Complaints::default();
        let reader = Reader {
            locator: Arc::new(Locator::new(dial.clone())),
            readers: Arc::new(Readers::new(dial, Some(notices))),
            complaints: complaints.clone(),
            limits,
            wanted,
            commands: asked,
            notices: noticed,
            inputs,
            input,
            events: sender,
            parts: HashMap::new(),
            attempts: 0,
        };
        runtime.spawn(reader.run());
        Ok(Self { events, commands, complaints })
    }

    /// Reads a partition from `offset` on. A partition that is being read already starts over there; batches of an
    /// older `epoch` are void.
    pub fn start(&self, partition: TopicPartition, offset: i64, epoch: u64) {
        self.command(Command::Start { partition, offset, after: None, epoch });
    }

    /// As [`Subscription::start`], if the log still holds the record `last`, whose offset is below `offset`; otherwise
    /// [`SubscriptionEvent::Replaced`] says so, and nothing is read.
    pub fn start_after(&self, partition: TopicPartition, last: LastRead, offset: i64, epoch: u64) {
        self.command(Command::Start { partition, offset, after: Some(last), epoch });
    }

    /// Stops reading a partition.
    pub fn stop(&self, partition: TopicPartition) {
        self.command(Command::Stop(partition));
    }

    /// The next event; `None` if the reading task died.
    pub async fn next(&mut self) -> Option<SubscriptionEvent> {
        self.events.recv().await
    }

    /// What somebody has to mend, if the client complained in the last seconds: a server's name that does not resolve, a wrong
    /// password.
    pub fn complaint(&self) -> Option<String> {
        self.complaints.recent()
    }

    fn command(&self, command: Command) {
        // The task ends only after this handle is dropped.
        drop(self.commands.send(command));
    }
}
