//! Any body of many sales: each item has a result; lines are read as they are read alone; keys are the same each time.
#![no_main]

use blackfriday_event::{FieldError, IdempotencyKey, SaleDraft};
use blackfriday_intake::{Item, parse_many, parse_sale};
use blackfriday_proto::ErrorCode;
use libfuzzer_sys::fuzz_target;

const MOST: usize = 100;

type Told = Result<(SaleDraft, Option<IdempotencyKey>), (ErrorCode, Vec<FieldError>)>;

fn told(item: Item) -> Told {
    item.map(|sale| (sale.draft, sale.idempotency_key)).map_err(|error| (error.code, error.fields))
}

fn many(body: &[u8], lines: bool, key: Option<&IdempotencyKey>) -> Option<Vec<Told>> {
    let items = parse_many(body, lines, key, false, MOST).ok()?;
    assert!(!items.is_empty() && items.len() <= MOST);
    Some(items.into_iter().map(told).collect())
}

fuzz_target!(|body: &[u8]| {
    let key = IdempotencyKey::new("order-1").expect("a client's key");
    for lines in [false, true] {
        let once = many(body, lines, Some(&key));
        assert_eq!(many(body, lines, Some(&key)), once);
        let keyed = once.into_iter().flatten().flatten().all(|(_, key)| key.is_some());
        assert!(keyed);
    }
    many(body, false, None);
    if let Some(items) = many(body, true, None) {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        assert_eq!(items, lines.map(|line| told(parse_sale(line, None, false))).collect::<Vec<_>>());
    }
});
