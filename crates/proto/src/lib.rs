//! The wire: types generated from `/proto`, and their conversions to and from the domain.
//!
//! Every process boundary of the pipeline speaks these types: gRPC between relay and writer
//! ([`blackfriday`], [`clima`]), and the record in the event log ([`record`]).
//!
//! Invariant: a conversion into the domain accepts exactly the valid values and names every wrong field;
//! a conversion out of it and back gives the same value.

mod code;
mod record_codec;
mod sale;
mod weather;

pub use code::{ErrorCode, SaleError, WRITER_MARK};
pub use record_codec::{CONTENT_TYPE, DecodeError, Event, decode_record, encode_sale, encode_weather};
pub use sale::SaleCommand;
pub use weather::WeatherCommand;

/// Serialized descriptors of every service, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Package `blackfriday`: the sale service.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod blackfriday {
    tonic::include_proto!("blackfriday");
}

/// Package `clima`: the weather service.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod clima {
    tonic::include_proto!("clima");
}

/// Package `blackfriday.record`: what lies in the event log.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod record {
    tonic::include_proto!("blackfriday.record");
}
