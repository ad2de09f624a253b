//! What is done behind the backs of the broker's clients, with RabbitMQ's own tool. Each call starts an Erlang: two seconds of
//! one processor.

use std::time::Duration;

use super::{RabbitMq, configuration};
use crate::error::StackError;

const TOOL_LIMIT: Duration = Duration::from_secs(180);

/// What a broker may have too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Room on the disk.
    Disk,
    /// Memory.
    Memory,
}

impl RabbitMq {
    /// Raises an alarm, which blocks whoever publishes until [`RabbitMq::clear`] or a restart.
    ///
    /// # Errors
    /// As [`RabbitMq::rabbitmqctl`].
    pub async fn raise(&self, alarm: Alarm) -> Result<(), StackError> {
        let raise = format!("rabbit_alarm:set_alarm({{{}, []}}).", alarm.term());
        self.rabbitmqctl(&["eval", &raise]).await.map(drop)
    }

    /// Ends an alarm.
    ///
    /// # Errors
    /// As [`RabbitMq::rabbitmqctl`].
    pub async fn clear(&self, alarm: Alarm) -> Result<(), StackError> {
        let clear = format!("rabbit_alarm:clear_alarm({}).", alarm.term());
        self.rabbitmqctl(&["eval", &clear]).await.map(drop)
    }

    /// Has the broker write down which coordinator its streams have. By itself it does so a few seconds after the first stream
    /// of its life was made; one that is killed earlier (version 3.10) never serves its streams again.
    ///
    /// # Errors
    /// As [`RabbitMq::rabbitmqctl`].
    pub async fn settle(&self) -> Result<(), StackError> {
        self.rabbitmqctl(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]).await.map(drop)
    }

    /// Makes a stream with the broker's own defaults.
    ///
    /// # Errors
    /// As [`RabbitMq::rabbitmqctl`]; there is such a stream.
    pub async fn make_stream(&self, stream: &str) -> Result<(), StackError> {
        let make =
            format!("rabbit_stream_manager:create(<<\"/\">>, <<\"{stream}\">>, #{{}}, <<\"guest\">>).");
        let said = self.rabbitmqctl(&["eval", &make]).await?;
        if said.starts_with("{ok,") {
            return Ok(());
        }
        Err(StackError::Refused { action: format!("make {stream}"), said })
    }

    /// Deletes a stream behind the back of whoever uses it.
    ///
    /// # Errors
    /// As [`RabbitMq::rabbitmqctl`]; there is no such stream.
    pub async fn delete_stream(&self, stream: &str) -> Result<(), StackError> {
        let delete = format!("rabbit_stream_manager:delete(<<\"/\">>, <<\"{stream}\">>, <<\"guest\">>).");
        let said = self.rabbitmqctl(&["eval", &delete]).await?;
        if said == "{ok,deleted}" {
            return Ok(());
        }
        Err(StackError::Refused { action: format!("delete {stream}"), said })
    }

    /// Runs RabbitMQ's own tool with these arguments, at most 180 s (a second or two on an idle machine), and returns
    /// what it printed.
    ///
    /// # Errors
    /// The broker does not run, or the tool refuses.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String, StackError> {
        self.server.running()?;
        let mut command = self.command("rabbitmqctl");
        command.env("ERL_AFLAGS", format!("{} -dist_listen false", self.erl_flags()));
        command.args(["--node", configuration::NODE, "--quiet"]).args(arguments);
        let process = self.server.spawn(command)?;
        let status = process.wait(TOOL_LIMIT).await?;
        let printed = std::fs::read_to_string(process.log()).map_err(|source| StackError::File {
            action: "read",
            path: process.log().to_owned(),
            source,
        })?;
        if status.success() {
            return Ok(printed.trim_end().to_owned());
        }
        let program = ["rabbitmqctl"].iter().chain(arguments).copied().collect::<Vec<_>>().join(" ");
        Err(StackError::Exited { program, status, log: process.log_tail() })
    }
}

impl Alarm {
    /// As the broker's own watch names it.
    fn term(self) -> &'static str {
        match self {
            Self::Disk => "{resource_limit, disk, node()}",
            Self::Memory => "{resource_limit, memory, node()}",
        }
    }
}
