//! What is asked of the server: that it keeps everything, and how much room that takes.

use blackfriday_event::{Category, IdempotencyKey, Sale, WeatherDraft, WeatherReport};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::{Eviction, Outcome, StoreError};

use crate::setup::{Counted, Setup, batches, report, sale};

on_both! { a_server_that_may_drop_keys_is_refused, a_product_a_key_and_a_report_take_what_is_documented }

fn a_server_that_may_drop_keys_is_refused(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let check = || setup.runtime.block_on(setup.store.check_server());
    assert_eq!(check().expect("answers"), Eviction::Never);
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        setup.run(&["CONFIG", "SET", "maxmemory-policy", policy]);
        let error = check().expect_err(policy);
        assert!(matches!(&error, StoreError::Evicts { policy: found, .. } if found == policy), "{error:?}");
        assert!(error.is_retryable(), "somebody can set another one while we wait");
    }
    setup.run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert_eq!(check().expect("answers"), Eviction::Never);
    // Whether a server may be asked is its own affair; whether it is there is not.
    setup.run(&["ACL", "SETUSER", "asker", "on", ">pen", "~*", "+@all", "-info"]);
    let asker =
        setup.store_at(&format!("redis://asker:pen@{}", setup.valkey.address()), &crate::setup::CONFIG);
    assert_eq!(setup.runtime.block_on(asker.check_server()).expect("goes on without"), Eviction::NotTold);
    setup.runtime.block_on(setup.valkey.stop()).expect("stops");
    assert!(matches!(check().expect_err("away"), StoreError::Away { .. }));
}

/// Bytes of these keys, all of their members looked at.
fn bytes_of(setup: &Setup, keys: &[&str]) -> u64 {
    let bytes =
        |key: &&str| setup.run(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).parse::<u64>().expect("a number");
    keys.iter().map(bytes).sum()
}

fn count<E: Counted>(setup: &Setup, events: &[E]) {
    setup.run(&["FLUSHALL"]);
    let batches = setup.runtime.block_on(batches(&setup.store, &[(0, 0, events)]));
    assert_eq!(setup.apply(&batches[0]).expect("applies"), Outcome::Applied);
}

/// What the module documentation of the crate says, of Valkey 8.0. A fifth more is left to allocators and to hash tables
/// that grow by halves; a newer server takes less, since Valkey 8.1 as little as two thirds.
fn a_product_a_key_and_a_report_take_what_is_documented(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    const MANY: u128 = 6_000;
    let mut found = Vec::new();
    let named = |n: u128, length: usize| format!("{n:0>length$}");
    for (length, documented) in [(8, PRODUCT_OF_8), (128, PRODUCT_OF_128)] {
        let sold = |n| sale(Category::Ropa, &named(n, length), n);
        count(&setup, &(0..MANY).map(sold).collect::<Vec<Sale>>());
        found.push((bytes_of(&setup, &["ranking:global", "ranking:Ropa"]) / 6_000, documented));
    }
    for (length, documented) in [(16, KEY_OF_16), (128, KEY_OF_128)] {
        let keyed = |n| {
            let mut sale = sale(Category::Ropa, "P-1", n);
            sale.idempotency_key = Some(IdempotencyKey::new(&named(n, length)).expect("visible"));
            sale
        };
        count(&setup, &(0..MANY).map(keyed).collect::<Vec<Sale>>());
        let keys = ["idempotencia:ventas:0", "idempotencia:ventas:0:evento"];
        found.push((bytes_of(&setup, &keys) / 6_000, documented));
    }
    for (length, documented) in [(40, REPORT_OF_40), (1024, REPORT_OF_1024)] {
        let mut report: WeatherReport = report("GT", 7);
        report.draft = WeatherDraft::new(&"x".repeat(length), "GT", "Rainy").expect("valid");
        count(&setup, &[report]);
        let key = setup.run(&["KEYS", "clima:*"]);
        found.push((bytes_of(&setup, &[&key]), documented));
    }
    let holds = |(found, documented): &(u64, u64)| found * 5 <= documented * 6 && found * 2 >= *documented;
    assert!(found.iter().all(holds), "found and documented: {found:?}");
}

/// Bytes, by the length of identifier, key or description.
const PRODUCT_OF_8: u64 = 208;
const PRODUCT_OF_128: u64 = 496;
const KEY_OF_16: u64 = 224;
const KEY_OF_128: u64 = 480;
const REPORT_OF_40: u64 = 208;
const REPORT_OF_1024: u64 = 1656;
