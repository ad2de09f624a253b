//! What it costs to add sales up: one after the other into a tally, and a tally into another.

use std::hint::black_box;

use blackfriday_event::{
    Bounds, Category, EventId, Money, ProductId, Quantity, Sale, SaleDraft, SaleTally, Timestamp,
};
use criterion::{BatchSize, Criterion, Throughput};

const SALES: u64 = 500;
const PRODUCTS: u64 = 400;
const START_MS: u64 = 1_700_000_000_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    tally(&mut criterion);
    criterion.final_summary();
}

fn tally(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tally");
    group.throughput(Throughput::Elements(SALES));
    let sales: Vec<_> = (0..SALES).map(sale).collect();
    group.bench_function("fold 500 sales", |bencher| {
        bencher.iter(|| folded(black_box(&sales)));
    });
    let (mine, theirs) = (folded(&sales), folded(&(SALES..2 * SALES).map(sale).collect::<Vec<_>>()));
    group.bench_function("merge a tally of 500 sales", |bencher| {
        let merge = |mut mine: SaleTally| {
            mine.merge(black_box(&theirs));
            mine
        };
        bencher.iter_batched(|| mine.clone(), merge, BatchSize::SmallInput);
    });
    group.finish();
}

fn folded(sales: &[Sale]) -> SaleTally {
    let mut tally = SaleTally::new(Bounds::default());
    sales.iter().for_each(|sale| tally.fold(sale));
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
