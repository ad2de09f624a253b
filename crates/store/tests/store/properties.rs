//! For any batches, replays and interleavings, the store is what the model says.

use blackfriday_event::{Category, EventId, IdempotencyKey, Money, Quantity, Sale, WeatherReport};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::model::Place;
use blackfriday_store::{Batch, Outcome};
use num_bigint::BigUint;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::setup::{Counted, DAY_MS, START_MS, Setup, batch, batches, offset, report, sale, timestamp};

on_both! {
    sales_add_up_for_any_batches_and_interleavings,
    weather_adds_up_for_any_batches_and_interleavings,
    sums_go_on_beyond_64_bits,
    a_ranking_stops_where_scores_stop_being_exact,
    a_place_is_what_the_model_says_after_any_calls,
}

const PARTITIONS: usize = 3;
const PRODUCTS: [&str; 5] = ["P-0", "café molido", r#"a"b\c"#, "产品:1", "{}"];
const COUNTRIES: [&str; 4] = ["GT", "El Salvador", "x:y:*", "日本\""];
const KEYS: [&str; 5] = ["k0", r#"k"1"#, r"k\2", "[3]", "4:4"];

/// Who is counted next: a batch of as many events from each of these partitions, all in one round trip.
type Turn = (Vec<bool>, usize);

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// Times about a day apart let idempotency keys expire, also out of order.
fn times() -> impl Strategy<Value = u64> {
    let times = prop_oneof![4 => 0..12_000_u64, 2 => DAY_MS - 3000..DAY_MS + 12_000, 1 => 2 * DAY_MS..2 * DAY_MS + 9000];
    times.prop_map(|millis| START_MS + millis)
}

/// The identity belongs to the key, if there is one.
fn identities() -> impl Strategy<Value = (EventId, Option<IdempotencyKey>)> {
    (any::<u128>(), prop::option::weighted(0.4, prop::sample::select(&KEYS[..]))).prop_map(|(id, key)| {
        let key = key.map(|key| IdempotencyKey::new(key).expect("visible"));
        let fresh = || EventId::from_slice(&id.to_be_bytes()).expect("16 bytes");
        (key.as_ref().map_or_else(fresh, EventId::of_key), key)
    })
}

fn sales() -> impl Strategy<Value = Sale> {
    // Around 10.00, where numbers and texts are ordered differently.
    let cents = prop_oneof![1 => Just(0), 40 => 900..1_100_u32, 9 => 0..=Money::MAX_CENTS];
    let product = prop::sample::select(&PRODUCTS[..]);
    (1_i64..=4, product, cents, 1_i64..=100_000, times(), identities()).prop_map(
        |(category, product, cents, units, millis, (id, key))| {
            let mut sale = sale(Category::from_number(category).expect("1 to 4"), product, 0);
            (sale.id, sale.idempotency_key, sale.accepted_at) = (id, key, timestamp(millis));
            sale.draft.price = Money::from_cents(cents.into()).expect("in range");
            sale.draft.quantity = Quantity::new(units).expect("in range");
            sale
        },
    )
}

fn reports() -> impl Strategy<Value = WeatherReport> {
    (prop::sample::select(&COUNTRIES[..]), times(), identities()).prop_map(|(country, millis, (id, key))| {
        let mut report = report(country, 0);
        (report.id, report.idempotency_key, report.accepted_at) = (id, key, timestamp(millis));
        report
    })
}

fn histories<E: std::fmt::Debug>(
    event: impl Strategy<Value = E> + Clone,
) -> impl Strategy<Value = (Vec<Vec<E>>, Vec<Turn>)> {
    let turns = (prop::collection::vec(any::<bool>(), PARTITIONS), 1..8_usize);
    (
        prop::collection::vec(prop::collection::vec(event, 0..25), PARTITIONS),
        prop::collection::vec(turns, 0..15),
    )
}

/// Counts everything in the turns' order, and then the rest. Each batch is tried again, and so is an old one: both are
/// refused.
async fn count<E: Counted>(setup: &Setup, partitions: &[Vec<E>], turns: &[Turn]) {
    let mut done = vec![0_usize; partitions.len()];
    let mut oldest: Option<Batch> = None;
    let rest = (vec![true; partitions.len()], usize::MAX);
    for (who, len) in turns.iter().chain([&rest]) {
        let mut parts = Vec::new();
        for at in (0..partitions.len()).filter(|at| who[*at]) {
            let (from, events) = (done[at], &partitions[at]);
            let to = events.len().min(from.saturating_add(*len));
            if from < to {
                parts.push((i32::try_from(at).expect("small"), from, &events[from..to]));
                done[at] = to;
            }
        }
        let batches = batches(&setup.store, &parts).await;
        let again: Vec<_> = batches.iter().chain(&oldest).cloned().collect();
        let outcomes = setup.store.apply(&batches).await.expect("applies");
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Applied), "{outcomes:?}");
        oldest = oldest.or_else(|| batches.first().cloned());
        let stored = |batch: &Batch| offset(done[usize::try_from(batch.partition).expect("small")]);
        let refused: Vec<_> = again.iter().map(|batch| Outcome::Refused { stored: stored(batch) }).collect();
        assert_eq!(setup.store.apply(&again).await.expect("answers"), refused);
    }
}

