//! What is changed from outside is refused as a whole, and named by the comparison.

use std::collections::BTreeMap;

use blackfriday_event::{Category, Sale};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::{Batch, BatchTally, Difference, Outcome, Store, StoreConfig, StoreError, Value};

use crate::setup::{CONFIG, Counted, START_MS, Setup, batch, batches, offset, report, sale};

on_both! {
    a_spoiled_key_is_an_error_and_nothing_changes,
    a_position_that_is_no_offset_is_an_error_and_nothing_changes,
    a_key_that_is_gone_beside_the_others_is_an_error_and_nothing_changes,
    a_store_that_was_emptied_is_counted_from_the_beginning,
    what_was_changed_by_hand_is_named,
    other_bounds_are_refused,
    what_expires_is_not_missed,
}

/// Everything in the store, whoever wrote it: keys with a digest of their values.
fn everything(setup: &Setup) -> BTreeMap<String, String> {
    let digest = |key: &str| (key.to_owned(), setup.run(&["DEBUG", "DIGEST-VALUE", key]));
    setup.run(&["KEYS", "*"]).lines().map(digest).collect()
}

/// A sale with an idempotency key, so that every kind of key exists.
fn keyed(id: u128) -> Sale {
    let mut sale = sale(Category::Ropa, "P-1", id);
    let key = blackfriday_event::IdempotencyKey::new(&format!("k{id}"));
    sale.idempotency_key = Some(key.expect("visible"));
    sale
}

fn two_batches(setup: &Setup, from: usize) -> [Batch; 2] {
    let sales = [keyed(100 + from as u128)];
    let mut sales = setup.runtime.block_on(batches(&setup.store, &[(0, from, &sales)]));
    [sales.remove(0), batch(&setup.store, from, &[report("GT", 7 + from as u128)])]
}

fn model(store: &Store) -> blackfriday_store::model::State {
    let mut model = store.model();
    keyed(100).record(&mut model, 0, 0);
    report("GT", 7).record(&mut model, 0, 0);
    model.advance("ventas", 0, 1);
    model.advance("clima", 0, 1);
    model
}

/// Before anything is written: half of a call would leave counters that belong to no position.
fn a_position_that_is_no_offset_is_an_error_and_nothing_changes(kind: ValkeyKind) {
    let setup = Setup::with(kind, &[("enable-debug-command", "yes")], |_| {});
    begin(&setup);
    let before = everything(&setup);
    let [sales, weather] = two_batches(&setup, 1);
    for good in [sales, weather] {
        let partition = Batch { partition: -1, ..good.clone() };
        let to = Batch { to: -7, ..good };
        for (name, bad) in [("partition", partition), ("to", to)] {
            let error = setup.apply(&bad).expect_err("no number");
            let cause = std::error::Error::source(&error).expect("the server's answer").to_string();
            assert!(cause.contains(&format!("{name} is -")) && !error.is_retryable(), "{cause}");
            assert_eq!(everything(&setup), before, "{name}");
        }
    }
}

fn a_spoiled_key_is_an_error_and_nothing_changes(kind: ValkeyKind) {
    let setup = Setup::with(kind, &[("enable-debug-command", "yes")], |_| {});
    begin(&setup);
    let mut keys: Vec<_> = setup.dump().into_keys().collect();
    assert_eq!(keys.len(), 24, "{keys:?}");
    keys.retain(|key| !key.starts_with("clima:"));
    keys.push("clima:GT:1700000000000:00000000-0000-0000-0000-000000000008".to_owned());
    for key in &keys {
        refused_while(&setup, key, &[&["DEL", key], &["RPUSH", key, "x"]]);
    }
    for spoil in [
        ["SET", "ventas:global:precio_max", "many"].as_slice(),
        &["SET", "ventas:global:precio_min", "1.5"],
        &["HSET", "stats:precio:suma", "Ropa", "1e9"],
        &["HSET", "stats:ingresos:suma", "Belleza", "-1.00"],
        &["HSET", "stats:cantidad:suma", "Ropa", "1.5"],
        &["HSET", "reportes:total", "Ropa", "1000000000000000"],
        &["ZADD", "serie:ventas", "1700000000", "garbage"],
        &["ZADD", "serie:ventas", "1700000000", "1700000000:x"],
        &["HSET", "serie:precio:Ropa", "1700000000", "1:12.50:12.50"],
        &["HSET", "serie:precio:Ropa", "1700000000", "1:12.5:12.50:12.50"],
        &["HSET", "serie:precio:Ropa", "1700000000", "-1:12.50:12.50:12.50"],
        &["HSET", "posicion:ventas", "0", "one"],
        &["HSET", "country_counts", "GT", ""],
        &["SET", "total_messages", "0x10"],
        &["ZADD", "ranking:Ropa", "1.5", "P-1"],
        &["ZADD", "ranking:global", "-1", "P-1"],
        &["ZADD", "ranking:global", "inf", "P-1"],
        &["HSET", "empezado:ventas", "nonsense", "0"],
    ] {
        refused_while(&setup, spoil[1], &[spoil]);
    }
}

