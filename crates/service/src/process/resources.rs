//! What a process takes of its machine: threads, memory, descriptors.

use std::{io, thread};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

/// Runs tasks on so many threads; without a number on half as many as there are cores. One needs no scheduler between
/// threads: it is the caller's.
pub(super) fn runtime(threads: Option<u16>) -> io::Result<Runtime> {
    match threads.map_or_else(half_of_the_cores, usize::from) {
        1 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}

fn half_of_the_cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// A service whose allocator gets huge pages has 2 MiB resident for each that it touches: several MiB more when it is idle.
/// What was touched before stays as it is.
#[cfg(target_os = "linux")]
pub(super) fn use_small_pages() {
    // Where this is not allowed it takes more memory, and nothing else.
    rustix::thread::disable_transparent_huge_pages(true).ok();
}

#[cfg(not(target_os = "linux"))]
pub(super) fn use_small_pages() {}

/// Raises the soft limit of open files to the hard one: each connection takes one.
pub fn raise_fd_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_is_the_one_that_waits_for_the_service() {
        let of_a_task = |threads| {
            let task = async { tokio::spawn(async { thread::current().id() }).await.expect("no panic") };
            runtime(Some(threads)).expect("a runtime").block_on(task)
        };
        let own = thread::current().id();
        assert_eq!(of_a_task(1), own);
        assert_ne!(of_a_task(2), own);
    }
}
