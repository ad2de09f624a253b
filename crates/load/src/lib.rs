//! Sends sales or weather reports to a gateway and measures how it answers.
//!
//! Open loop (`--rate`): each request has an intended time, and its latency counts from then, so that a gateway that stalls
//! is seen to stall (coordinated omission); what was never sent has waited until the end. Closed loop: each connection sends
//! its next request when the last is answered. What was sent and how it was answered goes to a receipts file, for `verify`.

mod arguments;
mod connection;
mod event;
mod outcome;
mod plan;
mod report;
mod request;
mod run;
mod schedule;
mod source;
#[cfg(test)]
mod tests;
mod worker;

use blackfriday_workload::SourceError;

pub use arguments::Arguments;
pub use plan::Plan;
pub use report::Report;
pub use run::{run, send};
pub use source::SourceArguments;

/// The exit code of a load that could not get its workload.
pub fn exit_code(error: &anyhow::Error) -> Option<u8> {
    error.downcast_ref().map(SourceError::exit_code)
}
