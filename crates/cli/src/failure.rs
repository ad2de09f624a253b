//! Why a command could not do its work, and the exit code that says so.

use blackfriday_broker::BrokerError;
use blackfriday_stack::StackError;
use blackfriday_store::StoreError;
use blackfriday_workload::RegistryError;

/// Exit codes of sysexits.h.
const EX_USAGE: u8 = 64;
const EX_DATAERR: u8 = 65;
const EX_UNAVAILABLE: u8 = 69;
const EX_SOFTWARE: u8 = 70;
const EX_IOERR: u8 = 74;
const EX_NOPERM: u8 = 77;
/// As a shell reports SIGINT.
const SIGNALED: u8 = 130;

/// What was asked for cannot be done as it was asked: a wrong value, a file that is missing or of another kind.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A file is of another kind, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DataError(pub(crate) String);

/// A file cannot be written, or not be read back.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FileError(pub(crate) String);

/// Something that is needed cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// Something that is needed refuses whoever asks.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Denied(pub(crate) String);

/// A signal ended the command before it was done.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal")]
pub(crate) struct Interrupted;

/// 64 for wrong arguments, 65 for damaged data, 69 for what cannot be reached, 74 for a file that cannot be written, 77 for a
/// refusal, 130 for a signal, 70 for the rest.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<Usage>().is_some() {
        return EX_USAGE;
    }
    if error.downcast_ref::<DataError>().is_some() {
        return EX_DATAERR;
    }
    if error.downcast_ref::<FileError>().is_some() {
        return EX_IOERR;
    }
    if error.downcast_ref::<Interrupted>().is_some() {
        return SIGNALED;
    }
    if let Some(error) = error.downcast_ref::<RegistryError>() {
        return of_registry(error);
    }
    if error.downcast_ref::<Denied>().is_some() {
        return EX_NOPERM;
    }
    let is_denied = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(StoreError::Denied { .. }))
    };
    if error.chain().any(is_denied) {
        return EX_NOPERM;
    }
    let is_unavailable = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Unavailable>()
            || cause.is::<BrokerError>()
            || cause.is::<StoreError>()
            || cause.is::<StackError>()
    };
    if error.downcast_ref::<Unavailable>().is_some() || error.chain().any(is_unavailable) {
        EX_UNAVAILABLE
    } else {
        EX_SOFTWARE
    }
}

fn of_registry(error: &RegistryError) -> u8 {
    match error {
        RegistryError::Reference { .. } | RegistryError::Client(_) | RegistryError::File { .. } => EX_USAGE,
        RegistryError::Denied { .. } => EX_NOPERM,
        RegistryError::Absent { .. } | RegistryError::Request { .. } | RegistryError::Cut { .. } => {
            EX_UNAVAILABLE
        }
        RegistryError::Digest { .. }
        | RegistryError::Manifest { .. }
        | RegistryError::Index { .. }
        | RegistryError::NotAWorkload { .. } => EX_DATAERR,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn each_kind_has_its_code_below_any_context() {
        let usage = std::fs::read("/nonexistent").context(Usage("read it".to_owned())).context("load");
        assert_eq!(exit_code(&usage.expect_err("no such file")), EX_USAGE);
        let missing = Err::<(), _>(BrokerError::NoTopic("ventas".to_owned())).context("verify");
        assert_eq!(exit_code(&missing.expect_err("no such topic")), EX_UNAVAILABLE);
        let away = Err::<(), _>(Unavailable("away".to_owned())).context("load");
        assert_eq!(exit_code(&away.expect_err("away")), EX_UNAVAILABLE);
        let denied = RegistryError::Denied { registry: "r".to_owned(), action: "read".to_owned() };
        assert_eq!(exit_code(&anyhow::Error::from(denied).context("load")), EX_NOPERM);
        assert_eq!(exit_code(&anyhow!("a defect")), EX_SOFTWARE);
    }
}
