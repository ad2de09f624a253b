//! The tables of environment variables, made from the commands' own definitions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

const PROGRAMS: [&str; 6] = ["gateway", "relay", "writer", "consumer", "dashboard", "blackfriday"];

struct Row {
    flag: String,
    default: String,
    help: String,
    programs: Vec<usize>,
}

/// Every environment variable of every service and of `blackfriday`, as Markdown: a section for each set of
/// programs that share variables, those that most share first.
pub(crate) fn table(blackfriday: Command) -> String {
    let mut sections: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (variable, Row { flag, default, help, programs }) in rows(blackfriday) {
        let row = format!("| `{variable}` | `{flag}` | {default} | {help} |\n");
        sections.entry((PROGRAMS.len() - programs.len(), programs)).or_default().push(row);
    }
    let mut text = String::new();
    for ((_, programs), rows) in sections {
        write!(text, "\n## {}\n\n", title(&programs)).expect("writing into a String cannot fail");
        text.push_str("| variable | flag | default | what |\n|---|---|---|---|\n");
        text.extend(rows);
    }
    text
}

/// In the order of `PROGRAMS`.
pub(crate) fn services() -> [Command; 5] {
    [
        blackfriday_gateway::Config::command(),
        blackfriday_relay::Config::command(),
        blackfriday_writer::Config::command(),
        blackfriday_consumer::Config::command(),
        blackfriday_dashboard::Config::command(),
    ]
}

fn rows(blackfriday: Command) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for (program, command) in services().iter().chain([&blackfriday]).enumerate() {
        collect(program, command, &mut rows);
    }
    rows
}

fn title(programs: &[usize]) -> String {
    match programs {
        all if all.len() == PROGRAMS.len() => "All programs".to_owned(),
        services if services == [0, 1, 2, 3, 4] => "All services".to_owned(),
        some => some.iter().map(|&program| PROGRAMS[program]).collect::<Vec<_>>().join(", "),
    }
}

fn collect(program: usize, command: &Command, rows: &mut BTreeMap<String, Row>) {
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env().and_then(|variable| variable.to_str()) else { continue };
        let row = rows.entry(variable.to_owned()).or_insert_with(|| row(argument));
        if !row.default.contains(&default(argument)) {
            row.default = format!("{}, {}", row.default, default(argument));
        }
        if !row.programs.contains(&program) {
            row.programs.push(program);
        }
    }
    command.get_subcommands().for_each(|command| collect(program, command, rows));
}

fn row(argument: &Arg) -> Row {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    Row {
        flag: format!("--{}", argument.get_long().unwrap_or_default()),
        default: default(argument),
        help: help.replace('|', "\\|").replace('\n', " "),
        programs: Vec::new(),
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
