//! Where counting goes on: positions, last records, and partitions that are stopped.

use blackfriday_event::{Category, EventId, IdempotencyKey, Sale};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::{Batch, LastRecord, Outcome, StoreConfig, StoreError, StoredPartition};

use crate::setup::{CONFIG, Counted, START_MS, Setup, batch, batches, last_record, sale, timestamp};

on_both! {
    the_last_record_changes_in_one_step_with_the_position,
    a_stopped_partition_counts_nothing_until_it_is_resumed,
    partitions_are_counted_in_one_step_and_a_refused_one_holds_up_no_other,
    a_partition_that_was_never_counted_can_be_stopped_and_resumed,
    the_mark_of_a_stop_is_no_difference_if_it_says_what_is_known,
    a_resume_leaves_no_differences,
    a_resume_that_cannot_end_changes_nothing,
    a_missing_position_of_a_begun_partition_is_a_fault_that_names_its_key,
    what_is_not_ours_is_named_where_positions_are_read,
    a_store_of_another_version_is_refused,
    other_bounds_are_named_where_positions_are_read,
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).expect("visible")
}

/// A sale under a key, of so many units.
pub(crate) fn keyed(name: &str, product: &str, millis: u64) -> Sale {
    let mut sale = sale(Category::Ropa, product, 0);
    sale.id = EventId::of_key(&key(name));
    sale.idempotency_key = Some(key(name));
    sale.accepted_at = timestamp(START_MS + millis);
    sale
}

fn partition(setup: &Setup, id: i32) -> StoredPartition {
    let mut all = setup.runtime.block_on(setup.store.partitions("ventas")).expect("answers");
    all.remove(&id).expect("it is known")
}

fn stop(setup: &Setup, position: i64, reason: &str) -> Outcome {
    setup.runtime.block_on(setup.store.stop("ventas", 0, position, reason)).expect("answers")
}

pub(crate) fn resume(setup: &Setup, from: i64, to: i64) -> Outcome {
    setup.runtime.block_on(setup.store.resume("ventas", 0, from, to)).expect("answers")
}

/// One call, which touches each key once; and if that is refused, each by itself.
fn partitions_are_counted_in_one_step_and_a_refused_one_holds_up_no_other(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let sales = |at: u128| [sale(Category::Ropa, "P-1", 2 * at), keyed(&format!("k{at}"), "P-2", 1)];
    let each = [0_i32, 1, 2].map(|at| (at, sales(u128::try_from(at).expect("small"))));
    let apply = |from: usize| {
        let parts: Vec<_> = each.iter().map(|(at, sales)| (*at, from, &sales[from..])).collect();
        setup.runtime.block_on(batches(&setup.store, &parts))
    };
    // What loads the functions is no call of them.
    assert_eq!(stop(&setup, 9, "no"), Outcome::Refused { stored: 0 });
    let calls = || {
        let stats = setup.runtime.block_on(setup.valkey.command(&["INFO", "commandstats"])).expect("answers");
        let calls =
            stats.lines().find_map(|line| line.strip_prefix("cmdstat_fcall:calls=")?.split(',').next());
        calls.and_then(|calls| calls.parse::<u64>().ok()).unwrap_or(0)
    };
    let before = calls();
    let outcomes = setup.runtime.block_on(setup.store.apply(&apply(0))).expect("applies");
    assert_eq!((outcomes, calls() - before), (vec![Outcome::Applied; 3], 1));
    let mut model = setup.store.model();
    for (at, sales) in &each {
        for (offset, sale) in (0..).zip(sales) {
            sale.record(&mut model, *at, offset);
        }
        model.advance("ventas", *at, 2);
    }
    assert_eq!(model.compare(&setup.dump(), START_MS), []);

    let twice = [batch(&setup.store, 2, &sales(7)[..1]), batch(&setup.store, 2, &sales(7)[..1])];
    let outcomes = setup.runtime.block_on(setup.store.apply(&twice)).expect("answers");
    assert_eq!(outcomes, [Outcome::Applied, Outcome::Refused { stored: 3 }]);

    assert_eq!(stop(&setup, 3, "no"), Outcome::Applied);
    let next = |partition: i32, from: usize| Batch { partition, ..batch(&setup.store, from, &sales(9)[..1]) };
    let mixed = [next(0, 3), next(1, 7), next(2, 2)];
    let outcomes = setup.runtime.block_on(setup.store.apply(&mixed)).expect("answers");
    let stopped = Outcome::Stopped { reason: "no".to_owned() };
    assert_eq!(outcomes, [stopped, Outcome::Refused { stored: 2 }, Outcome::Applied]);
}

