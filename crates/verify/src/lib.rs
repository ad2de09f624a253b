//! The proof, and what else looks into the log: records, dead letters, positions.
//!
//! `compare` holds what clients were told against what is in the log and what is counted; `between` holds two logs against each
//! other; `tail` and `dead_letters` show records, `redrive` sends dead letters again, `resume` moves a position, and `create`
//! makes topics. Invariant: nothing but these three changes anything; the first two can be tried with `--dry-run`, and the third
//! leaves a topic as it is that is there.

mod between;
pub mod compare;
pub mod create;
pub mod dead_letters;
mod log;
mod proof;
mod reach;
mod records;
pub mod resume;
pub mod tail;
mod topics;
mod wait;

use blackfriday_broker::BrokerError;
use blackfriday_store::StoreError;
use blackfriday_terminal::failure::{EX_NOPERM, EX_UNAVAILABLE};

pub use between::{Agreement, agree};
pub use compare::prove;
pub use proof::Proof;
pub use topics::Topics;

/// The exit code for a broker or a store that refuses, or that cannot be reached.
pub fn exit_code(error: &anyhow::Error) -> Option<u8> {
    let is_denied = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(StoreError::Denied { .. }))
    };
    if error.chain().any(is_denied) {
        return Some(EX_NOPERM);
    }
    error.chain().any(|cause| cause.is::<BrokerError>() || cause.is::<StoreError>()).then_some(EX_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn what_is_missing_in_the_log_is_unavailable_below_any_context() {
        let missing = Err::<(), _>(BrokerError::NoTopic("ventas".to_owned())).context("verify");
        assert_eq!(exit_code(&missing.expect_err("no such topic")), Some(EX_UNAVAILABLE));
        assert_eq!(exit_code(&anyhow::anyhow!("another")), None);
    }
}
