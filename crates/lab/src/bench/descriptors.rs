//! How many descriptors the client may have, and each service that it starts: every connection is one, at both ends.

use std::fmt;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For everything but the connections: files, pipes, and connections to servers.
const OTHERS: u64 = 256;

/// Why so many connections are not possible here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooFew {
    needed: u64,
    allowed: u64,
}

/// Lets this process, and what it starts from then on, have as many descriptors as so many connections need, which takes no
/// right as long as the hard limit allows it; else nothing is changed.
///
/// # Errors
/// The limit cannot be set.
pub(super) fn allow(connections: u16) -> Result<Option<TooFew>> {
    let limit = getrlimit(Resource::Nofile);
    let needed = u64::from(connections) + OTHERS;
    match needed_of(needed, limit.current, limit.maximum) {
        Needed::Nothing => Ok(None),
        Needed::More => {
            let more = Rlimit { current: Some(needed), maximum: limit.maximum };
            setrlimit(Resource::Nofile, more).with_context(|| format!("ask for {needed} descriptors"))?;
            Ok(None)
        }
        Needed::TooMuch { allowed } => Ok(Some(TooFew { needed, allowed })),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Needed {
    Nothing,
    More,
    TooMuch { allowed: u64 },
}

/// `None` is no limit.
fn needed_of(needed: u64, soft: Option<u64>, hard: Option<u64>) -> Needed {
    match (soft, hard) {
        (None, _) => Needed::Nothing,
        (Some(soft), _) if soft >= needed => Needed::Nothing,
        (Some(_), Some(hard)) if hard < needed => Needed::TooMuch { allowed: hard },
        (Some(_), _) => Needed::More,
    }
}

impl fmt::Display for TooFew {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, allowed } = self;
        write!(to, "takes {needed} descriptors, and the hard limit is {allowed} (ulimit -Hn)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_as_far_as_the_hard_one_allows() {
        assert_eq!(needed_of(8_256, Some(8_256), Some(8_256)), Needed::Nothing);
        assert_eq!(needed_of(8_256, None, None), Needed::Nothing);
        assert_eq!(needed_of(8_256, Some(1_024), Some(8_256)), Needed::More);
        assert_eq!(needed_of(8_256, Some(1_024), None), Needed::More);
        assert_eq!(needed_of(8_256, Some(1_024), Some(4_096)), Needed::TooMuch { allowed: 4_096 });
        let told = TooFew { needed: 8_256, allowed: 4_096 }.to_string();
        assert!(told.contains("8256") && told.contains("4096"), "{told}");
    }
}