fn the_store_equals_the_model<E: Counted>(
    setup: &Setup,
    cases: u32,
    histories: &impl Strategy<Value = (Vec<Vec<E>>, Vec<Turn>)>,
) {
    let outcome = runner(cases).run(histories, |(partitions, turns)| {
        setup.run(&["FLUSHALL"]);
        setup.runtime.block_on(count(setup, &partitions, &turns));
        let mut model = setup.store.model();
        for (partition, events) in (0..).zip(&partitions) {
            for (at, event) in (0..).zip(events) {
                event.record(&mut model, partition, at);
            }
            model.advance(E::TOPIC, partition, offset(events.len()));
        }
        prop_assert_eq!(model.compare(&setup.dump(), START_MS), []);
        Ok(())
    });
    outcome.expect("the store equals the model");
}

fn sales_add_up_for_any_batches_and_interleavings(kind: ValkeyKind) {
    the_store_equals_the_model(&Setup::new(kind), 100, &histories(sales().boxed()));
}

fn weather_adds_up_for_any_batches_and_interleavings(kind: ValkeyKind) {
    the_store_equals_the_model(&Setup::new(kind), 40, &histories(reports().boxed()));
}

/// Sums of any size, left there by hand: exact addition, and averages rounded half up.
fn sums_go_on_beyond_64_bits(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let one = sale(Category::Ropa, "P-1", 7);
    let sums = ("[1-9][0-9]{0,34}", "[1-9][0-9]{0,34}", "[1-9][0-9]{0,34}", "[1-9][0-9]{0,12}");
    let outcome = runner(200).run(&sums, |(prices, units, revenue, sales)| {
        setup.run(&["FLUSHALL"]);
        assert_eq!(
            setup.apply(&batch(&setup.store, 0, std::slice::from_ref(&one))).expect("applies"),
            Outcome::Applied
        );
        let decimal = |digits: &str| with_point(&digits.parse::<BigUint>().expect("digits"));
        setup.run(&["HSET", "stats:precio:suma", "Ropa", &decimal(&prices)]);
        setup.run(&["HSET", "stats:cantidad:suma", "Ropa", &units]);
        setup.run(&["HSET", "stats:ingresos:suma", "Ropa", &decimal(&revenue)]);
        setup.run(&["HSET", "reportes:total", "Ropa", &sales]);
        setup.run(&["SET", "reportes:total:Ropa", &sales]);
        let second = format!("{sales}:{}:12.49:12.51", decimal(&prices));
        setup.run(&["HSET", "serie:precio:Ropa", "1700000000", &second]);
        let applied = setup.apply(&batch(&setup.store, 1, std::slice::from_ref(&one)));
        prop_assert_eq!(applied.expect("applies"), Outcome::Applied);
        let snapshot = setup.runtime.block_on(setup.store.snapshot(1)).expect("answers");
        let ropa = &snapshot.categories["Ropa"];
        let plus = |digits: &str, term: u32| digits.parse::<BigUint>().expect("digits") + term;
        let (prices, units, sales) = (plus(&prices, 1_250), plus(&units, 3), plus(&sales, 1));
        prop_assert_eq!(ropa.price_sum.clone(), Some(with_point(&prices)));
        let second = &ropa.prices[0];
        prop_assert_eq!((second.sales.clone(), second.sum.clone()), (sales.to_string(), with_point(&prices)));
        prop_assert_eq!((second.min.as_str(), second.max.as_str()), ("12.49", "12.51"));
        prop_assert_eq!(ropa.units_sum.clone(), Some(units.to_string()));
        prop_assert_eq!(ropa.revenue_sum.clone(), Some(with_point(&plus(&revenue, 3_750))));
        prop_assert_eq!(ropa.sales.clone(), Some(sales.to_string()));
        prop_assert_eq!(ropa.price_mean.clone(), Some(with_point(&half_up(&prices, &sales))));
        prop_assert_eq!(ropa.units_mean.clone(), Some(with_point(&half_up(&(units * 100_u32), &sales))));
        Ok(())
    });
    outcome.expect("exact");
}

