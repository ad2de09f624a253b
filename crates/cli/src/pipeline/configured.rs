use std::ffi::OsString;

use anyhow::Result;
use blackfriday_terminal::failure::Usage;
use clap::builder::Resettable;
use clap::{Command, Parser};

/// Whether the environment has settings of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    /// It may be meant for others.
    Ignored,
    /// They are ours.
    Read,
}

impl Environment {
    /// A service's configuration: its defaults, what the environment says if it is read, and these arguments.
    pub(super) fn configured<C: Parser>(self, arguments: &[String]) -> Result<C> {
        let command = match self {
            Self::Read => C::command(),
            Self::Ignored => C::command().mut_args(|argument| argument.env(Resettable::Reset)),
        };
        configure(command, arguments).map_err(|error| wrong(&C::command(), &error).into())
    }
}

fn configure<C: Parser>(command: Command, arguments: &[String]) -> Result<C, clap::Error> {
    let all = std::iter::once(OsString::from("service")).chain(arguments.iter().map(OsString::from));
    C::from_arg_matches(&command.try_get_matches_from(all)?)
}

/// Only the environment can hold a wrong value.
fn wrong(service: &Command, error: &clap::Error) -> Usage {
    let told = error.to_string();
    let first = told.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Usage(format!("{}, by the environment: {first}", service.get_name()))
}
