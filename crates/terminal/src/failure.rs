//! Why a command could not do its work, and the exit code that says so.

use crate::output::in_a_line;

/// Exit codes of sysexits.h.
pub const EX_USAGE: u8 = 64;
/// What came is damaged.
pub const EX_DATAERR: u8 = 65;
/// A server is away.
pub const EX_UNAVAILABLE: u8 = 69;
/// A defect.
pub const EX_SOFTWARE: u8 = 70;
/// A file cannot be written.
pub const EX_IOERR: u8 = 74;
/// A server refuses.
pub const EX_NOPERM: u8 = 77;
/// As a shell reports SIGINT.
pub const SIGNALED: u8 = 130;

/// The exit code for an error of one library; `None` if the error is of another kind.
pub type Classify = fn(&anyhow::Error) -> Option<u8>;

/// What was asked for cannot be done as it was asked: a wrong value, a file that is missing or of another kind.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A file is of another kind, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DataError(pub String);

/// A file cannot be written, or not be read back.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FileError(pub String);

/// Something that is needed cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Something that is needed refuses the request.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Denied(pub String);

/// A signal ended the command before it was done.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal")]
pub struct Interrupted;

/// Characters of a cause that are shown.
const SHOWN: usize = 1_000;

/// An error and its causes in one line. What a library says as its own cause, too, is said once.
pub fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
            continue;
        }
        // A library may have answered with what it got, over many lines.
        let cause = in_a_line(&cause, SHOWN);
        if !told.ends_with(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// 64 for wrong arguments, 65 for damaged data, 74 for a file that cannot be written, 130 for a signal, 77 for a refusal, then
/// what the libraries say, 69 for what cannot be reached, 70 for the rest.
pub fn exit_code(error: &anyhow::Error, libraries: &[Classify]) -> u8 {
    if error.is::<Usage>() {
        return EX_USAGE;
    }
    if error.is::<DataError>() {
        return EX_DATAERR;
    }
    if error.is::<FileError>() {
        return EX_IOERR;
    }
    if error.is::<Interrupted>() {
        return SIGNALED;
    }
    if error.is::<Denied>() {
        return EX_NOPERM;
    }
    if let Some(code) = libraries.iter().find_map(|classify| classify(error)) {
        return code;
    }
    if error.is::<Unavailable>() || error.chain().any(|cause| cause.is::<Unavailable>()) {
        EX_UNAVAILABLE
    } else {
        EX_SOFTWARE
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn each_kind_has_its_code_below_any_context() {
        let code = |error: &anyhow::Error| exit_code(error, &[]);
        let usage = std::fs::read("/nonexistent").context(Usage("read it".to_owned())).context("load");
        assert_eq!(code(&usage.expect_err("no such file")), EX_USAGE);
        let away = Err::<(), _>(Unavailable("away".to_owned())).context("load");
        assert_eq!(code(&away.expect_err("away")), EX_UNAVAILABLE);
        let denied = Err::<(), _>(anyhow!("403")).context(Denied("no".to_owned()));
        assert_eq!(code(&denied.expect_err("denied")), EX_NOPERM);
        assert_eq!(code(&Interrupted.into()), SIGNALED);
        assert_eq!(code(&anyhow!("what nobody expected")), EX_SOFTWARE);
    }

    #[test]
    fn what_a_library_knows_comes_before_what_nobody_does() {
        let classify: Classify = |error| error.is::<std::fmt::Error>().then_some(EX_DATAERR);
        assert_eq!(exit_code(&std::fmt::Error.into(), &[classify]), EX_DATAERR);
        assert_eq!(exit_code(&anyhow!("other"), &[classify]), EX_SOFTWARE);
    }

    #[test]
    fn a_cause_is_said_once() {
        let away = Err::<(), _>(anyhow!("refused")).context("Valkey is away: refused").context("verify");
        assert_eq!(told(&away.expect_err("away")), "verify: Valkey is away: refused");
        assert_eq!(told(&anyhow!("one").context("two")), "two: one");
        assert_eq!(told(&anyhow!("got\n  `84`\u{7}").context("two")), "two: got `84`", "in one line");
    }
}
