//! What a record costs to write and to read.

use std::hint::black_box;

use blackfriday_event::{Category, EventId, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp};
use blackfriday_proto::{decode_record, encode_record};
use criterion::{Criterion, Throughput};

const START_MS: u64 = 1_700_000_000_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    record_codec(&mut criterion);
    criterion.final_summary();
}

fn record_codec(criterion: &mut Criterion) {
    let sale = sale();
    let record = encode_record(&sale);
    let mut group = criterion.benchmark_group("record of a sale");
    group.throughput(Throughput::Bytes(record.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| encode_record(black_box(&sale))));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode_record(black_box(&record), sale.accepted_at).expect("it was encoded"));
    });
    group.finish();
}

fn sale() -> Sale {
    Sale {
        id: EventId::new_v7(),
        accepted_at: Timestamp::from_millis(START_MS).expect("in range"),
        idempotency_key: None,
        draft: SaleDraft {
            category: Category::Hogar,
            product_id: ProductId::new("P-217").expect("visible"),
            price: Money::from_cents(49_999).expect("in range"),
            quantity: Quantity::new(2).expect("in range"),
        },
    }
}