/// A sum that is gone would silently begin again at zero next to the others, and a position would count everything again.
fn a_key_that_is_gone_beside_the_others_is_an_error_and_nothing_changes(kind: ValkeyKind) {
    let setup = Setup::with(kind, &[("enable-debug-command", "yes")], |_| {});
    for key in [
        "posicion:ventas",
        "posicion:clima",
        "esquema",
        "ventas:global:precio_max",
        "ventas:global:precio_min",
        "reportes:total",
        "reportes:total:Ropa",
        "ranking:global",
        "ranking:Ropa",
        "stats:precio:suma",
        "stats:cantidad:suma",
        "stats:ingresos:suma",
        "stats:precio:promedio",
        "stats:cantidad:promedio",
        "idempotencia:ventas:0",
        "idempotencia:ventas:0:evento",
        "country_counts",
        "total_messages",
    ] {
        refused_while(&setup, key, &[&["DEL", key]]);
    }
    for spoil in [
        ["HDEL", "posicion:ventas", "0"].as_slice(),
        &["HDEL", "reportes:total", "Ropa"],
        &["HDEL", "stats:precio:suma", "Ropa"],
        &["HDEL", "stats:cantidad:promedio", "Ropa"],
        &["SET", "reportes:total:Ropa", "2"],
        &["SET", "reportes:total:Hogar", "1"],
        &["HSET", "stats:precio:suma", "Hogar", "1.00"],
        &["ZADD", "ranking:Hogar", "1", "P-1"],
        &["ZREM", "ranking:global", "P-1"],
        &["ZADD", "ranking:Ropa", "4", "P-1"],
        &["ZREM", "idempotencia:ventas:0", "k100"],
        &["HDEL", "idempotencia:ventas:0:evento", "k100"],
    ] {
        refused_while(&setup, spoil[1], &[spoil]);
    }
}

/// Everything gone is a fresh start, and only that.
fn a_store_that_was_emptied_is_counted_from_the_beginning(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    begin(&setup);
    let next = two_batches(&setup, 1);
    setup.run(&["FLUSHALL"]);
    for batch in &next {
        assert_eq!(setup.apply(batch).expect("answers"), Outcome::Refused { stored: 0 });
    }
    begin(&setup);
    assert_eq!(model(&setup.store).compare(&setup.dump(), START_MS), []);
}

/// Begins again, with one event counted of each topic.
fn begin(setup: &Setup) {
    setup.run(&["FLUSHALL"]);
    let outcomes = setup.runtime.block_on(setup.store.apply(&two_batches(setup, 0))).expect("an empty store");
    assert_eq!(outcomes, [const { Outcome::Applied }; 2]);
}

/// Spoils a key and sees that a batch which needs it is refused, and changes nothing.
fn refused_while(setup: &Setup, key: &str, spoil: &[&[&str]]) {
    begin(setup);
    let next = two_batches(setup, 1);
    spoil.iter().for_each(|words| {
        setup.run(words);
    });
    let mut refused = 0;
    for batch in &next {
        let before = everything(setup);
        let Err(error) = setup.apply(batch) else { continue };
        refused += 1;
        assert_eq!(everything(setup), before, "{spoil:?}");
        assert!(matches!(error, StoreError::Refused { .. }) && !error.is_retryable(), "{error:?}");
        let cause = std::error::Error::source(&error).expect("Valkey's answer").to_string();
        assert!(cause.contains(key), "{spoil:?}: {cause}");
    }
    assert!(refused > 0, "{spoil:?} was not noticed");
}

// The prices of a second: of the one sale of this category, and of another one.
const ROPA: &str = "serie:precio:Ropa";
const HOGAR: &str = "serie:precio:Hogar";
const SECOND: &str = "1700000000";
const RIGHT: &str = "1:12.50:12.50:12.50";
const WRONG: &str = "1:12.50:12.49:12.50";

