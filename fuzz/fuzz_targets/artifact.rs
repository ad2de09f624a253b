//! Any manifest, any index and any file of a workload: it can be sold, or is refused with the reason.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| blackfriday_workload::any_artifact(bytes));
