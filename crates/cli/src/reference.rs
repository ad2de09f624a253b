//! The table of environment variables, made from the commands' own definitions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::command::Cli;

struct Row {
    flag: String,
    default: String,
    help: String,
    services: Vec<&'static str>,
}

/// Every environment variable of every service and of `blackfriday`, as a Markdown table.
pub fn table() -> String {
    let mut rows = BTreeMap::new();
    for (service, command) in [
        ("gateway", blackfriday_gateway::Config::command()),
        ("relay", blackfriday_relay::Config::command()),
        ("writer", blackfriday_writer::Config::command()),
        ("consumer", blackfriday_consumer::Config::command()),
        ("dashboard", blackfriday_dashboard::Config::command()),
        ("blackfriday", Cli::command()),
    ] {
        collect(service, &command, &mut rows);
    }
    let mut table = "| variable | flag | default | what | of |\n|---|---|---|---|---|\n".to_owned();
    for (variable, Row { flag, default, help, services }) in rows {
        let services = if services.len() == 6 { "all".to_owned() } else { services.join(", ") };
        writeln!(table, "| `{variable}` | `{flag}` | {default} | {help} | {services} |")
            .expect("writing into a String cannot fail");
    }
    table
}

fn collect(service: &'static str, command: &Command, rows: &mut BTreeMap<String, Row>) {
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env().and_then(|variable| variable.to_str()) else { continue };
        let row = rows.entry(variable.to_owned()).or_insert_with(|| row(argument));
        if !row.default.contains(&default(argument)) {
            row.default = format!("{}, {}", row.default, default(argument));
        }
        if !row.services.contains(&service) {
            row.services.push(service);
        }
    }
    command.get_subcommands().for_each(|command| collect(service, command, rows));
}

fn row(argument: &Arg) -> Row {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    Row {
        flag: format!("--{}", argument.get_long().unwrap_or_default()),
        default: default(argument),
        help: help.replace('|', "\\|").replace('\n', " "),
        services: Vec::new(),
    }
}

fn default(argument: &Arg) -> String {
    let values: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if values.iter().all(|value| value.is_empty()) {
        "none".to_owned()
    } else {
        format!("`{}`", values.join(","))
    }
}