/// A ranking stops at 2^53, where scores stop being exact, whatever the order and size of what is added.
fn a_ranking_stops_where_scores_stop_being_exact(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let one = sale(Category::Ropa, "P-1", 7);
    for (before, after) in [
        ("9007199254740988", (1_u64 << 53) - 1),
        ("9007199254740989", 1 << 53),
        ("9007199254740990", 1 << 53),
        ("9007199254740992", 1 << 53),
    ] {
        setup.run(&["FLUSHALL"]);
        assert_eq!(
            setup.apply(&batch(&setup.store, 0, std::slice::from_ref(&one))).expect("applies"),
            Outcome::Applied
        );
        setup.run(&["ZADD", "ranking:global", before, "P-1"]);
        let applied = setup.apply(&batch(&setup.store, 1, std::slice::from_ref(&one)));
        assert_eq!(applied.expect("applies"), Outcome::Applied);
        let snapshot = setup.runtime.block_on(setup.store.snapshot(1)).expect("answers");
        assert_eq!(snapshot.most_sold[0].units, after, "{before}");
    }
}

fn half_up(sum: &BigUint, count: &BigUint) -> BigUint {
    let (quotient, rest) = (sum / count, sum % count);
    if rest * 2_u32 >= *count { quotient + 1_u32 } else { quotient }
}

fn with_point(cents: &BigUint) -> String {
    format!("{}.{:0>2}", cents / 100_u32, (cents % 100_u32).to_string())
}

/// Applies, stops and resumes at right and wrong positions, of batches with and without records.
fn a_place_is_what_the_model_says_after_any_calls(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let calls = prop::collection::vec((0..5_u8, 0..4_usize, 0..3_usize), 1..40);
    let outcome = runner(60).run(&calls, |calls| {
        setup.run(&["FLUSHALL"]);
        let mut place = Place::default();
        for (call, at, len) in calls {
            let (from, to) = (offset(at), offset(at + len));
            let (outcome, expected) = match call {
                0..3 => {
                    let sales = vec![sale(Category::Ropa, "P-1", 7); len];
                    let mut batch = batch(&setup.store, at, &sales);
                    batch.last = batch.last.filter(|_| len > 0);
                    (setup.apply(&batch).expect("answers"), place.apply(from, to, batch.last))
                }
                3 => {
                    let stopped = setup.runtime.block_on(setup.store.stop("ventas", 0, from, "a gap"));
                    (stopped.expect("answers"), place.stop(from, "a gap"))
                }
                _ => {
                    let resumed = setup.runtime.block_on(setup.store.resume("ventas", 0, from, offset(len)));
                    (resumed.expect("answers"), place.resume(from, offset(len)))
                }
            };
            prop_assert_eq!(outcome, expected);
            let mut stored = setup.runtime.block_on(setup.store.partitions("ventas")).expect("answers");
            prop_assert_eq!(stored.remove(&0).unwrap_or_default(), place.0.clone());
        }
        Ok(())
    });
    outcome.expect("the model is the store's");
}
