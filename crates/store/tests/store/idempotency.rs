//! Idempotency keys with the events that they counted, by partition.

use blackfriday_event::{Admission, Category};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::{Conflict, Difference, Outcome, Recorded, Store};

use crate::partitions::{key, keyed, resume, wrong};
use crate::setup::{Counted, DAY_MS, START_MS, Setup, batch, batches, offset, report, sale};

on_both! {
    another_sale_under_a_key_is_a_conflict_and_named,
    a_key_without_its_event_is_a_fault,
    a_key_stays_counted_when_the_position_goes_back,
    a_key_above_the_position_is_void,
    old_keys_are_forgotten_with_their_events,
    forgetting_keeps_up_with_any_number_of_new_keys,
    a_time_far_ahead_keeps_keys_until_real_time_catches_up,
    weather_is_admitted_as_sales_are,
}

fn another_sale_under_a_key_is_a_conflict_and_named(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let mut model = setup.store.model();
    let sales = [keyed("a", "P-1", 0), keyed("a", "P-1", 10), keyed("a", "P-2", 20), keyed("b", "P-2", 30)];
    let expected = [Recorded::Counted, Recorded::Repeated, Recorded::Conflicting, Recorded::Counted];
    for (at, (sale, expected)) in (0..).zip(sales.iter().zip(expected)) {
        assert_eq!(sale.record(&mut model, 0, at), expected);
    }
    model.advance("ventas", 0, 4);
    for cut in 1..4 {
        setup.run(&["FLUSHALL"]);
        for (from, part) in [(0, &sales[..cut]), (cut, &sales[cut..])] {
            let batches = setup.runtime.block_on(batches(&setup.store, &[(0, from, part)]));
            assert_eq!(setup.apply(&batches[0]).expect("applies"), Outcome::Applied);
        }
        assert_eq!(model.compare(&setup.dump(), START_MS), [], "cut at {cut}");
    }
    let conflict =
        Conflict { topic: "ventas".to_owned(), partition: 0, offset: 2, key: key("a"), counted: 0 };
    assert_eq!(model.conflicts(), [conflict]);
    let mut window = window(&setup.store, &setup, "a");
    let other = keyed("a", "P-3", 40);
    let admission = window.admit(&key("a"), other.digest(), other.accepted_at, 4);
    assert_eq!(admission, Admission::Conflicts { counted: 0 });
}

fn window(store: &Store, setup: &Setup, name: &str) -> blackfriday_event::KeyWindow {
    let wanted = [("ventas", 0, vec![key(name)])];
    setup.runtime.block_on(store.key_windows(&wanted)).expect("answers").remove(0).1
}

/// A key whose event is gone decides nothing right: it is neither counted again nor taken for a repetition.
fn a_key_without_its_event_is_a_fault(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    for (spoil, detail) in [
        (["DEL", "idempotencia:ventas:0:evento"].as_slice(), "has no event of the key"),
        (&["HDEL", "idempotencia:ventas:0:evento", "a"], "has no event of the key"),
        (&["HSET", "idempotencia:ventas:0:evento", "a", "0"], "holds \"0\" for the key"),
        (&["SET", "idempotencia:ventas:0:evento", "a"], "WRONGTYPE"),
    ] {
        setup.run(&["FLUSHALL"]);
        let batches = setup.runtime.block_on(batches(&setup.store, &[(0, 0, &[keyed("a", "P-1", 0)])]));
        setup.apply(&batches[0]).expect("applies");
        setup.run(&["SET", "elsewhere", "x"]);
        if spoil[0] == "SET" {
            setup.run(&["DEL", spoil[1]]);
        }
        setup.run(spoil);
        let read = setup.runtime.block_on(setup.store.key_windows(&[("ventas", 0, vec![key("a")])]));
        wrong(read.map(drop), "idempotencia:ventas:0:evento", detail);
    }
}

/// Keys of records that come again under other offsets were counted all the same.
fn a_key_stays_counted_when_the_position_goes_back(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let first: Vec<_> = (0..6).map(|n| keyed(&format!("k{n}"), "P-1", n)).collect();
    let counted = setup.runtime.block_on(batches(&setup.store, &[(0, 0, &first)]));
    setup.apply(&counted[0]).expect("applies");
    assert_eq!(resume(&setup, 6, 0), Outcome::Applied);
    let again = [keyed("k5", "P-1", 100), keyed("new", "P-1", 101)];
    let batches = setup.runtime.block_on(batches(&setup.store, &[(0, 0, &again)]));
    assert_eq!(batches[0].keys.added().len(), 1, "only the new one counts");
    assert_eq!(setup.apply(&batches[0]).expect("applies"), Outcome::Applied);
    assert_eq!(setup.run(&["GET", "reportes:total:Ropa"]), "7");
}

/// What a torn append-only file left of a key's first try is no reason not to count it.
fn a_key_above_the_position_is_void(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let counted = setup.runtime.block_on(batches(&setup.store, &[(0, 0, &[keyed("a", "P-1", 0)])]));
    setup.apply(&counted[0]).expect("applies");
    let left = format!("1:{}", "0".repeat(16));
    setup.run(&["HSET", "idempotencia:ventas:0:evento", "b", &left]);
    setup.run(&["ZADD", "idempotencia:ventas:0", &START_MS.to_string(), "b"]);
    let batches = setup.runtime.block_on(batches(&setup.store, &[(0, 1, &[keyed("b", "P-1", 5)])]));
    assert_eq!(batches[0].keys.added().len(), 1, "it counts");
}

