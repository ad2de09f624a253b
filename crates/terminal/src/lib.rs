//! What the commands have in common: results on standard output, everything else on standard error, and an exit code that
//! says how it ended.
//!
//! Exit codes: 0 what was asked for is so; 1 it is not (a difference, a refused sale); 64 wrong arguments; 65 a file, or what
//! came from a registry, is damaged or of another kind; 69 Kafka, Valkey, the gateway or a registry cannot be reached; 70 a
//! defect; 74 a file cannot be written; 77 a server refuses; 130 a signal ended it before it was done.

pub mod failure;
pub mod file;
pub mod output;
pub mod process;
pub mod progress;
