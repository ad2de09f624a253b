//! How the producer's threads are scheduled.
//!
//! librdkafka wakes its sending thread with the first record of a batch. On busy cores that thread then interrupts the
//! one that hands the batch over, and sends the batch in pieces. Under `SCHED_BATCH` a woken thread interrupts no other
//! (sched(7)): it sends when the batch is there, or at once where a core is free.

use std::io;
use std::panic::resume_unwind;
use std::thread;

/// Calls `make` under `SCHED_BATCH`, on a thread of its own. Threads that it starts inherit the policy.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn batched<T: Send>(make: impl FnOnce() -> T + Send) -> io::Result<T> {
    let named = thread::Builder::new().name("kafka-start".to_owned());
    thread::scope(|scope| {
        let started = named.spawn_scoped(scope, || {
            if let Err(error) = batch() {
                tracing::debug!(%error, "the producer's threads keep the default scheduling");
            }
            make()
        })?;
        Ok(started.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

#[cfg(target_os = "linux")]
fn batch() -> io::Result<()> {
    // The static priority, which must be 0 for this policy.
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; the parameters are a valid structure that the call only reads.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(target_os = "linux"))]
fn batch() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn policy() -> i32 {
        // SAFETY: 0 is the calling thread.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn threads_started_inside_inherit_the_policy_and_the_caller_keeps_its_own() {
        let before = policy();
        let (inside, inherited) =
            batched(|| (policy(), thread::spawn(policy).join().expect("no panic"))).expect("a thread");
        assert_eq!((inside, inherited), (libc::SCHED_BATCH, libc::SCHED_BATCH));
        assert_eq!(policy(), before);
    }
}
