//! The command `blackfriday`: starts a demo, sends load, proves the count, and looks into the log.
//!
//! Exit codes: 0 what was asked for is so; 1 it is not (a difference, a refused sale); 64 wrong arguments; 65 a file, or what
//! came from a registry, is damaged or of another kind; 69 Kafka, Valkey, the gateway or a registry cannot be reached; 70 a
//! defect; 74 a file cannot be written; 77 a registry refuses; 130 a signal ended it before it was done.

mod command;
mod dead_letters;
mod demo;
mod deploy;
mod doctor;
mod failure;
mod image;
mod load;
mod output;
mod receipts;
mod records;
mod reference;
mod registry;
mod resume;
mod tail;
mod topics;
mod valkey_config;
mod verify;
mod workload;

pub use command::{Cli, Command, run};
pub use reference::table as reference_table;
