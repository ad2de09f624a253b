use std::sync::Arc;

use anyhow::Result;
use blackfriday_stack::Clock;

use crate::chaos::kind::Clocked;
use crate::processes::Processes;
use crate::service::Service;

const WRITER: Service = Service::WriterB;
const CONSUMER: Service = Service::SecondConsumer;

/// Clocks that can be put wrong: of one writer, of one consumer, and of the log's server.
#[derive(Debug)]
pub(crate) struct Clocks {
    writer: Arc<Clock>,
    consumer: Arc<Clock>,
    log: Arc<Clock>,
}

impl Clocks {
    pub(super) fn new() -> Result<Self> {
        let clock = || Ok::<_, anyhow::Error>(Arc::new(Clock::new()?));
        Ok(Self { writer: clock()?, consumer: clock()?, log: clock()? })
    }

    pub(super) fn hand_out(&self, processes: &mut Processes) {
        processes.set_clock(WRITER, Arc::clone(&self.writer));
        processes.set_clock(CONSUMER, Arc::clone(&self.consumer));
    }

    /// The service that looks at it, if one does.
    pub(crate) fn wearer(clocked: Clocked) -> Option<Service> {
        match clocked {
            Clocked::Writer => Some(WRITER),
            Clocked::Consumer => Some(CONSUMER),
            Clocked::Log => None,
        }
    }

    pub(crate) fn of(&self, clocked: Clocked) -> &Arc<Clock> {
        match clocked {
            Clocked::Writer => &self.writer,
            Clocked::Consumer => &self.consumer,
            Clocked::Log => &self.log,
        }
    }
}
