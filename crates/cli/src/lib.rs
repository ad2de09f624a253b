//! The command `blackfriday`: the words of its command line, and the demo. What its verbs do is in the crates that they are
//! named after.

mod command;
mod data_folder;
mod demo;
mod failure;
mod pipeline;
mod reference;
mod registry;
mod shell;
mod up;
mod usual;
mod workload;

pub use command::{Cli, reference_table, run};
