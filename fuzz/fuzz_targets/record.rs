//! Any bytes of the log: they are a dead letter's, or an event that is written and read as the same.
#![no_main]

use blackfriday_event::{Event, Timestamp};
use blackfriday_proto::{decode_record, encode_record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = decode_record(bytes, Timestamp::MAX) else { return };
    let again = match &read {
        Event::Sale(sale) => encode_record(sale),
        Event::Weather(report) => encode_record(report),
    };
    assert_eq!(decode_record(&again, Timestamp::MAX).ok(), Some(read));
});
