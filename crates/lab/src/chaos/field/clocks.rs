use std::sync::Arc;

use anyhow::Result;
use blackfriday_stack::Clock;

use crate::chaos::kind::Clocked;
use crate::processes::Processes;
use crate::service::Service;

/// Clocks that can be put wrong: of one writer and of one consumer. A Java under libfaketime does not wait: timed waits return at
/// once, so that a broker has none.
#[derive(Debug)]
pub(crate) struct Clocks {
    writer: Arc<Clock>,
    consumer: Arc<Clock>,
}

impl Clocks {
    pub(super) fn new() -> Result<Self> {
        let clock = || Ok::<_, anyhow::Error>(Arc::new(Clock::new()?));
        Ok(Self { writer: clock()?, consumer: clock()? })
    }

    pub(super) fn hand_out(&self, processes: &mut Processes) {
        processes.set_clock(Self::wearer(Clocked::Writer), Arc::clone(&self.writer));
        processes.set_clock(Self::wearer(Clocked::Consumer), Arc::clone(&self.consumer));
    }

    /// Who looks at it.
    pub(crate) fn wearer(clocked: Clocked) -> Service {
        match clocked {
            Clocked::Writer => Service::WriterB,
            Clocked::Consumer => Service::SecondConsumer,
        }
    }

    pub(crate) fn of(&self, clocked: Clocked) -> &Clock {
        match clocked {
            Clocked::Writer => &self.writer,
            Clocked::Consumer => &self.consumer,
        }
    }
}
