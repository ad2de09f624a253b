//! Any body of a single sale: it is a sale, which is written and read as the same, or it is not JSON, or its fields are named.
#![no_main]

use blackfriday_intake::{encode_one, parse_sale};
use blackfriday_proto::ErrorCode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    match parse_sale(body, None, false) {
        Ok(sale) => assert_eq!(parse_sale(&encode_one(&sale), None, true), Ok(sale)),
        Err(error) => assert!(error.code == ErrorCode::NotJson || !error.fields.is_empty()),
    }
    // A hop's word is read in the same way.
    if let Err(error) = parse_sale(body, None, true) {
        assert!(error.code == ErrorCode::NotJson || !error.fields.is_empty());
    }
});
