//! What gateway and relay share, because both are the pipeline's front door: REST bodies in, problem details out, lanes
//! that put concurrent requests into shared upstream calls, and the gRPC client that balances over all writers.
//!
//! Invariant: an event is sent upstream a second time only if it surely was not written, or has an idempotency key; and
//! once a try ended unknown, only an acceptance or "the outcome is not known" is the answer.

mod answer;
mod batch_body;
mod batch_room;
mod catalogue;
mod config;
mod deadline;
mod event_json;
mod front;
mod hop;
mod idempotency;
mod json;
mod lane;
mod logs;
mod media;
pub mod openapi;
mod problem;
mod sale_json;
mod schemas;
mod trace;
mod tries;
mod upstream;
mod weather_json;
mod writers;

pub use answer::{Accepted, BatchAnswer, BatchProblem, ItemAnswer, WeatherAccepted, WeatherProblem, code_of};
pub use batch_body::{Item, parse_many};
pub use catalogue::Catalogue;
pub use config::IntakeConfig;
pub use front::Front;
pub use hop::{DEADLINE_HEADER, HopFields, Trust, encode_many, encode_one};
pub use logs::{LogState, LogStates, Reported};
pub use problem::{KINDS, kind_of, problem_of};
pub use sale_json::{SaleBody, parse_sale};
pub use tries::{Again, Failed, Said, Tries};
pub use upstream::Upstream;
pub use weather_json::WeatherBody;
pub use writers::{WeatherWriters, Writers, WritersConfig, WritersError, WritersTls};
