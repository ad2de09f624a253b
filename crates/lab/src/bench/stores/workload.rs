use anyhow::{Result, anyhow};
use blackfriday_event::{
    Bounds, Category, EventId, KeyWindow, Money, ProductId, Quantity, SALES, Sale, SaleDraft, SaleTally,
    Timestamp,
};
use blackfriday_store::{Batch, BatchTally};

/// Steps of a run: with the defaults they have a million sales.
const STEPS: u64 = 250;
const START_MS: u64 = 1_700_000_000_000;
/// Odd, and no divisor of a number of products that anybody would choose: sales go through all of them.
const STRIDE: u64 = 7_919;

/// The same sales each time: steps, in each of which every partition has a batch, in their order.
pub(super) struct Workload {
    pub(super) steps: Vec<Vec<Batch>>,
    /// What all of it adds up to.
    pub(super) whole: SaleTally,
}

impl Workload {
    /// Of so many partitions, sales in each batch, and products.
    pub(super) fn make(partitions: i32, batch: u64, products: u64, bounds: Bounds) -> Result<Self> {
        let mut whole = SaleTally::new(bounds);
        let mut at = 0;
        let mut steps = Vec::new();
        for step in 0..STEPS {
            let (from, to) = (i64::try_from(step * batch)?, i64::try_from((step + 1) * batch)?);
            let mut batches = Vec::new();
            for partition in 0..partitions {
                let mut tally = SaleTally::new(bounds);
                for _ in 0..batch {
                    tally.fold(&sale(at, products)?);
                    at += 1;
                }
                whole.merge(&tally);
                let (topic, keys) = (SALES.to_owned(), KeyWindow::default());
                let tally = BatchTally::Sales(Box::new(tally));
                batches.push(Batch { topic, partition, from, to, last: None, tally, keys });
            }
            steps.push(batches);
        }
        Ok(Self { steps, whole })
    }
}

/// One each millisecond: no two have the same time, so that each store's newest are in one order with those of the others.
fn sale(at: u64, products: u64) -> Result<Sale> {
    let wrong = |error| anyhow!("{error:?}");
    Ok(Sale {
        id: EventId::new_v7(),
        accepted_at: Timestamp::from_millis(START_MS + at).ok_or_else(|| anyhow!("a time out of range"))?,
        idempotency_key: None,
        draft: SaleDraft {
            category: Category::from_number(i64::try_from(at % 4)? + 1).map_err(wrong)?,
            product_id: ProductId::new(&format!("P-{}", at.wrapping_mul(STRIDE) % products))
                .map_err(wrong)?,
            price: Money::from_cents(100 + at * 97 % 99_900).map_err(wrong)?,
            quantity: Quantity::new(1 + i64::try_from(at % 5)?).map_err(wrong)?,
        },
    })
}
