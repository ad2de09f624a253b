//! What the body of a request costs to read: one sale, and 500 in an array and in lines.

use std::hint::black_box;

use blackfriday_intake::{parse_many, parse_sale};
use criterion::{Criterion, Throughput};

const SALES: usize = 500;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    sale_json(&mut criterion);
    criterion.final_summary();
}

fn sale_json(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("JSON");
    let one = sale(217);
    group.throughput(Throughput::Bytes(one.len() as u64));
    group.bench_function("one sale", |bencher| {
        bencher.iter(|| parse_sale(black_box(one.as_bytes()), None, false).expect("a sale"));
    });
    let sales: Vec<_> = (0..SALES).map(sale).collect();
    for (name, is_lines, body) in [
        ("500 in an array", false, format!("[{}]", sales.join(","))),
        ("500 in lines", true, sales.join("\n")),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                parse_many(black_box(body.as_bytes()), is_lines, None, false, SALES).expect("sales")
            });
        });
    }
    group.finish();
}

fn sale(at: usize) -> String {
    let category = ["Electronica", "Ropa", "Hogar", "Belleza"][at % 4];
    let (product, units) = (at * 7919 % 400, at % 5 + 1);
    format!(
        r#"{{"categoria":"{category}","producto_id":"P-{product}","precio":{}.99,"cantidad_vendida":{units}}}"#,
        at + 1
    )
}
