//! The function against the naive model, through a real Valkey.

use std::collections::BTreeMap;

use blackfriday_event::{
    Category, EventId, IdempotencyKey, KeyWindow, Money, ProductId, Quantity, Sale, SaleDraft, SaleTally,
    Timestamp, WeatherDraft, WeatherReport, WeatherTally,
};
use blackfriday_stack::Valkey;
use blackfriday_store::{Batch, BatchTally, Outcome, Store, StoreConfig, StoreError, ValkeyConfig, Value};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

const CONFIG: StoreConfig =
    StoreConfig { history_len: 3, series_seconds: 5, weather_ttl_s: 1_000_000_000, series_ttl_s: 0 };

fn connect(valkey: &Valkey) -> Store {
    Store::new(&ValkeyConfig::new(valkey.url()).expect("a server"), &CONFIG).expect("a store")
}

fn sale(seed: (i64, u8, u32, i64, u64, u128, Option<u8>)) -> Sale {
    let (category, product, cents, units, millis, id, key) = seed;
    Sale {
        id: EventId::from_slice(&id.to_be_bytes()).expect("16 bytes"),
        accepted_at: Timestamp::from_millis(1_700_000_000_000 + millis).expect("in range"),
        idempotency_key: key.map(|key| IdempotencyKey::new(&format!("k{key}")).expect("visible")),
        draft: SaleDraft {
            category: Category::from_number(category).expect("1 to 4"),
            product_id: ProductId::new(&format!("P-{product}")).expect("visible"),
            price: Money::from_cents(u64::from(cents)).expect("in range"),
            quantity: Quantity::new(units).expect("in range"),
        },
    }
}

/// Partitions of sales, where to cut them into batches, and the order in which partitions take turns.
fn histories() -> impl Strategy<Value = (Vec<Vec<Sale>>, Vec<(usize, usize)>)> {
    let key = prop::option::weighted(0.3, 0_u8..6);
    let one = (1_i64..=4, 0_u8..6, 0..=Money::MAX_CENTS, 1_i64..=100_000, 0_u64..12_000, any::<u128>(), key);
    let partition = prop::collection::vec(one.prop_map(sale), 0..25);
    let turns = prop::collection::vec((0..3_usize, 1..8_usize), 0..30);
    (prop::collection::vec(partition, 3), turns)
}

async fn batch(store: &Store, partition: i32, from: usize, sales: &[Sale]) -> Batch {
    let keys: Vec<_> = sales.iter().filter_map(|sale| sale.idempotency_key.clone()).collect();
    let mut windows = store.key_windows(&[("ventas", partition, keys)]).await.expect("Valkey answers");
    let (_, mut window) = windows.pop().expect("one window");
    let mut tally = SaleTally::new(store.bounds());
    for sale in sales {
        if sale.idempotency_key.as_ref().is_none_or(|key| window.admit(key, sale.accepted_at)) {
            tally.fold(sale);
        }
    }
    let offset = |at: usize| i64::try_from(at).expect("small");
    let tally = BatchTally::Sales(Box::new(tally));
    Batch {
        topic: "ventas".into(),
        partition,
        from: offset(from),
        to: offset(from + sales.len()),
        tally,
        keys: window,
    }
}

/// Applies every partition's sales in batches as the turns say, each batch twice: the second time it must be refused.
async fn count(store: &Store, partitions: &[Vec<Sale>], turns: &[(usize, usize)]) {
    let mut done = vec![0_usize; partitions.len()];
    let rest = (0..partitions.len()).map(|at| (at, usize::MAX));
    for (at, len) in turns.iter().copied().chain(rest) {
        let from = done[at];
        let to = partitions[at].len().min(from.saturating_add(len));
        if from < to {
            let partition = i32::try_from(at).expect("small");
            let batch = batch(store, partition, from, &partitions[at][from..to]).await;
            let batches = [batch.clone(), batch.clone()];
            let outcomes = store.apply(&batches).await.expect("applies");
            assert_eq!(outcomes, [Outcome::Applied, Outcome::Refused { stored: batch.to }]);
            done[at] = to;
        }
    }
}

fn assert_equal(store: &Store, runtime: &Runtime, partitions: &[Vec<Sale>]) {
    let mut model = store.model();
    for (at, sales) in partitions.iter().enumerate() {
        let partition = i32::try_from(at).expect("small");
        sales.iter().for_each(|sale| {
            model.record_sale("ventas", partition, sale);
        });
        model.advance("ventas", partition, i64::try_from(sales.len()).expect("small"));
    }
    let found = runtime.block_on(store.dump()).expect("Valkey answers");
    assert_eq!(model.compare(&found, 1_700_000_000_000), []);
}

#[test]
fn the_store_equals_the_model_for_any_batches_and_interleavings() {
    let runtime = Runtime::new().expect("a runtime");
    let valkey = runtime.block_on(Valkey::start()).expect("Valkey");
    let store = connect(&valkey);
    let config =
        proptest::test_runner::Config { cases: 150, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&histories(), |(partitions, turns)| {
        runtime.block_on(valkey.command(&["FLUSHALL"])).expect("Valkey answers");
        runtime.block_on(count(&store, &partitions, &turns));
        assert_equal(&store, &runtime, &partitions);
        Ok(())
    });
    outcome.expect("the store equals the model");
}

