//! What is shown, and what a dump sees.

use blackfriday_event::{Category, Money, Quantity, Sale};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::{
    CategorySnapshot, Outcome, PriceAt, PricesAt, ProductUnits, SalesAt, Snapshot, SnapshotRequest,
    StoreError, Value,
};

use crate::setup::{Counted, START_MS, Setup, batch, report, sale, timestamp};

on_both! { a_snapshot_holds_what_the_store_holds, a_prefix_keeps_stores_apart, a_large_hash_is_read_in_parts }

fn sold(category: Category, product: &str, second: u64, cents: u64, units: i64) -> Sale {
    let mut sale = sale(category, product, u128::from(second) + 1);
    sale.accepted_at = timestamp(START_MS + second * 1000);
    sale.draft.price = Money::from_cents(cents).expect("in range");
    sale.draft.quantity = Quantity::new(units).expect("in range");
    sale
}

fn product(product_id: &str, units: u64) -> ProductUnits {
    ProductUnits { product_id: product_id.to_owned(), units }
}

fn a_snapshot_holds_what_the_store_holds(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let snapshot = |top: usize| setup.runtime.block_on(setup.store.snapshot(top)).expect("answers");
    assert_eq!(snapshot(5), Snapshot::default(), "nothing is shown of an empty store");

    use Category::{Hogar, Ropa};
    let sales = [
        sold(Ropa, "B", 0, 1_000, 2),
        sold(Ropa, "A", 1, 5, 2),
        sold(Ropa, "C", 1, 999, 1),
        sold(Ropa, "D", 2, 100_000, 1),
        sold(Hogar, "A", 3, 1, 9),
    ];
    assert_eq!(setup.apply(&batch(&setup.store, 0, &sales)).expect("applies"), Outcome::Applied);
    let weather = batch(&setup.store, 0, &[report("GT", 1), report("GT", 2), report("SV", 3)]);
    assert_eq!(setup.apply(&weather).expect("applies"), Outcome::Applied);

    let all = snapshot(2);
    assert_eq!((all.price_min.as_deref(), all.price_max.as_deref()), (Some("0.01"), Some("1000.00")));
    assert_eq!(all.most_sold, [product("A", 11), product("B", 2)]);
    assert_eq!(all.least_sold, Some(product("C", 1)));
    assert_eq!(all.categories.keys().copied().collect::<Vec<_>>(), ["Hogar", "Ropa"]);
    let price =
        |second: u64, price: &str| PriceAt { at_ms: START_MS + second * 1000, price: price.to_owned() };
    let text = |text: &str| Some(text.to_owned());
    let prices = |second: u64, sales: &str, sum: &str, min: &str, max: &str| {
        let [sales, sum, min, max] = [sales, sum, min, max].map(str::to_owned);
        PricesAt { second: START_MS / 1000 + second, sales, sum, min, max }
    };
    let ropa = CategorySnapshot {
        sales: text("4"),
        price_sum: text("1020.04"),
        units_sum: text("6"),
        revenue_sum: text("1030.09"),
        price_mean: text("255.01"),
        units_mean: text("1.50"),
        most_sold: vec![product("B", 2), product("A", 2)],
        least_sold: Some(product("C", 1)),
        newest_at_ms: Some(START_MS + 2000),
        history: vec![price(1, "0.05"), price(1, "9.99"), price(2, "1000.00")],
        prices: vec![
            prices(0, "1", "10.00", "10.00", "10.00"),
            prices(1, "2", "10.04", "0.05", "9.99"),
            prices(2, "1", "1000.00", "1000.00", "1000.00"),
        ],
    };
    assert_eq!(all.categories["Ropa"], ropa);
    let second = |second: u64, sales: u64| SalesAt { second: START_MS / 1000 + second, sales };
    assert_eq!(all.series, [second(0, 1), second(1, 2), second(2, 1), second(3, 1)]);
    assert_eq!(all.weather.total.as_deref(), Some("3"));
    assert_eq!(all.weather.by_country["GT"], "2");
    assert_eq!(all.positions[&0], 5);
    assert_eq!(all.newest_accepted_at_ms(), Some(START_MS + 3000));

    // The first of two is also the only one; of none there is none.
    assert_eq!(snapshot(1).categories["Ropa"].most_sold, [product("B", 2)]);
    assert_eq!(snapshot(0).most_sold, []);
    let request = SnapshotRequest { top: 1, histories: vec![Hogar], topic: "clima".to_owned() };
    let part = setup.runtime.block_on(setup.store.snapshot(request)).expect("answers");
    assert_eq!(part.categories["Ropa"].history, []);
    assert_eq!(part.categories["Ropa"].prices, []);
    assert_eq!(part.categories["Ropa"].newest_at_ms, Some(START_MS + 2000));
    assert_eq!(part.categories["Hogar"].history, [price(3, "0.01")]);
    assert_eq!(part.positions[&0], 3);

    setup.run(&["HSET", "serie:precio:Hogar", "x", "1:1.00:1.00:1.00", "7", "2:3.00"]);
    let spoiled = snapshot(1).categories["Hogar"].prices.clone();
    let half = PricesAt { second: 7, sales: "2".to_owned(), sum: "3.00".to_owned(), ..PricesAt::default() };
    assert_eq!(spoiled, [PricesAt::default(), half, prices(3, "1", "0.01", "0.01", "0.01")]);

    setup.run(&["DEL", "ranking:global"]);
    setup.run(&["SET", "ranking:global", "x"]);
    let error = setup.runtime.block_on(setup.store.snapshot(1)).expect_err("a key of another type");
    assert!(matches!(&error, StoreError::WrongKey { key, .. } if key == "ranking:global"), "{error:?}");
}

