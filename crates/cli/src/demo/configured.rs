use std::ffi::OsString;

use anyhow::{Context as _, Result};
use clap::builder::Resettable;
use clap::{Args, Command, Parser};

/// A service's configuration: its defaults and these arguments. Not the environment, which may be meant for other servers.
pub(super) fn configured<C: Parser>(arguments: &[String]) -> Result<C> {
    let matches = without_environment(C::command(), arguments)?;
    C::from_arg_matches(&matches).context("configure a service")
}

/// A part of a configuration, in the same way.
pub(super) fn arguments<A: Args>(arguments: &[String]) -> Result<A> {
    let matches = without_environment(A::augment_args(Command::new("demo")), arguments)?;
    A::from_arg_matches(&matches).context("configure a client")
}

fn without_environment(command: Command, arguments: &[String]) -> Result<clap::ArgMatches> {
    let all = std::iter::once(OsString::from("demo")).chain(arguments.iter().map(OsString::from));
    let command = command.mut_args(|argument| argument.env(Resettable::Reset));
    command.try_get_matches_from(all).context("configure a service")
}
