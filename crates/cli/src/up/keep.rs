//! While the system runs: servers that end are started again, and a line says what the services wait for.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result};
use blackfriday_service::Shutdown;
use blackfriday_terminal::failure::Unavailable;
use blackfriday_terminal::output;
use tokio::time::{Instant, interval_at};

use super::System;
use crate::pipeline::Server;

/// A server that ends again within this time of its start is not started a third time.
const STEADY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(200);

/// The server that was started again last, and when.
type Restarted = Option<(Server, Instant)>;

impl System {
    /// Keeps everything running until a signal comes.
    ///
    /// # Errors
    /// A service ended, or a server that cannot be kept running.
    pub(super) async fn keep(&mut self, shutdown: &Shutdown) -> Result<()> {
        let mut restarted = None;
        let (mut look, mut told) = (interval_at(Instant::now() + LOOK, LOOK), None);
        loop {
            tokio::select! {
                () = shutdown.begun() => return Ok(()),
                error = self.services.failed() => return Err(error),
                (server, status) = self.servers.ended() => tokio::select! {
                    again = self.start_again(server, status, &mut restarted) => again?,
                    () = shutdown.begun() => return Ok(()),
                },
                _ = look.tick() => self.tell_changes(&mut told),
            }
        }
    }

    async fn start_again(&self, server: Server, status: ExitStatus, restarted: &mut Restarted) -> Result<()> {
        let title = server.title();
        let ended =
            format!("{title} ended by itself, with {status}; its log is in {}", self.folder.path().display());
        if restarted.is_some_and(|(last, at)| last == server && at.elapsed() < STEADY) {
            return Err(Unavailable(format!("{ended}; it had just been started again")).into());
        }
        output::note(format_args!("{ended}: it is started again"));
        self.servers.restart(server).await.with_context(|| format!("start {title} again"))?;
        *restarted = Some((server, Instant::now()));
        output::note(format_args!("{title} serves again"));
        Ok(())
    }

    /// Tells what the services wait for, and when they wait no more, once for each change.
    fn tell_changes(&self, told: &mut Option<String>) {
        let missing = self.services.missing();
        if told.as_ref() == Some(&missing) {
            return;
        }
        match &*missing {
            "" => output::note("ready"),
            missing => output::note(format_args!("not ready: {missing}")),
        }
        *told = Some(missing);
    }
}
