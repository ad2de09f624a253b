//! The cuts that are armed, shared by all connections of a proxy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) type Predicate = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

#[derive(Default)]
pub(super) struct Cuts {
    armed: Mutex<Option<Armed>>,
    done: AtomicU64,
}

struct Armed {
    left: usize,
    is: Predicate,
}

impl Cuts {
    pub(super) fn arm(&self, count: usize, is: Predicate) {
        *self.armed() = Some(Armed { left: count, is });
    }

    pub(super) fn disarm(&self) {
        *self.armed() = None;
    }

    /// Whether the answer to this request is to be cut; one cut is used up then.
    pub(super) fn take(&self, request: &[u8]) -> bool {
        let mut armed = self.armed();
        let Some(armed) = armed.as_mut().filter(|armed| armed.left > 0 && (armed.is)(request)) else {
            return false;
        };
        armed.left -= 1;
        true
    }

    pub(super) fn note(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn armed(&self) -> MutexGuard<'_, Option<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
