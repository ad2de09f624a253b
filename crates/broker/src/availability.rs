use tokio::sync::watch;

/// Whether the broker can be reached, as the client last saw it. Clones share it.
#[derive(Debug, Clone)]
pub struct Availability(watch::Sender<bool>);

impl Availability {
    /// Not reached yet.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// As last seen.
    pub fn is_available(&self) -> bool {
        *self.0.borrow()
    }

    /// Follows the changes.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    pub(crate) fn set(&self, available: bool) {
        let changed = self.0.send_if_modified(|was| std::mem::replace(was, available) != available);
        match (changed, available) {
            (true, true) => tracing::info!("the broker is available"),
            (true, false) => tracing::warn!("the broker is away"),
            (false, _) => {}
        }
    }
}
