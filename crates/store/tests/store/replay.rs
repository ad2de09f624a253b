//! What the functions leave in the append-only file is states, not differences: any part of it, replayed again on anything
//! that came before, ends in the same place. And what half of a transaction leaves is noticed.

use std::collections::BTreeMap;

use blackfriday_event::{Category, IdempotencyKey, Money, Quantity, Sale, WeatherReport};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::model::State;
use blackfriday_store::{Batch, Outcome, StoreError, Value};

use crate::effects::Bench;
use crate::setup::{Counted, DAY_MS, START_MS, Setup, batches, offset, report, sale, timestamp};

on_both! {
    any_suffix_of_the_effects_may_be_replayed_twice_on_any_earlier_state,
    half_a_transaction_before_the_same_events_changes_nothing,
    nothing_is_counted_on_top_of_half_a_transaction,
    nothing_is_counted_on_top_of_half_a_step_of_several_partitions,
    half_a_step_of_several_partitions_before_the_same_events_changes_nothing,
    half_a_resume_counts_nothing_and_can_be_resumed_again,
    a_server_that_restarts_with_an_old_file_ends_in_the_same_place,
}

/// Sales of one partition: of every category, with products in common, keys that repeat, conflict and expire, seconds that
/// go back, and prices on both sides.
fn sales(partition: u128, count: u128) -> Vec<Sale> {
    (0..count)
        .map(|n| {
            let category = Category::ALL[usize::try_from((n + partition) % 4).expect("small")];
            let mut sale = sale(category, &format!("P-{}", n % 5), 1000 * partition + n);
            let days = if n > count / 2 { DAY_MS + 9_000 } else { 0 };
            let jitter = u64::try_from((n * 7) % 4).expect("small") * 700;
            sale.accepted_at = timestamp(START_MS + days + u64::try_from(n).expect("small") * 500 - jitter);
            sale.draft.price =
                Money::from_cents(u64::try_from(900 + 37 * (n % 11)).expect("small")).expect("in range");
            sale.draft.quantity = Quantity::new(1 + i64::try_from(n % 3).expect("small")).expect("in range");
            let key = |name: u128| Some(IdempotencyKey::new(&format!("k{name}")).expect("visible"));
            sale.idempotency_key = if n % 2 == 0 { key(n % 6) } else { None };
            sale
        })
        .collect()
}

fn reports(count: u128) -> Vec<WeatherReport> {
    (0..count)
        .map(|n| {
            let mut report = report(["GT", "SV", "México"][usize::try_from(n % 3).expect("small")], n);
            report.accepted_at = timestamp(START_MS + u64::try_from(n).expect("small") * 900);
            report.idempotency_key = Some(IdempotencyKey::new(&format!("w{}", n % 4)).expect("visible"));
            report
        })
        .collect()
}

/// Applies the events between two offsets of a partition.
fn apply<E: Counted>(setup: &Setup, partition: i32, events: &[E], from: usize, to: usize) {
    let batch = batch_of(setup, partition, events, from, to);
    assert_eq!(setup.apply(&batch).expect("applies"), Outcome::Applied);
}

/// Applies the sales between two offsets of several partitions in one step.
fn together(setup: &Setup, parts: &[(i32, &[Sale], usize, usize)]) {
    let parts: Vec<_> = parts.iter().map(|(at, sales, from, to)| (*at, *from, &sales[*from..*to])).collect();
    let all = setup.runtime.block_on(batches(&setup.store, &parts));
    let outcomes = setup.runtime.block_on(setup.store.apply(&all)).expect("applies");
    assert_eq!(outcomes, vec![Outcome::Applied; parts.len()]);
}

fn batch_of<E: Counted>(setup: &Setup, partition: i32, events: &[E], from: usize, to: usize) -> Batch {
    let part = [(partition, from, &events[from..to])];
    setup.runtime.block_on(batches(&setup.store, &part)).remove(0)
}

fn resume(setup: &Setup, from: i64, to: i64) {
    let resumed = setup.runtime.block_on(setup.store.resume("ventas", 1, from, to));
    assert_eq!(resumed.expect("answers"), Outcome::Applied);
}