fn the_last_record_changes_in_one_step_with_the_position(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    assert!(setup.runtime.block_on(setup.store.partitions("ventas")).expect("answers").is_empty());
    let sales = [sale(Category::Ropa, "P-1", 1), sale(Category::Ropa, "P-1", 2)];
    setup.apply(&batch(&setup.store, 0, &sales)).expect("applies");
    let counted = StoredPartition { next: 2, last: Some(last_record(1)), stopped: None };
    assert_eq!(partition(&setup, 0), counted);
    // A batch of nothing but the log's own records has none.
    let mut empty = batch::<Sale>(&setup.store, 2, &[]);
    (empty.to, empty.last) = (4, None);
    assert_eq!(setup.apply(&empty).expect("applies"), Outcome::Applied);
    assert_eq!(partition(&setup, 0), StoredPartition { next: 4, ..counted });
    let lost = LastRecord { offset: 9, digest: [0xff; 8] };
    let mut refused = batch(&setup.store, 3, &sales);
    refused.last = Some(lost);
    assert_eq!(setup.apply(&refused).expect("answers"), Outcome::Refused { stored: 4 });
    assert_eq!(partition(&setup, 0).last, Some(last_record(1)));
    let clima = setup.runtime.block_on(setup.store.partitions("clima")).expect("answers");
    assert!(clima.is_empty(), "each topic by itself: {clima:?}");
}

/// It stays stopped whoever asks, until somebody says how to go on.
fn a_stopped_partition_counts_nothing_until_it_is_resumed(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let sales = [sale(Category::Ropa, "P-1", 1)];
    setup.apply(&batch(&setup.store, 0, &sales)).expect("applies");
    assert_eq!(stop(&setup, 7, "no"), Outcome::Refused { stored: 1 });
    assert_eq!(partition(&setup, 0).stopped, None);
    assert_eq!(stop(&setup, 1, "the log ends before 1"), Outcome::Applied);
    let reason = "the log ends before 1".to_owned();
    let before = setup.dump();
    let other = setup.store_at(setup.valkey.url(), &CONFIG);
    for (store, from) in [(&setup.store, 1), (&other, 1), (&other, 0)] {
        let outcomes = setup.runtime.block_on(store.apply(&[batch(store, from, &sales)])).expect("answers");
        assert_eq!(outcomes, [Outcome::Stopped { reason: reason.clone() }]);
    }
    assert_eq!(
        stop(&setup, 1, "again"),
        Outcome::Stopped { reason: reason.clone() },
        "the first reason stays"
    );
    setup.runtime.block_on(setup.valkey.restart()).expect("restarts");
    setup.runtime.block_on(setup.store.ping()).expect_err("the old connection");
    let stopped = StoredPartition { next: 1, last: Some(last_record(0)), stopped: Some(reason) };
    assert_eq!(partition(&setup, 0), stopped);
    assert_eq!(setup.dump(), before);
    // The other partitions go on.
    let mut neighbour = batch(&setup.store, 0, &sales);
    neighbour.partition = 1;
    assert_eq!(setup.apply(&neighbour).expect("applies"), Outcome::Applied);

    assert_eq!(resume(&setup, 0, 5), Outcome::Refused { stored: 1 });
    assert_eq!(resume(&setup, 1, 5), Outcome::Applied);
    assert_eq!(partition(&setup, 0), StoredPartition { next: 5, last: None, stopped: None });
    assert_eq!(setup.apply(&batch(&setup.store, 5, &sales)).expect("applies"), Outcome::Applied);
}

fn a_partition_that_was_never_counted_can_be_stopped_and_resumed(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    assert_eq!(stop(&setup, 0, "records are gone"), Outcome::Applied);
    let stopped = StoredPartition { next: 0, last: None, stopped: Some("records are gone".to_owned()) };
    assert_eq!(partition(&setup, 0), stopped);
    assert_eq!(resume(&setup, 0, 40), Outcome::Applied);
    assert_eq!(partition(&setup, 0), StoredPartition { next: 40, last: None, stopped: None });
    let sales = [sale(Category::Ropa, "P-1", 1)];
    assert_eq!(setup.apply(&batch(&setup.store, 40, &sales)).expect("applies"), Outcome::Applied);
}

