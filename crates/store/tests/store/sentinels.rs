//! The primary by Sentinels: found by any that knows it, left when it no longer is the primary.

use std::time::Duration;

use blackfriday_event::Category;
use blackfriday_stack::{
    Sentinel, SentinelOptions, Valkey, ValkeyGroup, ValkeyGroupOptions, ValkeyKind, ValkeyOptions,
    eventually, free_port,
};
use blackfriday_store::{Outcome, Store, StoreError, ValkeyConfig};

use crate::setup::{CONFIG, batch, sale};

on_both! {
    ; async
    a_failover_is_followed,
    a_server_that_was_demoted_is_not_written_to_and_not_read_from_for_long,
    sentinels_may_want_a_password_of_their_own,
}

const LIMIT: Duration = Duration::from_secs(60);

/// Sentinels by these addresses.
fn config(addresses: &[String]) -> ValkeyConfig {
    let url = format!("valkey+sentinel://{}/blackfriday/0", addresses.join(","));
    ValkeyConfig::new(&url).expect("a list of Sentinels")
}

async fn apply(store: &Store, from: usize) -> Result<Outcome, StoreError> {
    let sales = [sale(Category::Ropa, "P-1", 7 + from as u128)];
    store.apply(&[batch(store, from, &sales)]).await.map(|mut outcomes| outcomes.remove(0))
}

async fn a_failover_is_followed(kind: ValkeyKind) {
    let down_after = Duration::from_secs(1);
    let options = ValkeyGroupOptions { kind, down_after, sentinels: 1, ..ValkeyGroupOptions::default() };
    let group = ValkeyGroup::start_with(options).await.expect("a group");
    let ([primary, replica], [sentinel]) = (group.servers(), group.sentinels()) else {
        panic!("one was asked for")
    };
    let other = SentinelOptions { name: "other".to_owned(), ..SentinelOptions::default() };
    let ignorant = Sentinel::start(primary, &other).await.expect("a Sentinel");
    let away = format!("127.0.0.1:{}", free_port().expect("a port"));
    let named = sentinel.address().replace("127.0.0.1", "localhost");
    let store = Store::new(&config(&[away, ignorant.address(), named]), &CONFIG).expect("a store");

    assert_eq!(apply(&store, 0).await.expect("an empty store"), Outcome::Applied);
    store.ping().await.expect("the primary");
    let copied = async || replica.command(&["HGET", "posicion:ventas", "0"]).await.expect("answers") == "1";
    eventually(LIMIT, copied).await.expect("replicated");
    let replicas = async || store.replication().await.expect("answers").expect("a primary tells").replicas;
    let in_step = async || {
        let of = store.replication().await.expect("answers").expect("a primary tells");
        (of.replicas, of.behind) == (1, 0)
    };
    eventually(LIMIT, in_step).await.expect("the replica confirms everything");
    primary.kill().expect("runs");
    let mut applied = None;
    let again = async || match apply(&store, 1).await {
        Ok(outcome) => {
            applied = Some(outcome);
            true
        }
        Err(error) => {
            assert!(error.is_retryable(), "{error:?}");
            false
        }
    };
    eventually(LIMIT, again).await.expect("the replica takes over");
    assert_eq!(applied, Some(Outcome::Applied));
    assert_eq!(sentinel.primary().await.expect("answers"), replica.address());
    assert_eq!(replica.command(&["GET", "reportes:total:Ropa"]).await.expect("answers"), "2");
    assert_eq!(replicas().await, 0, "the new primary is alone");
}

/// The Sentinel alone cannot elect another, so it goes on naming a server that was demoted.
async fn a_server_that_was_demoted_is_not_written_to_and_not_read_from_for_long(kind: ValkeyKind) {
    let valkey =
        Valkey::start_with(ValkeyOptions { kind, ..ValkeyOptions::default() }).await.expect("Valkey");
    let sentinel = Sentinel::start(&valkey, &SentinelOptions::default()).await.expect("a Sentinel");
    let store = Store::new(&config(&[sentinel.address()]), &CONFIG).expect("a store");
    let reader = Store::new(&config(&[sentinel.address()]), &CONFIG).expect("a store");
    assert_eq!(apply(&store, 0).await.expect("an empty store"), Outcome::Applied);
    reader.snapshot(1).await.expect("the counters");

    valkey.command(&["REPLICAOF", "127.0.0.1", "1"]).await.expect("demoted");
    // What broke the connection, if the demotion did, is found by one call.
    drop(apply(&store, 1).await);
    for error in
        [apply(&store, 1).await.expect_err("no primary"), reader.ping().await.expect_err("no primary")]
    {
        assert!(matches!(error, StoreError::Away { .. }), "{error:?}");
    }
    let error = reader.snapshot(1).await.expect_err("no primary");
    let cause = std::error::Error::source(&error).expect("why").to_string();
    assert!(cause.contains("no primary \"blackfriday\" by 127.0.0.1:"), "{cause}");

    valkey.command(&["REPLICAOF", "NO", "ONE"]).await.expect("promoted");
    assert_eq!(apply(&store, 1).await.expect("the primary"), Outcome::Applied);
    reader.ping().await.expect("the primary");
}

async fn sentinels_may_want_a_password_of_their_own(kind: ValkeyKind) {
    let valkey =
        Valkey::start_with(ValkeyOptions { kind, ..ValkeyOptions::default() }).await.expect("Valkey");
    let locked = vec![("requirepass".to_owned(), "watch".to_owned())];
    let options = SentinelOptions { config: locked, ..SentinelOptions::default() };
    let sentinel = Sentinel::start(&valkey, &options).await.expect("a Sentinel");
    let mut config = config(&[sentinel.address()]);
    for password in [None, Some("wrong")] {
        config.access.sentinel_password = password.map(|text| text.parse().expect("any text"));
        let store = Store::new(&config, &CONFIG).expect("a store");
        let error = apply(&store, 0).await.expect_err("locked");
        assert!(matches!(error, StoreError::Denied { .. }) && error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains("--valkey-sentinel-password-file"), "{error}");
    }
    config.access.sentinel_password = Some("watch".parse().expect("any text"));
    let store = Store::new(&config, &CONFIG).expect("a store");
    assert_eq!(apply(&store, 0).await.expect("the right password"), Outcome::Applied);
}