fn what_was_changed_by_hand_is_named(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let model = model(&setup.store);
    let report = "clima:GT:1700000000000:00000000-0000-0000-0000-000000000007";
    let member = "1700000000000:00000000-0000-0000-0000-000000000064:12.50";
    for (meddle, key, field, expected, found) in [
        (
            ["HINCRBY", "reportes:total", "Ropa", "1"].as_slice(),
            "reportes:total",
            Some("Ropa"),
            Some("1"),
            Some("2"),
        ),
        (&["SET", "reportes:total:Ropa", "7"], "reportes:total:Ropa", None, Some("1"), Some("7")),
        (&["DEL", "ventas:global:precio_max"], "ventas:global:precio_max", None, Some("12.50"), None),
        (&["ZADD", "ranking:global", "4", "P-1"], "ranking:global", Some("P-1"), Some("3"), Some("4")),
        (&["ZADD", "ranking:Hogar", "4", "P-1"], "ranking:Hogar", Some("P-1"), None, Some("4")),
        (
            &["ZREM", "historial:precio:Ropa", member],
            "historial:precio:Ropa",
            Some(member),
            Some("1700000000000"),
            None,
        ),
        (&["HSET", ROPA, SECOND, WRONG], ROPA, Some(SECOND), Some(RIGHT), Some(WRONG)),
        (&["HDEL", ROPA, SECOND], ROPA, Some(SECOND), Some(RIGHT), None),
        (&["HSET", HOGAR, SECOND, RIGHT], HOGAR, Some(SECOND), None, Some(RIGHT)),
        (&["HDEL", "posicion:ventas", "0"], "posicion:ventas", Some("0"), Some("1"), None),
        (
            &["EXPIREAT", "country_counts", "9999999999"],
            "country_counts",
            Some("(expires at)"),
            None,
            Some("9999999999000"),
        ),
        (&["PERSIST", report], report, Some("(expires at)"), Some("2700000000000"), None),
        (&["HSET", report, "weather", "Sunny"], report, Some("weather"), Some("Rainy"), Some("Sunny")),
        (&["DEL", report], report, Some("timestamp"), Some("1700000000000"), None),
        (&["SET", "stats:precio:suma", "x"], "stats:precio:suma", None, Some("a hash"), Some("a string")),
        (&["HSET", "esquema", "version", "2"], "esquema", Some("version"), Some("3"), Some("2")),
    ] {
        begin(&setup);
        assert_eq!(model.compare(&setup.dump(), START_MS), []);
        setup.run(meddle);
        let text = |text: Option<&str>| text.map(str::to_owned);
        let named = Difference {
            key: key.to_owned(),
            field: text(field),
            expected: text(expected),
            found: text(found),
        };
        let differences = model.compare(&setup.dump(), START_MS);
        assert!(differences.contains(&named), "{meddle:?}: {differences:?}");
        assert!(differences.iter().all(|difference| difference.key == key), "{differences:?}");
    }
}

fn other_bounds_are_refused(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let one = [sale(Category::Ropa, "P-1", 7)];
    assert_eq!(setup.apply(&batch(&setup.store, 0, &one)).expect("an empty store"), Outcome::Applied);
    let before = setup.dump();
    for (config, name) in [
        (StoreConfig { history_len: 4, ..CONFIG }, "history_len 3, not 4"),
        (StoreConfig { series_seconds: 6, ..CONFIG }, "series_seconds 5, not 6"),
        (StoreConfig { weather_ttl_s: 1, ..CONFIG }, "weather_ttl_s 1000000000, not 1"),
    ] {
        let other = setup.store_at(setup.valkey.url(), &config);
        let batch = batch(&other, 1, &one);
        let error = setup.runtime.block_on(other.apply(&[batch])).expect_err("other bounds");
        let cause = std::error::Error::source(&error).expect("Valkey's answer").to_string();
        assert!(matches!(error, StoreError::Refused { .. }) && cause.contains(name), "{cause}");
    }
    assert_eq!(setup.dump(), before);
}

/// Reports expire by their own time, also when they are counted late; the bounded series only if that was asked for.
fn what_expires_is_not_missed(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let brief = StoreConfig { weather_ttl_s: 1, series_ttl_s: 1000, ..CONFIG };
    let store = setup.store_at(setup.valkey.url(), &brief);
    let sales = batch(&store, 0, &[sale(Category::Ropa, "P-1", 7)]);
    let BatchTally::Weather(weather) = batch(&store, 0, &[report("GT", 7)]).tally else {
        unreachable!("weather")
    };
    let reports = Batch { topic: "clima".into(), tally: BatchTally::Weather(weather), ..sales.clone() };
    let outcomes = setup.runtime.block_on(store.apply(&[sales, reports])).expect("applies");
    assert_eq!(outcomes, [const { Outcome::Applied }; 2]);
    let mut model = store.model();
    sale(Category::Ropa, "P-1", 7).record(&mut model, 0, 0);
    report("GT", 7).record(&mut model, 0, 0);
    model.advance("ventas", 0, offset(1));
    model.advance("clima", 0, offset(1));
    let found = setup.dump();
    assert!(!found.keys().any(|key| key.starts_with("clima:")), "{found:?}");
    assert_eq!(model.compare(&found, START_MS + 1000), []);
    let expiring = |key: &str| matches!(found[key], Value::Expiring { .. });
    assert!(expiring("serie:ventas") && expiring("historial:precio:Ropa") && !expiring("ranking:Ropa"));
    assert!(expiring("serie:precio:Ropa"));
    setup.run(&["DEL", "serie:ventas", "serie:precio:Ropa"]);
    assert_eq!(model.compare(&setup.dump(), START_MS + 1000), []);
}