/// Several applies of each kind, a stop and a resume.
fn count_all_kinds(setup: &Setup) {
    let (zero, one, weather) = (sales(0, 24), sales(1, 12), reports(9));
    apply(setup, 0, &zero, 0, 7);
    apply(setup, 1, &one, 0, 5);
    apply(setup, 0, &weather, 0, 4);
    apply(setup, 0, &zero, 7, 8);
    let stopped = setup.runtime.block_on(setup.store.stop("ventas", 1, 5, "the log ends before"));
    assert_eq!(stopped.expect("answers"), Outcome::Applied);
    resume(setup, 5, 6);
    apply(setup, 1, &one, 6, 12);
    apply(setup, 0, &zero, 8, 24);
    resume(setup, 12, 3);
    apply(setup, 1, &one, 3, 5);
    apply(setup, 0, &weather, 4, 9);
    let two = sales(2, 9);
    together(setup, &[(1, &one, 5, 9), (2, &two, 0, 4)]);
    together(setup, &[(2, &two, 4, 9), (1, &one, 9, 12)]);
}

/// For every cut: what came before it, and then twice all that comes from any place at or before it.
fn any_suffix_of_the_effects_may_be_replayed_twice_on_any_earlier_state(kind: ValkeyKind) {
    replay_everything(&Bench::new(kind));
}

fn replay_everything(bench: &Bench) {
    let effects = bench.effects(count_all_kinds);
    assert!(effects.len() > 250, "{}", effects.len());
    let dump = bench.source.dump();
    bench.replay(&[&effects]);
    let end = bench.digest();
    assert_eq!(bench.setup.dump(), dump, "the file holds all that there is");
    for cut in 0..=effects.len() {
        // Every distance back occurs for some cut; the nearest ones, which tear one transaction, for all.
        for back in [0, 1, 2, 3, 7, 19, (cut * 31) % (cut + 1), cut] {
            let from = cut.saturating_sub(back);
            bench.replay(&[&effects[..cut], &effects[from..], &effects[from..]]);
            assert_eq!(
                bench.digest(),
                end,
                "cut at {cut}, replayed from {from}: {:?}",
                differing(bench, &dump)
            );
        }
    }
    assert_eq!(bench.setup.dump(), dump, "expiries, too");
}

fn differing(bench: &Bench, dump: &BTreeMap<String, Value>) -> Vec<String> {
    let found = bench.setup.dump();
    let differs = |key: &&String| found.get(*key) != dump.get(*key);
    dump.keys().chain(found.keys()).filter(differs).cloned().collect()
}

/// Half of a batch's transaction stays in the file, the batch is counted again, in the same cut or in others, and the next
/// start replays the half as well.
fn half_a_transaction_before_the_same_events_changes_nothing(kind: ValkeyKind) {
    tear_and_count_again(&Bench::new(kind));
}

fn tear_and_count_again(bench: &Bench) {
    let (events, weather) = (sales(0, 16), reports(9));
    let base = |setup: &Setup| {
        apply(setup, 0, &events, 0, 6);
        apply(setup, 0, &weather, 0, 3);
    };
    let counted = |cuts: &[usize]| {
        bench.effects(|setup| {
            base(setup);
            for cut in cuts.windows(2) {
                apply(setup, 0, &events, cut[0], cut[1]);
            }
        })
    };
    let start = bench.effects(base);
    let whole = counted(&[6, 16]);
    bench.replay(&[&whole]);
    let end = bench.digest();
    let torn = &whole[start.len()..];
    for cuts in [&[6, 16][..], &[6, 7, 16], &[6, 15, 16], &[6, 9, 12, 16]] {
        let again = counted(cuts);
        for cut in 0..=torn.len() {
            bench.replay(&[&start, &torn[..cut], &again[start.len()..]]);
            assert_eq!(bench.digest(), end, "torn after {cut}, counted again in cuts of {cuts:?}");
        }
    }
}

/// Where only a part of what the half touched was counted again, its values belong to no position. Nothing is added to them.
fn nothing_is_counted_on_top_of_half_a_transaction(kind: ValkeyKind) {
    tear_and_go_on(&Bench::new(kind));
}

