//! Valkey away, full, demoted, emptied or locked: what may be tried again, and that trying again is safe.

use std::time::Duration;

use blackfriday_event::{Category, Sale};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::{Denial, Outcome, Store, StoreError};

use crate::setup::{CONFIG, Setup, batch, sale};

on_both! {
    an_apply_without_an_answer_is_safe_to_repeat,
    what_passes_is_retryable_and_changes_nothing,
    who_may_not_enter_is_told_so,
    how_full_the_server_is_can_be_asked,
}

fn sales(from: usize) -> [Sale; 1] {
    [sale(Category::Ropa, "P-1", 7 + from as u128)]
}

fn apply(setup: &Setup, store: &Store, from: usize) -> Result<Outcome, StoreError> {
    let batch = batch(store, from, &sales(from));
    setup.runtime.block_on(store.apply(&[batch])).map(|mut outcomes| outcomes.remove(0))
}

fn an_apply_without_an_answer_is_safe_to_repeat(kind: ValkeyKind) {
    let setup = Setup::with(kind, &[], |config| config.response_timeout_ms = 300);
    assert_eq!(apply(&setup, &setup.store, 0).expect("an empty store"), Outcome::Applied);
    assert_eq!(apply(&setup, &setup.store, 5).expect("answers"), Outcome::Refused { stored: 1 }, "a gap");
    assert_eq!(apply(&setup, &setup.store, 0).expect("answers"), Outcome::Refused { stored: 1 }, "a replay");

    // It reaches a paused server: applied as soon as that goes on, although nobody gets the answer.
    setup.valkey.pause().expect("is paused");
    let error = apply(&setup, &setup.store, 1).expect_err("no answer");
    assert!(matches!(error, StoreError::Away { .. }), "{error:?}");
    setup.valkey.resume().expect("goes on");
    assert_eq!(apply(&setup, &setup.store, 1).expect("answers"), Outcome::Refused { stored: 2 });

    setup.runtime.block_on(setup.valkey.stop()).expect("stops");
    let error = apply(&setup, &setup.store, 2).expect_err("away");
    assert!(matches!(error, StoreError::Away { .. }) && error.is_retryable(), "{error:?}");
    setup.runtime.block_on(setup.valkey.restart()).expect("restarts");
    assert_eq!(apply(&setup, &setup.store, 2).expect("is back"), Outcome::Applied);

    // The functions vanish, then everything does.
    setup.run(&["FUNCTION", "FLUSH"]);
    assert_eq!(apply(&setup, &setup.store, 3).expect("loads the functions"), Outcome::Applied);
    setup.valkey.wipe().expect("empty");
    setup.runtime.block_on(setup.valkey.restart()).expect("restarts");
    let error = setup.runtime.block_on(setup.store.ping()).expect_err("the old connection");
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(setup.runtime.block_on(setup.store.positions("ventas")).expect("answers").len(), 0);
    assert_eq!(apply(&setup, &setup.store, 4).expect("answers"), Outcome::Refused { stored: 0 });
    assert_eq!(apply(&setup, &setup.store, 0).expect("from the start"), Outcome::Applied);
}

