//! How much memory a batch takes while its sales are on their way upstream, counted against the budget of bodies.
//!
//! An item of 66 bytes becomes more than ten times as much: the command, its key, its outcome, its part of the message to
//! the next hop and of the answer. Measured in a gateway before a relay that does not answer, for each of 400 000 waiting
//! sales: 716 bytes without a key, 946 under a key of 128. `keyed_batches_that_wait_take_no_more_than_the_budget` holds the
//! numbers against a process.

use blackfriday_proto::{Refusal, SaleCommand};

use crate::answer::{BatchAnswer, TOLD_IN_FULL};
use crate::batch_body::Item;

/// A sale without its texts: command, outcome, numbers and names in the message to the next hop, result in its answer.
const SALE_BYTES: usize = 640;
/// Each text is in the command and in the message.
const TEXT_COPIES: usize = 2;

/// What the items of a batch and the answer to it take.
pub(crate) fn batch_bytes(items: &[Item]) -> usize {
    let wrong = items.iter().filter(|item| item.is_err()).count();
    let sales: usize = items.iter().flatten().map(sale_bytes).sum();
    sales + BatchAnswer::room_bytes(items.len(), wrong)
}

/// Forgets what the answer will not tell of an item's refusal, before the batch waits for upstream.
pub(crate) fn shorten_refusals(items: &mut [Item]) {
    for error in items.iter_mut().filter_map(|item| item.as_mut().err()).skip(TOLD_IN_FULL) {
        *error = Refusal::new(error.code, "");
    }
}

fn sale_bytes(command: &SaleCommand) -> usize {
    let key = command.idempotency_key.as_ref().map_or(0, |key| key.as_str().len());
    let trace = command.traceparent.as_ref().map_or(0, String::len);
    SALE_BYTES + TEXT_COPIES * (command.draft.product_id.as_str().len() + key + trace)
}