fn tear_and_go_on(bench: &Bench) {
    let (events, weather) = (sales(0, 16), reports(9));
    let base = |setup: &Setup| {
        apply(setup, 0, &events, 0, 6);
        apply(setup, 0, &weather, 0, 3);
    };
    let start = bench.effects(base);
    let sold = bench.effects(|setup| {
        base(setup);
        apply(setup, 0, &events, 6, 16);
    });
    let reported = bench.effects(|setup| {
        base(setup);
        apply(setup, 0, &weather, 3, 9);
    });
    let part = bench.effects(|setup| {
        base(setup);
        apply(setup, 0, &events, 6, 8);
    });
    let (sold, reported, part) = (&sold[start.len()..], &reported[start.len()..], &part[start.len()..]);
    // The last effects of a transaction are its position, and that its note is taken back.
    for cut in 1..sold.len() - 1 {
        bench.replay(&[&start, &sold[..cut]]);
        let found = bench.source.store.model().compare(&bench.setup.dump(), START_MS);
        assert!(found.iter().any(|difference| difference.key == "empezado:ventas"), "it is named: {found:?}");
        refuses(bench, |setup| batch_of(setup, 0, &events, 6, 16), "empezado:ventas");
        bench.replay(&[&start, &sold[..cut], part]);
        refuses(bench, |setup| batch_of(setup, 0, &events, 8, 16), "empezado:ventas");
        refuses(bench, |setup| batch_of(setup, 1, &sales(1, 3), 0, 3), "empezado:ventas");
    }
    for cut in 1..reported.len() - 1 {
        bench.replay(&[&start, &reported[..cut]]);
        refuses(bench, |setup| batch_of(setup, 0, &weather, 3, 9), "empezado:clima");
    }
    let mut model = bench.setup.store.model();
    record(&mut model, 0, &events);
    record(&mut model, 0, &weather[..3]);
    let mut further = model.clone();
    record(&mut further, 1, &sales(1, 3));
    for whole in [sold.len() - 1, sold.len()] {
        bench.replay(&[&start, &sold[..whole]]);
        assert_eq!(model.compare(&bench.setup.dump(), START_MS), [], "a note that was passed says nothing");
        apply(&bench.setup, 1, &sales(1, 3), 0, 3);
        assert_eq!(further.compare(&bench.setup.dump(), START_MS), []);
        assert!(!bench.setup.dump().contains_key("empezado:ventas"), "what is of no meaning is tidied up");
    }
}

/// As of one partition: the notes of all come first, and go last.
fn nothing_is_counted_on_top_of_half_a_step_of_several_partitions(kind: ValkeyKind) {
    tear_several_and_go_on(&Bench::new(kind));
}

fn tear_several_and_go_on(bench: &Bench) {
    let (zero, one) = (sales(0, 16), sales(1, 12));
    let base = |setup: &Setup| together(setup, &[(0, &zero, 0, 6), (1, &one, 0, 4)]);
    let start = bench.effects(base);
    let whole = bench.effects(|setup| {
        base(setup);
        together(setup, &[(0, &zero, 6, 16), (1, &one, 4, 12)]);
    });
    let step = &whole[start.len()..];
    for cut in 1..step.len() - 1 {
        bench.replay(&[&start, &step[..cut]]);
        let stored = bench.setup.runtime.block_on(bench.setup.store.partitions("ventas")).expect("answers");
        if [(0, 16), (1, 12)].iter().all(|(partition, to)| stored[partition].next == *to) {
            continue;
        }
        for (partition, events) in [(0, &zero), (1, &one)] {
            let from = usize::try_from(stored[&partition].next).expect("small");
            let rest = |setup: &Setup| batch_of(setup, partition, events, from, events.len());
            refuses(bench, rest, "empezado:ventas");
        }
        refuses(bench, |setup| batch_of(setup, 2, &sales(2, 3), 0, 3), "empezado:ventas");
    }
}

/// However they are counted again: together, by themselves, in either order, in other cuts.
fn half_a_step_of_several_partitions_before_the_same_events_changes_nothing(kind: ValkeyKind) {
    tear_several_and_count_again(&Bench::new(kind));
}

fn tear_several_and_count_again(bench: &Bench) {
    let (zero, one) = (sales(0, 16), sales(1, 12));
    let base = |setup: &Setup| together(setup, &[(0, &zero, 0, 6), (1, &one, 0, 4)]);
    let start = bench.effects(base);
    let counted = |again: &dyn Fn(&Setup)| {
        bench.effects(|setup| {
            base(setup);
            again(setup);
        })
    };
    let all = |setup: &Setup| together(setup, &[(0, &zero, 6, 16), (1, &one, 4, 12)]);
    let whole = counted(&all);
    bench.replay(&[&whole]);
    let end = bench.digest();
    let step = &whole[start.len()..];
    let alone = |setup: &Setup| {
        apply(setup, 0, &zero, 6, 16);
        apply(setup, 1, &one, 4, 12);
    };
    let the_other_first = |setup: &Setup| {
        apply(setup, 1, &one, 4, 9);
        together(setup, &[(1, &one, 9, 12), (0, &zero, 6, 7)]);
        apply(setup, 0, &zero, 7, 16);
    };
    for again in [&all as &dyn Fn(&Setup), &alone, &the_other_first] {
        let again = counted(again);
        for cut in 0..=step.len() {
            bench.replay(&[&start, &step[..cut], &again[start.len()..]]);
            assert_eq!(bench.digest(), end, "torn after {cut}");
        }
    }
}