/// A mark that says something else, or is where none should be, is one.
fn the_mark_of_a_stop_is_no_difference_if_it_says_what_is_known(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let sold = [sale(Category::Ropa, "P-1", 1)];
    setup.apply(&batch(&setup.store, 0, &sold)).expect("applies");
    let mut model = setup.store.model();
    sold[0].record(&mut model, 0, 0);
    model.advance("ventas", 0, 1);
    assert_eq!(stop(&setup, 1, "the log ends before"), Outcome::Applied);
    assert_eq!(model.compare(&setup.dump(), START_MS).len(), 1);
    model.stop("ventas", 0, "the log ends before");
    assert_eq!(model.compare(&setup.dump(), START_MS), []);
}

/// What a resume leaves is as it must be, before and after the next record.
fn a_resume_leaves_no_differences(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    assert_eq!(stop(&setup, 0, "the log is another one"), Outcome::Applied);
    assert_eq!(resume(&setup, 0, 0), Outcome::Applied);
    let mut model = setup.store.model();
    assert_eq!(setup.run(&["HGET", "posicion:ventas", "0"]), "0");
    assert_eq!(model.compare(&setup.dump(), START_MS), [], "a position of 0 says that nothing was counted");

    let first = keyed("a", "P-1", 0);
    let counted = setup.runtime.block_on(batches(&setup.store, &[(0, 0, std::slice::from_ref(&first))]));
    setup.apply(&counted[0]).expect("applies");
    first.record(&mut model, 0, 0);
    model.advance("ventas", 0, 1);
    assert_eq!(model.compare(&setup.dump(), START_MS), []);
    assert_eq!(stop(&setup, 1, "the log ends before"), Outcome::Applied);
    assert_eq!(resume(&setup, 1, 1), Outcome::Applied);
    assert_eq!(partition(&setup, 0), StoredPartition { next: 1, last: None, stopped: None });
    assert_eq!(model.compare(&setup.dump(), START_MS), [], "the last record is not known until the next one");
    setup.run(&["HSET", "ultimo:ventas", "0", "0:ffffffffffffffff"]);
    let differences = model.compare(&setup.dump(), START_MS);
    assert!(differences.len() == 1 && differences[0].key == "ultimo:ventas", "another is: {differences:?}");
    let second = sale(Category::Ropa, "P-1", 2);
    setup.apply(&batch(&setup.store, 1, std::slice::from_ref(&second))).expect("applies");
    second.record(&mut model, 0, 1);
    model.advance("ventas", 0, 2);
    assert_eq!(model.compare(&setup.dump(), START_MS), []);
}

/// A resume that fails in the middle would leave its note, and nothing could be counted any more.
fn a_resume_that_cannot_end_changes_nothing(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    for (key, spoil) in [
        ("posicion:ventas", ["RPUSH", "posicion:ventas", "x"].as_slice()),
        ("ultimo:ventas", &["RPUSH", "ultimo:ventas", "x"]),
        ("detenido:ventas", &["RPUSH", "detenido:ventas", "x"]),
        ("empezado:ventas", &["RPUSH", "empezado:ventas", "x"]),
        ("esquema", &["RPUSH", "esquema", "x"]),
        ("idempotencia:ventas:0:evento", &["RPUSH", "idempotencia:ventas:0:evento", "x"]),
        ("idempotencia:ventas:0:evento", &["HSET", "idempotencia:ventas:0:evento", "", "x"]),
    ] {
        setup.run(&["FLUSHALL"]);
        let counted = setup.runtime.block_on(batches(&setup.store, &[(0, 0, &[keyed("a", "P-1", 0)])]));
        setup.apply(&counted[0]).expect("applies");
        stop(&setup, 1, "the log ends before");
        setup.run(&["DEL", key]);
        setup.run(spoil);
        let before = setup.dump();
        let error =
            setup.runtime.block_on(setup.store.resume("ventas", 0, 1, 0)).expect_err("of another kind");
        let cause = std::error::Error::source(&error).expect("Valkey's answer").to_string();
        assert!(matches!(error, StoreError::Refused { .. }) && cause.contains(key), "{cause}");
        assert_eq!(setup.dump(), before, "{spoil:?}");
    }
}