/// Two stores on one server, and keys of strangers: each sees its own.
fn a_prefix_keeps_stores_apart(kind: ValkeyKind) {
    let setup = Setup::with(kind, &[], |config| config.key_prefix = "a*[b]?:".to_owned());
    let plain = setup.store_at(setup.valkey.url(), &crate::setup::CONFIG);
    assert_eq!(
        setup.apply(&batch(&setup.store, 0, &[sale(Category::Ropa, "P", 1)])).expect("applies"),
        Outcome::Applied
    );
    setup.run(&["SET", "axb:reportes:total:Ropa", "5"]);
    setup.run(&["SET", "stranger", "5"]);
    let script = "redis.call('SET', string.char(255, 0, 254), string.char(255)) return 1";
    setup.run(&["EVAL", script, "0"]);
    let mut model = setup.store.model();
    sale(Category::Ropa, "P", 1).record(&mut model, 0, 0);
    model.advance("ventas", 0, 1);
    assert_eq!(model.compare(&setup.dump(), START_MS), []);
    assert!(setup.dump().keys().all(|key| key.starts_with("a*[b]?:")));
    assert!(setup.runtime.block_on(plain.dump()).expect("answers").is_empty());
    assert_eq!(setup.runtime.block_on(plain.snapshot(1)).expect("answers"), Snapshot::default());

    // A value that is not text is one that differs, not one that cannot be read.
    let script = "redis.call('SET', 'a*[b]?:reportes:total:Ropa', string.char(255)) return 1";
    setup.run(&["EVAL", script, "0"]);
    let differences = model.compare(&setup.dump(), START_MS);
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0].found.as_deref(), Some("\u{fffd}"));
}

/// A day's idempotency keys may be millions: no answer holds them all, and Valkey serves others in between.
fn a_large_hash_is_read_in_parts(kind: ValkeyKind) {
    const FIELDS: usize = 35_000;
    let setup = Setup::new(kind);
    let key = "idempotencia:ventas:0:evento";
    let fields: Vec<_> = (0..FIELDS).map(|n| format!("k{n}")).collect();
    for part in fields.chunks(5_000) {
        let pairs = part.iter().flat_map(|field| [field.as_str(), field]);
        setup.run(&["HSET", key].into_iter().chain(pairs).collect::<Vec<_>>());
    }
    setup.run(&["HSET", "clima:GT:1:a", "country", "GT"]);
    setup.run(&["CONFIG", "RESETSTAT"]);
    let dump = setup.dump();
    let expected = fields.into_iter().map(|field| (field.clone(), field)).collect();
    assert_eq!(dump[key], Value::Hash(expected));
    let weather = [("country".to_owned(), "GT".to_owned())].into();
    assert_eq!(dump["clima:GT:1:a"], Value::Hash(weather));
    let stats = setup.run(&["INFO", "commandstats"]);
    let calls = |command: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map(|line| line.split(',').next().expect("a number").parse::<u32>().expect("a number"))
    };
    assert_eq!(calls("hgetall"), None, "{stats}");
    assert!(calls("hscan") >= Some(4), "{stats}");
}
