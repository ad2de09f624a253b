//! Limits of a process that runs, as a machine sets them that has run out of something (getrlimit(2)).
//!
//! They are those of this process, and not of others that it starts. No privilege is needed: only what the process may use is
//! lowered, not what it may ask for.

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::Process;
use crate::error::StackError;

/// What a process can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scarce {
    /// Files and connections that are open at once. Those that are open stay so.
    Descriptors,
    /// Bytes of each file: what writes beyond gets an error as of a full disk, though another one (`EFBIG`).
    FileBytes,
    /// Bytes of data and heap. What it has it keeps.
    MemoryBytes,
}

impl Process {
    /// Lets the process have no more than so much, or as much as this one may, without a number.
    ///
    /// # Errors
    /// The limit is higher than what the process may ask for.
    pub fn limit(&self, scarce: Scarce, most: Option<u64>) -> Result<(), StackError> {
        self.while_alive(|pid| set(pid, scarce.resource(), most))
    }
}

impl Scarce {
    fn resource(self) -> Resource {
        match self {
            Self::Descriptors => Resource::Nofile,
            Self::FileBytes => Resource::Fsize,
            Self::MemoryBytes => Resource::Data,
        }
    }
}

fn set(pid: Pid, resource: Resource, most: Option<u64>) -> Result<(), Errno> {
    let ours = getrlimit(resource);
    let current = most.or(ours.current);
    prlimit(Some(pid), resource, Rlimit { current, maximum: ours.maximum }).map(drop)
}