/// Wherever it goes, and whether the partition was stopped before.
fn half_a_resume_counts_nothing_and_can_be_resumed_again(kind: ValkeyKind) {
    tear_a_resume(&Bench::new(kind));
}

fn tear_a_resume(bench: &Bench) {
    let events = sales(1, 12);
    for (stopped, to) in [(true, 9), (true, 3), (false, 9), (false, 3)] {
        let base = |setup: &Setup| {
            apply(setup, 1, &events, 0, 6);
            if stopped {
                let stop = setup.runtime.block_on(setup.store.stop("ventas", 1, 6, "the log ends before"));
                assert_eq!(stop.expect("answers"), Outcome::Applied);
            }
        };
        let start = bench.effects(base);
        let whole = bench.effects(|setup| {
            base(setup);
            resume(setup, 6, to);
        });
        bench.replay(&[&whole]);
        let end = bench.digest();
        let moved = &whole[start.len()..];
        assert!(moved.len() > 4, "{moved:?}");
        for cut in 1..moved.len() {
            bench.replay(&[&start, &moved[..cut]]);
            let part = format!("{cut} of {} effects of a resume at {to}", moved.len());
            let stored = bench.setup.runtime.block_on(bench.setup.store.partitions("ventas"));
            let stored = stored.expect("answers").remove(&1).expect("it was begun");
            assert!(stored.stopped.is_some() && [6, to].contains(&stored.next), "{part}: {stored:?}");
            let from = usize::try_from(stored.next).expect("small");
            let next = batch_of(&bench.setup, 1, &events, from, 12);
            let outcome = bench.setup.apply(&next).expect("answers");
            assert!(matches!(outcome, Outcome::Stopped { .. }), "{part}: {outcome:?}");
            resume(&bench.setup, stored.next, to);
            assert_eq!(bench.digest(), end, "{part}, and then the whole");
        }
    }
}

fn record<E: Counted>(model: &mut State, partition: i32, events: &[E]) {
    for (at, event) in (0..).zip(events) {
        event.record(model, partition, at);
    }
    model.advance(E::TOPIC, partition, offset(events.len()));
}

fn refuses(bench: &Bench, batch: impl FnOnce(&Setup) -> Batch, key: &str) {
    let before = bench.digest();
    let batch = batch(&bench.setup);
    let error = bench.setup.apply(&batch).expect_err("half a transaction");
    let cause = std::error::Error::source(&error).expect("Valkey's answer").to_string();
    assert!(matches!(error, StoreError::Refused { .. }) && !error.is_retryable(), "{error:?}");
    assert!(cause.contains(key), "{cause}");
    assert_eq!(bench.digest(), before, "nothing was changed");
}

/// What was counted after that file was written is counted again, from the position that the file has.
fn a_server_that_restarts_with_an_old_file_ends_in_the_same_place(kind: ValkeyKind) {
    let (events, weather) = (sales(0, 25), reports(9));
    let setup = Setup::new(kind);
    apply(&setup, 0, &events, 0, 7);
    apply(&setup, 0, &weather, 0, 4);
    setup.runtime.block_on(setup.valkey.on_disk()).expect("written");
    setup.valkey.checkpoint().expect("copied");
    let count_on = || {
        apply(&setup, 0, &events, 7, 16);
        apply(&setup, 0, &weather, 4, 9);
        apply(&setup, 0, &events, 16, 24);
    };
    count_on();
    let end = setup.dump();
    let next = batch_of(&setup, 0, &events, 24, 25);
    setup.valkey.roll_back().expect("copied back");
    setup.runtime.block_on(setup.valkey.restart()).expect("starts again");
    // The store's connection is the old server's.
    let error = setup.runtime.block_on(setup.store.ping()).expect_err("the old connection");
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(setup.apply(&next).expect("answers"), Outcome::Refused { stored: 7 });
    count_on();
    assert_eq!(setup.dump(), end);
}

/// The function's text never adds to what it has not read.
#[test]
fn no_effect_is_a_difference() {
    let text = include_str!("../../src/functions.lua");
    for command in [
        "INCR",
        "DECR",
        "ZINCRBY",
        "HINCRBY",
        "APPEND",
        "'NX'",
        "'XX'",
        "'GT'",
        "'LT'",
        "SETNX",
        "'EXPIRE'",
        "'PEXPIRE'",
    ] {
        assert!(!text.contains(command), "{command}");
    }
}