/// Keys that are too old to matter go in parts, and nothing is said of those that are left.
fn old_keys_are_forgotten_with_their_events(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let mut model = setup.store.model();
    let old: Vec<_> = (0..10_050).map(|n| keyed(&format!("old{n}"), "P-1", n)).collect();
    let new =
        [keyed("x", "P-1", 2 * DAY_MS), keyed("old7", "P-1", 2 * DAY_MS), keyed("y", "P-1", 2 * DAY_MS)];
    let all: Vec<_> = old.iter().chain(&new).cloned().collect();
    for (at, sale) in (0..).zip(&all) {
        assert_eq!(sale.record(&mut model, 0, at), Recorded::Counted);
    }
    model.advance("ventas", 0, 10_053);
    let count = |key: &str, command: &str| setup.run(&[command, key]).parse::<u32>().expect("a number");
    for (from, to, left) in [(0, 10_050, 10_050), (10_050, 10_052, 51), (10_052, 10_053, 3)] {
        let batches = setup.runtime.block_on(batches(&setup.store, &[(0, from, &all[from..to])]));
        assert_eq!(setup.apply(&batches[0]).expect("applies"), Outcome::Applied);
        assert_eq!(count("idempotencia:ventas:0", "ZCARD"), left);
        assert_eq!(count("idempotencia:ventas:0:evento", "HLEN"), left);
    }
    assert_eq!(model.compare(&setup.dump(), START_MS), []);
    // One that is left decides nothing; any other surplus is a difference.
    setup.run(&["ZADD", "idempotencia:ventas:0", &START_MS.to_string(), "old9"]);
    setup.run(&["HSET", "idempotencia:ventas:0:evento", "old9", "9:0000000000000000"]);
    assert_eq!(model.compare(&setup.dump(), START_MS), []);
    setup.run(&["ZADD", "idempotencia:ventas:0", &(START_MS + 2 * DAY_MS).to_string(), "old9"]);
    let differs = |difference: &Difference| difference.field.as_deref() == Some("old9");
    assert_eq!(model.compare(&setup.dump(), START_MS).iter().filter(|found| differs(found)).count(), 2);
}

/// Many new keys in one call do not outrun the forgetting, which also goes on where no key is new.
fn forgetting_keeps_up_with_any_number_of_new_keys(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let mut model = setup.store.model();
    let keys = |name: &str, count: u64, day: u64| {
        (0..count).map(|n| keyed(&format!("{name}{n}"), "P-1", day * DAY_MS + n)).collect::<Vec<_>>()
    };
    let all = [keys("old", 33_000, 0), keys("new", 11_000, 2)].concat();
    for (at, sale) in (0..).zip(&all) {
        assert_eq!(sale.record(&mut model, 0, at), Recorded::Counted);
    }
    model.advance("ventas", 0, 44_000);
    let count = |key: &str, command: &str| setup.run(&[command, key]).parse::<u32>().expect("a number");
    for (from, to, left) in [(0, 33_000, 33_000), (33_000, 44_000, 22_000)] {
        let batches = setup.runtime.block_on(batches(&setup.store, &[(0, from, &all[from..to])]));
        assert_eq!(setup.apply(&batches[0]).expect("applies"), Outcome::Applied);
        assert_eq!(count("idempotencia:ventas:0", "ZCARD"), left);
    }
    let unkeyed = sale(Category::Ropa, "P-1", 1);
    for (at, left) in (44_000..).zip([12_000, 11_000, 11_000]) {
        unkeyed.record(&mut model, 0, offset(at));
        model.advance("ventas", 0, offset(at + 1));
        let applied = setup.apply(&batch(&setup.store, at, std::slice::from_ref(&unkeyed)));
        assert_eq!(applied.expect("applies"), Outcome::Applied);
        assert_eq!(count("idempotencia:ventas:0", "ZCARD"), left);
        assert_eq!(count("idempotencia:ventas:0:evento", "HLEN"), left);
        assert_eq!(model.compare(&setup.dump(), START_MS), []);
    }
}

/// A partition's time never goes back: after a record whose time is far ahead (a broker's clock, or a topic with producers'
/// times), its keys are remembered until real time catches up.
fn a_time_far_ahead_keeps_keys_until_real_time_catches_up(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let days = |name: &str, days: u64| keyed(name, "P-1", days * DAY_MS);
    let sales = [days("ahead", 30), days("a", 1), days("b", 9), days("a", 9), days("c", 31), days("d", 32)];
    for (from, left) in [1, 2, 3, 3, 4, 2].into_iter().enumerate() {
        let batches = setup.runtime.block_on(batches(&setup.store, &[(0, from, &sales[from..=from])]));
        assert_eq!(setup.apply(&batches[0]).expect("applies"), Outcome::Applied);
        assert_eq!(setup.run(&["ZCARD", "idempotencia:ventas:0"]), left.to_string(), "after {from}");
    }
}

fn weather_is_admitted_as_sales_are(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let keyed = |country: &str, name: &str, id| {
        let mut report = report(country, id);
        report.idempotency_key = Some(key(name));
        report
    };
    let reports = [keyed("GT", "a", 1), keyed("GT", "a", 1), keyed("SV", "a", 1), keyed("SV", "b", 2)];
    let mut model = setup.store.model();
    for (at, report) in (0..).zip(&reports) {
        report.record(&mut model, 0, at);
    }
    model.advance("clima", 0, 4);
    let batches = setup.runtime.block_on(batches(&setup.store, &[(0, 0, &reports)]));
    assert_eq!(setup.apply(&batches[0]).expect("applies"), Outcome::Applied);
    assert_eq!(model.compare(&setup.dump(), START_MS), []);
    assert_eq!(model.conflicts().len(), 1);
    assert_eq!(setup.run(&["GET", "total_messages"]), "2");
}
