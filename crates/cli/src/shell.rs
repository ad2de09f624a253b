//! What a shell and `man` want to know of the commands, made from their definitions.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use blackfriday_terminal::failure::FileError;
use blackfriday_terminal::output;
use clap::Command;
use clap_complete::Shell;

use crate::reference::services;

/// Prints completions.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday completions bash > ~/.local/share/bash-completion/completions/blackfriday\n  \
    blackfriday completions zsh > /usr/local/share/zsh/site-functions/_blackfriday\n  \
    blackfriday completions fish > ~/.config/fish/completions/blackfriday.fish")]
pub struct CompletionArguments {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Writes manual pages.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  blackfriday man ~/.local/share/man/man1\n\n\
    Exit code 74 if a page cannot be written.")]
pub struct ManArguments {
    /// The folder, which is made if it is missing.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn completions(arguments: &CompletionArguments, mut blackfriday: Command) {
    let mut script = Vec::new();
    let name = blackfriday.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut blackfriday, name, &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
}

/// A page of each command, and of each service.
pub(crate) fn manual(arguments: &ManArguments, blackfriday: Command) -> Result<()> {
    let folder = &arguments.folder;
    let failed = || FileError(format!("cannot write manual pages into {}", folder.display()));
    std::fs::create_dir_all(folder).with_context(failed)?;
    for command in std::iter::once(blackfriday).chain(services()) {
        clap_mangen::generate_to(command, folder).with_context(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::{Arg, ValueEnum as _};

    use super::*;
    use crate::Cli;

    /// What stands for a value in usages: a word that says what is wanted, and never the name of a field.
    const VALUES: &str = "AXIS BYTES CATEGORY CMD CODE DIR DIR|REF DURATION EXPERIMENT FILE FILE[=NAME:TAG] FILE|REF FILTER \
        FORMAT HOP HOST HOST:PORT HOST:PORT,… ID KIB KIND LOG MIB MINUTES MS N NAME NAME:TAG OFFSET OS/ARCH PASSWORD PORT \
        PREFIX PROTOCOL REF ROUTE S SHARE SHELL STORE TOPIC TOPIC,… TOPICS URL WHAT WHERE";

    fn walk(command: &Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        let takes_a_value = |argument: &&Arg| argument.get_action().takes_values();
        for argument in command.get_arguments().filter(takes_a_value) {
            let names: Vec<_> =
                argument.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
            if names.is_empty() || !names.iter().all(|name| VALUES.split(' ').any(|value| value == *name)) {
                found.push(format!("{path}: {} has {names:?}", argument.get_id()));
            }
        }
        let is_ours = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
        let shown = command.get_subcommands().filter(is_ours);
        shown.for_each(|command| walk(command, &path, found));
    }

    #[test]
    fn every_value_has_a_name_that_says_what_is_wanted() {
        let mut found = Vec::new();
        // Built, so that values without a name of their own have one.
        for mut command in std::iter::once(Cli::command()).chain(services()) {
            command.build();
            walk(&command, "", &mut found);
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn every_shell_completes_the_verbs() {
        for shell in Shell::value_variants() {
            let (mut script, mut command) = (Vec::new(), Cli::command());
            clap_complete::generate(*shell, &mut command, "blackfriday", &mut script);
            let script = String::from_utf8(script).expect("text");
            assert!(script.contains("dead-letters") && script.contains("kafka-brokers"), "{shell}");
        }
    }

    #[test]
    fn each_verb_and_each_service_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = ManArguments { folder: folder.path().join("man1") };
        manual(&arguments, Cli::command()).expect("written");
        for page in ["blackfriday", "blackfriday-topics-create", "blackfriday-load", "blackfriday-consumer"] {
            let text = std::fs::read_to_string(arguments.folder.join(format!("{page}.1"))).expect(page);
            assert!(text.contains(".SH SYNOPSIS") && !text.contains("bench-part"), "{page}");
        }
        let root = std::fs::read_to_string(arguments.folder.join("blackfriday.1")).expect("the root's page");
        assert!(root.contains("Exit codes"), "{root}");
    }
}
