//! What the consumer's first stage costs: 500 records decoded and folded.
//!
//! The stage is private to the consumer, and is therefore compiled into this program a second time.

#[expect(dead_code, reason = "the stages behind this one have no use here")]
#[path = "../src/fold.rs"]
mod fold;

use blackfriday_broker::Record;
use blackfriday_event::{Bounds, Category, Money, ProductId, Quantity, SaleDraft, Timestamp};
use blackfriday_proto::{Command, encode_record};
use criterion::{BatchSize, Criterion, Throughput};

const RECORDS: u64 = 500;
const PRODUCTS: u64 = 400;
const START_MS: u64 = 1_700_000_000_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    records(&mut criterion);
    criterion.final_summary();
}

fn records(criterion: &mut Criterion) {
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let folded = fold::fold(fold::Kind::Sales, Bounds::default(), records.clone(), None);
    assert!(folded.rejected.is_empty(), "every record counts");
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("500 records", |bencher| {
        let stage = |records| fold::fold(fold::Kind::Sales, Bounds::default(), records, None);
        bencher.iter_batched(|| records.clone(), stage, BatchSize::SmallInput);
    });
    group.finish();
}

fn record(at: u64) -> Record {
    let number = |n: u64| i64::try_from(n).expect("small");
    let draft = SaleDraft {
        category: Category::from_number(number(at % 4) + 1).expect("1 to 4"),
        product_id: ProductId::new(&format!("P-{}", at * 7919 % PRODUCTS)).expect("visible"),
        price: Money::from_cents(100 + at * 97).expect("in range"),
        quantity: Quantity::new(number(at % 5) + 1).expect("in range"),
    };
    let written_at = Timestamp::from_millis(START_MS + at).expect("in range");
    Record {
        offset: number(at),
        timestamp_ms: number(START_MS + at),
        appended: true,
        key: None,
        payload: encode_record(&Command::new(draft, None).accepted(written_at)),
        traceparent: None,
        headers: Vec::new(),
    }
}
