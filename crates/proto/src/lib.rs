//! The wire: types generated from `/proto`, and their conversions to and from the domain.
//!
//! Every process boundary of the pipeline speaks these types: gRPC between relay and writer
//! ([`blackfriday`], [`clima`]), and the record in the event log ([`record`]).
//!
//! Invariant: a conversion into the domain accepts exactly the valid values and names every wrong field;
//! a conversion out of it and back gives the same value.

mod code;
mod command;
mod record_codec;
mod refusal;
mod sale;
mod weather;

pub use code::{ErrorCode, WRITER_MARK};
pub use command::{Command, SaleCommand, WeatherCommand};
pub use record_codec::{CONTENT_TYPE, DecodeError, RecordDraft, decode_record, encode_record};
pub use refusal::{EventOutcome, Refusal};

/// Serialized descriptors of every service, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub use generated::{blackfriday, clima, record};

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::too_many_lines,
    reason = "generated"
)]
mod generated {
    /// Package `blackfriday`: the sale service.
    pub mod blackfriday {
        tonic::include_proto!("blackfriday");
    }

    /// Package `clima`: the weather service.
    pub mod clima {
        tonic::include_proto!("clima");
    }

    /// Package `blackfriday.record`: what the event log holds.
    pub mod record {
        tonic::include_proto!("blackfriday.record");
    }
}
