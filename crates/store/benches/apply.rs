//! What a step of the store costs against a real Valkey: 500 sales of one partition, and of six in one step.

use std::ops::Range;
use std::process::ExitCode;

use blackfriday_event::{
    Bounds, Category, EventId, KeyWindow, Money, ProductId, Quantity, SALES, Sale, SaleDraft, SaleTally,
    Timestamp,
};
use blackfriday_stack::Valkey;
use blackfriday_store::{Batch, BatchTally, Outcome, Store, StoreConfig, ValkeyConfig};
use criterion::{BatchSize, Criterion, Throughput};
use tokio::runtime::Runtime;

const SALES_OF_A_BATCH: u64 = 500;
const PRODUCTS: u64 = 400;
const START_MS: u64 = 1_700_000_000_000;

fn main() -> ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().expect("a runtime");
    let valkey = match runtime.block_on(Valkey::start()) {
        Ok(valkey) => valkey,
        Err(error) => {
            eprintln!("nothing is measured without a Valkey: {error}");
            return ExitCode::FAILURE;
        }
    };
    apply(&mut criterion, &runtime, &valkey);
    criterion.final_summary();
    ExitCode::SUCCESS
}

fn apply(criterion: &mut Criterion, runtime: &Runtime, valkey: &Valkey) {
    let config = ValkeyConfig::new(valkey.url()).expect("a server");
    let store = Store::new(&config, &StoreConfig::default()).expect("a store");
    let mut group = criterion.benchmark_group("apply");
    for (name, partitions) in [("500 sales of a partition", 0..1), ("500 sales of each of six", 1..7)] {
        group.throughput(Throughput::Elements(SALES_OF_A_BATCH * partitions.len() as u64));
        let mut step = Step::of(partitions);
        group.bench_function(name, |bencher| {
            let apply = |batches: Vec<Batch>| {
                let outcomes = runtime.block_on(store.apply(&batches)).expect("Valkey answers");
                assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Applied), "{outcomes:?}");
            };
            bencher.iter_batched(|| step.next(), apply, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// The same sales again and again, at the position where the last step ended.
struct Step {
    batches: Vec<Batch>,
}

impl Step {
    fn of(partitions: Range<i32>) -> Self {
        let batch = |partition| Batch {
            topic: SALES.to_owned(),
            partition,
            from: 0,
            to: 0,
            last: None,
            tally: BatchTally::Sales(Box::new(tally(u64::from(partition.unsigned_abs())))),
            keys: KeyWindow::default(),
        };
        Self { batches: partitions.map(batch).collect() }
    }

    fn next(&mut self) -> Vec<Batch> {
        for batch in &mut self.batches {
            batch.from = batch.to;
            batch.to += i64::try_from(SALES_OF_A_BATCH).expect("small");
        }
        self.batches.clone()
    }
}

fn tally(partition: u64) -> SaleTally {
    let mut tally = SaleTally::new(Bounds::default());
    let first = partition * SALES_OF_A_BATCH;
    (first..first + SALES_OF_A_BATCH).for_each(|at| tally.fold(&sale(at)));
    tally
}

fn sale(at: u64) -> Sale {
    let number = |n: u64| i64::try_from(n).expect("small");
    Sale {
        id: EventId::new_v7(),
        accepted_at: Timestamp::from_millis(START_MS + at).expect("in range"),
        idempotency_key: None,
        draft: SaleDraft {
            category: Category::from_number(number(at % 4) + 1).expect("1 to 4"),
            product_id: ProductId::new(&format!("P-{}", at * 7919 % PRODUCTS)).expect("visible"),
            price: Money::from_cents(100 + at * 97).expect("in range"),
            quantity: Quantity::new(number(at % 5) + 1).expect("in range"),
        },
    }
}
