//! Any query of the dashboard: it is right, or its wrong parameters are named.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| blackfriday_dashboard::any_query(query));