#[test]
fn faults_leave_the_store_as_it_was() {
    let runtime = Runtime::new().expect("a runtime");
    let valkey = runtime.block_on(Valkey::start()).expect("Valkey");
    let store = connect(&valkey);
    let one = sale((2, 1, 1_250, 3, 10, 7, None));
    let run = |words: &[&str]| runtime.block_on(valkey.command(words)).expect("Valkey answers");
    let next = |from: usize| runtime.block_on(batch(&store, 0, from, std::slice::from_ref(&one)));
    let apply = |from: usize| runtime.block_on(store.apply(&[next(from)]));
    assert_eq!(apply(0).expect("an empty store"), [Outcome::Applied]);

    // A gap or a replay is refused with the position to go on from.
    assert_eq!(apply(5).expect("answers"), [Outcome::Refused { stored: 1 }]);

    // A key of another type, or with another content: an error, and nothing changes.
    for spoil in [
        ["SET", "ranking:Ropa", "x"].as_slice(),
        &["SET", "ventas:global:precio_max", "many"],
        &["HSET", "stats:precio:suma", "Ropa", "1e9"],
        &["HSET", "posicion:ventas", "0", "one"],
    ] {
        let healthy = runtime.block_on(store.dump()).expect("answers");
        let key = spoil[1];
        run(&["COPY", key, "kept"]);
        run(&["DEL", key]);
        run(spoil);
        let before = runtime.block_on(store.dump()).expect("answers");
        let error = apply(1).expect_err("the key is not as it should be");
        assert!(matches!(error, StoreError::Refused { .. }) && !error.is_retryable(), "{error:?}");
        assert_eq!(runtime.block_on(store.dump()).expect("answers"), before);
        run(&["DEL", key]);
        run(&["RENAME", "kept", key]);
        assert_eq!(runtime.block_on(store.dump()).expect("answers"), healthy);
    }

    // The functions vanish: they are loaded again.
    run(&["FUNCTION", "FLUSH"]);
    assert_eq!(apply(1).expect("loads the functions"), [Outcome::Applied]);

    // Other bounds are refused.
    let other = Store::new(&ValkeyConfig::new(valkey.url()).expect("a server"), &StoreConfig::default())
        .expect("a store");
    let error = runtime.block_on(other.apply(&[next(2)])).expect_err("other bounds");
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");

    // Valkey is away, then back.
    let last = next(2);
    runtime.block_on(valkey.stop()).expect("stops");
    let error = runtime.block_on(store.apply(&[last])).expect_err("Valkey is away");
    assert!(error.is_retryable(), "{error:?}");
    runtime.block_on(valkey.restart()).expect("restarts");
    assert_eq!(apply(2).expect("is back"), [Outcome::Applied]);
}

#[test]
fn sums_go_on_beyond_64_bits() {
    let runtime = Runtime::new().expect("a runtime");
    let valkey = runtime.block_on(Valkey::start()).expect("Valkey");
    let store = connect(&valkey);
    let run = |words: &[&str]| runtime.block_on(valkey.command(words)).expect("Valkey answers");
    let one = sale((2, 1, 1_250, 3, 10, 7, None));
    let apply = |from: usize| {
        let batch = runtime.block_on(batch(&store, 0, from, std::slice::from_ref(&one)));
        assert_eq!(runtime.block_on(store.apply(&[batch])).expect("applies"), [Outcome::Applied]);
    };
    apply(0);
    run(&["HSET", "stats:precio:suma", "Ropa", "99999999999999999999999999999.99"]);
    run(&["HSET", "stats:cantidad:suma", "Ropa", "18446744073709551615"]);
    run(&["HSET", "stats:ingresos:suma", "Ropa", "9999999999999999999999999999999999999.50"]);
    run(&["ZADD", "ranking:global", "9007199254740990", "P-1"]);
    apply(1);
    let snapshot = runtime.block_on(store.snapshot(5)).expect("answers");
    let ropa = &snapshot.categories["Ropa"];
    assert_eq!(ropa.price_sum.as_deref(), Some("100000000000000000000000000012.49"));
    assert_eq!(ropa.units_sum.as_deref(), Some("18446744073709551618"));
    assert_eq!(ropa.revenue_sum.as_deref(), Some("10000000000000000000000000000000000037.00"));
    assert_eq!(ropa.price_mean.as_deref(), Some("50000000000000000000000000006.25"));
    assert_eq!(ropa.units_mean.as_deref(), Some("9223372036854775809.00"));
    assert_eq!(snapshot.most_sold[0].units, 1 << 53, "a ranking saturates where scores stop being exact");
}

#[test]
fn weather_is_counted_and_kept_for_its_time() {
    let runtime = Runtime::new().expect("a runtime");
    let valkey = runtime.block_on(Valkey::start()).expect("Valkey");
    let store = connect(&valkey);
    let report = |id: u128| WeatherReport {
        id: EventId::from_slice(&id.to_be_bytes()).expect("16 bytes"),
        accepted_at: Timestamp::from_millis(1_700_000_000_000).expect("in range"),
        idempotency_key: None,
        draft: WeatherDraft::new("Llueve", "GT", "Rainy").expect("valid"),
    };
    let mut tally = WeatherTally::default();
    let mut model = store.model();
    for id in [1, 2] {
        model.record_weather("clima", 0, &report(id));
        tally.fold(report(id));
    }
    model.advance("clima", 0, 2);
    let tally = BatchTally::Weather(tally);
    let batch =
        Batch { topic: "clima".into(), partition: 0, from: 0, to: 2, tally, keys: KeyWindow::default() };
    let outcomes = runtime.block_on(store.apply(&[batch.clone(), batch])).expect("applies");
    assert_eq!(outcomes, [Outcome::Applied, Outcome::Refused { stored: 2 }]);
    let found: BTreeMap<String, Value> = runtime.block_on(store.dump()).expect("answers");
    assert_eq!(
        found.keys().filter(|key| key.starts_with("clima:GT:")).count(),
        2,
        "unique for equal country and time"
    );
    assert_eq!(model.compare(&found, 1_700_000_000_000), []);
}
