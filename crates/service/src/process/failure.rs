use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use crate::bind::BindError;

/// Exit codes of sysexits.h.
pub(super) const EX_USAGE: u8 = 64;
const EX_UNAVAILABLE: u8 = 69;
const EX_SOFTWARE: u8 = 70;

/// Why a process ends with another exit code than 0.
#[derive(Debug)]
pub enum Failure {
    /// 64: the configuration cannot work.
    Configuration(Box<dyn Error + Send + Sync>),
    /// 69: something that is needed at the start is not there.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// 70: anything else.
    Internal(Box<dyn Error + Send + Sync>),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => EX_USAGE,
            Self::Unavailable(_) => EX_UNAVAILABLE,
            Self::Internal(_) => EX_SOFTWARE,
        }
    }

    fn cause(&self) -> &(dyn Error + 'static) {
        let (Self::Configuration(cause) | Self::Unavailable(cause) | Self::Internal(cause)) = self;
        cause.as_ref()
    }
}

/// A service's own port is said by `--listen`.
impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::Unavailable(Box::new(error.by("--listen")))
    }
}

pub(super) fn end(ended: Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let cause = failure.cause();
            tracing::error!(error = chain(cause), "failed");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Before there are log lines.
pub(super) fn end_untold(failure: Failure) -> ExitCode {
    // A closed standard error cannot be reported anywhere.
    writeln!(std::io::stderr(), "error: {}", chain(failure.cause())).ok();
    ExitCode::from(failure.exit_code())
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;
    use crate::bind::bind;

    #[test]
    fn a_port_that_is_taken_is_told_with_its_flag() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let told = |flag| runtime.block_on(async { bind(address).expect_err("taken").by(flag) });
        let admin = chain(Failure::from(told("--admin-listen")).cause());
        let begin = format!("cannot listen on {address}, as --admin-listen says: ");
        assert!(admin.starts_with(&begin), "{admin}");
        let own = runtime.block_on(async { bind(address).expect_err("taken") });
        assert!(chain(Failure::from(own).cause()).contains("as --listen says"));
    }
}
