//! The skeleton that every process of the pipeline shares: configuration errors, signals, admin port, bounded HTTP
//! serving, drain in order, exit codes.
//!
//! The order of a stop is the same everywhere: readiness false, stop accepting, finish what is in flight under a
//! limit, flush, end with exit code 0.
//!
//! Invariant: every connection, body, request and wait has a named limit; over it the client gets an answer that says
//! so, or is closed.

mod accept;
pub mod admin;
mod bind;
mod body;
pub mod http;
mod limits;
pub mod openapi;
pub mod problem;
mod process;
mod readiness;
mod shutdown;
pub mod tls;

pub use blackfriday_telemetry::access::Secret;

pub use accept::{Accepted, Acceptor};
pub use bind::{BindError, bind};
pub use body::{BodyBudget, BodyError, BodyLimits, BudgetFull, Room, read_body};
pub use limits::{HttpLimits, positive};
pub use problem::{FieldProblem, Kind, Problem};
pub use process::{Context, Failure, ProcessConfig, ServiceConfig, main_with, raise_fd_limit};
pub use readiness::{Condition, Readiness};
pub use shutdown::{Shutdown, signals};
