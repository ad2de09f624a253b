//! What the network between two parts does. Each wire is a proxy, or one for each server at its far end.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::Result;
use blackfriday_stack::{Proxy, kafka_request, request_with};

use crate::chaos::field::Field;
use crate::chaos::kind::{Harm, Wire};

const DELAY: Duration = Duration::from_millis(250);
const BYTES_PER_SECOND: NonZeroU32 = NonZeroU32::new(16 * 1024).expect("more than none");
/// Answers that are cut off, on each proxy.
const ANSWERS: usize = 3;
/// Kafka's request to append records.
const PRODUCE: i16 = 0;
/// In the name of every function that changes counters.
const APPLY: &str = "_apply_";

pub(super) fn begin(field: &Field, wire: Wire, harm: Harm) {
    for proxy in field.wire(wire) {
        match harm {
            Harm::Cut => proxy.cut(),
            Harm::Stall => proxy.stall(),
            Harm::Delay => proxy.delay(DELAY, DELAY),
            Harm::Throttle => proxy.throttle(BYTES_PER_SECOND),
            Harm::Answers => cut_answers(proxy, wire),
        }
    }
}

pub(super) async fn heal(field: &Field, wire: Wire) -> Result<()> {
    for proxy in field.wire(wire) {
        proxy.heal().await?;
    }
    Ok(())
}

/// Exactly between a commit and its answer.
fn cut_answers(proxy: &Proxy, wire: Wire) {
    match wire {
        Wire::Relays | Wire::Writers => proxy.cut_answers(ANSWERS),
        Wire::Log => proxy.cut_answers_to(ANSWERS, kafka_request(PRODUCE)),
        Wire::Store => proxy.cut_answers_to(ANSWERS, request_with(APPLY)),
    }
}