/// Counting from 0 on top of full counters would double them.
fn a_missing_position_of_a_begun_partition_is_a_fault_that_names_its_key(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let sales = [sale(Category::Ropa, "P-1", 1)];
    for spoil in [["DEL", "posicion:ventas"].as_slice(), &["HDEL", "posicion:ventas", "0"]] {
        setup.run(&["FLUSHALL"]);
        setup.apply(&batch(&setup.store, 0, &sales)).expect("applies");
        setup.run(spoil);
        let read = setup.runtime.block_on(setup.store.partitions("ventas")).map(drop);
        wrong(read, "posicion:ventas", "partition 0, which esquema knows as begun");
        let error = setup.apply(&batch(&setup.store, 0, &sales)).expect_err("it was begun");
        let cause = std::error::Error::source(&error).expect("Valkey's answer").to_string();
        assert!(cause.contains("posicion:ventas") && !error.is_retryable(), "{cause}");
        let resumed = setup.runtime.block_on(setup.store.resume("ventas", 0, 0, 1));
        assert!(matches!(resumed, Err(StoreError::Refused { .. })), "{resumed:?}");
        setup.runtime.block_on(setup.store.partitions("clima")).expect("the other topic is as it should be");
    }
}

fn what_is_not_ours_is_named_where_positions_are_read(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let sales = [sale(Category::Ropa, "P-1", 1)];
    for (spoil, key, detail) in [
        (["DEL", "esquema"].as_slice(), "esquema", "is missing while posicion:ventas is there"),
        (&["HSET", "esquema", "version", "2"], "esquema", "has version 2, not 3"),
        (&["HSET", "esquema", "series_seconds", "900"], "esquema", "has series_seconds 900, not 5"),
        (&["HDEL", "esquema", "version"], "esquema", "has version unset, not 3"),
        (&["HSET", "posicion:ventas", "0", "one"], "posicion:ventas", "\"one\""),
        (&["HSET", "posicion:ventas", "0", "-1"], "posicion:ventas", "\"-1\""),
        (&["HSET", "posicion:ventas", "x", "1"], "posicion:ventas", "\"x\""),
        (&["HSET", "ultimo:ventas", "0", "7"], "ultimo:ventas", "\"7\""),
        (&["SET", "detenido:ventas", "x"], "detenido:ventas", "WRONGTYPE"),
    ] {
        setup.run(&["FLUSHALL"]);
        setup.apply(&batch(&setup.store, 0, &sales)).expect("applies");
        setup.run(spoil);
        wrong(setup.runtime.block_on(setup.store.partitions("ventas")).map(drop), key, detail);
    }
}

/// A store that an earlier version began is not counted into: its keys mean something else.
fn a_store_of_another_version_is_refused(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    setup.run(&["HSET", "esquema", "version", "2", "history_len", "3", "series_seconds", "5"]);
    setup.run(&["HSET", "posicion:ventas", "0", "10"]);
    wrong(
        setup.runtime.block_on(setup.store.partitions("ventas")).map(drop),
        "esquema",
        "has version 2, not 3",
    );
    let before = setup.dump();
    let error = setup
        .apply(&batch(&setup.store, 10, &[sale(Category::Ropa, "P-1", 1)]))
        .expect_err("another version");
    let cause = std::error::Error::source(&error).expect("Valkey's answer").to_string();
    assert!(cause.contains("esquema has version 2, not 3") && !error.is_retryable(), "{cause}");
    assert_eq!(setup.dump(), before);
}

pub(crate) fn wrong(read: Result<(), StoreError>, expected: &str, detail: &str) {
    let error = read.expect_err(detail);
    assert!(matches!(&error, StoreError::WrongKey { key, .. } if key == expected), "{error:?}");
    assert!(error.to_string().contains(expected) && error.to_string().contains(detail), "{error}");
    assert!(!error.is_retryable(), "{error}");
}

/// Another configuration than the store was begun with is named before anything is counted.
fn other_bounds_are_named_where_positions_are_read(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    setup.apply(&batch(&setup.store, 0, &[sale(Category::Ropa, "P-1", 1)])).expect("applies");
    let other = setup.store_at(setup.valkey.url(), &StoreConfig { history_len: 4, ..CONFIG });
    wrong(
        setup.runtime.block_on(other.partitions("ventas")).map(drop),
        "esquema",
        "has history_len 3, not 4",
    );
}