fn what_passes_is_retryable_and_changes_nothing(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    assert_eq!(apply(&setup, &setup.store, 0).expect("an empty store"), Outcome::Applied);
    let before = setup.dump();
    for (set, reset) in [
        (["CONFIG", "SET", "maxmemory", "1"].as_slice(), ["CONFIG", "SET", "maxmemory", "0"].as_slice()),
        (&["CONFIG", "SET", "min-replicas-to-write", "1"], &["CONFIG", "SET", "min-replicas-to-write", "0"]),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
    ] {
        setup.run(set);
        let error = apply(&setup, &setup.store, 1).expect_err("not now");
        assert!(matches!(error, StoreError::NotNow { .. }), "{set:?}: {error:?}");
        assert_eq!(setup.dump(), before);
        setup.runtime.block_on(setup.store.snapshot(1)).expect("reading goes on");
        setup.run(reset);
    }

    // A replica that has lost its primary, and does not show what it has: transactions of reads are turned away, too.
    setup.run(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    setup.run(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = setup.runtime.block_on(setup.store.snapshot(1)).expect_err("not now");
    assert!(matches!(error, StoreError::NotNow { .. }), "{error:?}");
    setup.run(&["REPLICAOF", "NO", "ONE"]);

    let error = setup.runtime.block_on(while_busy(&setup));
    assert!(matches!(error, StoreError::NotNow { .. }), "{error:?}");
    assert_eq!(setup.dump(), before);
    assert_eq!(apply(&setup, &setup.store, 1).expect("all is well again"), Outcome::Applied);
}

/// What an apply gets while somebody's script runs on and on. Until that has begun, a replay is merely refused.
async fn while_busy(setup: &Setup) -> StoreError {
    let command = async |words: &[&str]| setup.valkey.command(words).await;
    command(&["CONFIG", "SET", "busy-reply-threshold", "1"]).await.expect("Valkey answers");
    let replay = [batch(&setup.store, 0, &sales(0))];
    let told = async {
        let told = loop {
            match setup.store.apply(&replay).await {
                Ok(outcomes) => assert_eq!(outcomes, [Outcome::Refused { stored: 1 }]),
                Err(error) => break error,
            }
        };
        command(&["SCRIPT", "KILL"]).await.expect("it can be ended: it has written nothing");
        told
    };
    let both = async { tokio::join!(command(&["EVAL", "while true do end", "0"]), told) };
    let (killed, told) = tokio::time::timeout(Duration::from_secs(30), both).await.expect("in time");
    killed.expect_err("it was ended");
    told
}

/// A user who lacks a single permission changes nothing: a denial in the middle would leave half a batch.
fn who_may_not_enter_is_told_so(kind: ValkeyKind) {
    let setup = Setup::with(kind, &[("requirepass", "secret")], |config| {
        config.access.password = Some("secret".parse().expect("any text"));
    });
    let at = |user: &str| setup.store_at(&format!("redis://{user}{}", setup.valkey.address()), &CONFIG);
    for user in ["", ":wrong@", "nobody:secret@"] {
        let error = apply(&setup, &at(user), 0).expect_err("locked");
        assert!(matches!(error, StoreError::Denied { .. }), "{user}: {error:?}");
        let error = setup.runtime.block_on(at(user).snapshot(1)).expect_err("locked");
        assert!(matches!(error, StoreError::Denied { .. }) && error.is_retryable(), "{user}: {error:?}");
        assert!(error.to_string().contains("--valkey-password-file"), "{error}");
        assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
    }
    assert_eq!(apply(&setup, &setup.store, 0).expect("the right password"), Outcome::Applied);
    let before = setup.dump();
    let mut denied = 0;
    for command in ["set", "hset", "hdel", "zadd", "zrem", "zremrangebyrank", "zremrangebyscore"] {
        let admin = setup.store.clone();
        grant(&setup, command);
        let error = apply(&setup, &at("clerk:pen@"), 1).expect_err("one permission is missing");
        let cause = std::error::Error::source(&error).expect("Valkey's answer").to_string();
        assert!(matches!(error, StoreError::Denied { denial: Denial::Permission, .. }), "{error:?}");
        assert!(cause.to_lowercase().contains(&format!("permission for {command} on ")), "{cause}");
        assert_eq!(setup.runtime.block_on(admin.dump()).expect("answers"), before, "{command}");
        denied += 1;
    }
    assert_eq!(denied, 7);
    grant(&setup, "flushall");
    assert_eq!(apply(&setup, &at("clerk:pen@"), 1).expect("may do all that is needed"), Outcome::Applied);
}

/// Lets user `clerk` do everything but one command.
fn grant(setup: &Setup, except: &str) {
    let (address, except) = (setup.valkey.address(), format!("-{except}"));
    let client = redis::Client::open(format!("redis://:secret@{address}")).expect("a server");
    let grant = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd("ACL");
        command.arg(&["SETUSER", "clerk", "reset", "on", ">pen", "~*", "+@all", &except]);
        command.exec_async(&mut connection).await
    };
    setup.runtime.block_on(grant).expect("granted");
}

fn how_full_the_server_is_can_be_asked(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    let memory = || setup.runtime.block_on(setup.store.memory()).expect("answers").expect("is told");
    assert_eq!(memory().limit, 0, "without a limit");
    setup.run(&["CONFIG", "SET", "maxmemory", "104857600"]);
    assert!(memory().limit == 104_857_600 && memory().used > 100_000, "{:?}", memory());
}
