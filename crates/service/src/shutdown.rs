use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The one-way switch from serving to stopping. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A switch that has not been thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Throws it.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has been thrown.
    pub fn is_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is thrown.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}

/// Throws the switch at SIGTERM or SIGINT; a second one ends the process at once with exit code 130.
///
/// # Errors
/// The signals cannot be caught.
pub async fn signals(shutdown: Shutdown) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    for first in [true, false] {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if first {
            tracing::info!(signal = name, "stopping");
            shutdown.begin();
        }
    }
    tracing::warn!("a second signal ends the process without a drain");
    #[expect(clippy::exit, reason = "the operator asked twice")]
    process::exit(130)
}
