//! The ACLs of `acl/`: each user can do what it does, and nothing else. What is granted without need is found, too.

use std::fs;
use std::path::Path;

use blackfriday_event::{Category, IdempotencyKey};
use blackfriday_stack::ValkeyKind;
use blackfriday_store::{Eviction, Store, StoreConfig, StoreError, ValkeyConfig};

use crate::setup::{CONFIG, Counted, Setup, batches, report, sale};

on_both! {
    the_consumer_may_do_exactly_what_it_does,
    who_counts_weather_may_do_exactly_that,
    the_dashboard_may_only_read_what_it_shows,
    verify_may_only_read_what_it_compares,
    who_proves_weather_alone_may_only_read_that,
    who_shows_weather_alone_may_only_read_that,
}

const EXPIRING: StoreConfig = StoreConfig { series_ttl_s: 3600, ..CONFIG };
/// Asked for where there are Sentinels only.
const BY_SENTINELS_ONLY: &str = "+role";
/// The client does not show how these were answered, only that the transaction failed.
const OF_TRANSACTIONS: [&str; 2] = ["+multi", "+exec"];
/// Nobody's business.
pub(crate) const FORBIDDEN: &[&[&str]] = &[
    &["FLUSHALL"],
    &["FLUSHDB"],
    &["CONFIG", "GET", "*"],
    &["KEYS", "*"],
    &["GET", "other"],
    &["SET", "other", "1"],
    &["DEL", "ventas:global:precio_max"],
    &["RENAME", "ventas:global:precio_max", "ventas:global:precio_min"],
    &["EVAL", "return 1", "0"],
    &["FUNCTION", "FLUSH"],
    &["FUNCTION", "LIST"],
    &["ACL", "LIST"],
    &["CLIENT", "LIST"],
    &["MONITOR"],
    &["REPLICAOF", "NO", "ONE"],
    &["SHUTDOWN", "NOSAVE"],
    &["SAVE"],
    &["PUBLISH", "channel", "text"],
    &["SUBSCRIBE", "channel"],
    &["SELECT", "1"],
];
pub(crate) const WRITES: &[&[&str]] = &[
    &["SET", "ventas:global:precio_max", "1.00"],
    &["HSET", "posicion:ventas", "0", "0"],
    &["HDEL", "posicion:ventas", "0"],
    &["ZADD", "ranking:global", "1", "P"],
    &["EXPIRE", "total_messages", "1"],
];

/// The words of an ACL: `user`, its name, and the rules.
fn acl(user: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("acl").join(user).with_extension("acl");
    let text = fs::read_to_string(file).expect("the ACL");
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    assert_eq!(words[..2], ["user", user]);
    words
}

/// Makes the user, but for one of its rules.
pub(crate) fn grant(setup: &Setup, user: &str, without: &str) {
    let words = acl(user);
    let rules = words[2..].iter().map(String::as_str).filter(|rule| *rule != without);
    let command: Vec<_> = ["ACL", "SETUSER", user, "reset", ">secret"].into_iter().chain(rules).collect();
    setup.run(&command);
}

pub(crate) fn store(setup: &Setup, user: &str) -> Store {
    let mut config = ValkeyConfig::new(setup.valkey.url()).expect("a server");
    config.access.username = Some(user.to_owned());
    config.access.password = Some("secret".parse().expect("any text"));
    Store::new(&config, &EXPIRING).expect("a store")
}

/// Everything that the consumer does, on an empty server.
pub(crate) async fn count(store: &Store) -> Result<(), StoreError> {
    store.ping().await?;
    is_told_the_policy(store).await?;
    store.partitions("ventas").await?;
    store.key_windows(&[("ventas", 0, Vec::new())]).await?;
    let key = |text: &str| Some(IdempotencyKey::new(text).expect("visible"));
    let mut sales = [sale(Category::Ropa, "P-1", 1), sale(Category::Hogar, "P-2", 2)];
    sales[0].idempotency_key = key("a");
    apply(store, 0, &sales).await?;
    apply(store, 2, &sales[1..]).await?;
    apply(store, 0, &[report("GT", 3)]).await?;
    store.stop("ventas", 0, 3, "the log ends before").await?;
    store.resume("ventas", 0, 3, 2).await.map(drop)
}

/// The store does without the answer, so a refusal shows here only.
async fn is_told_the_policy(store: &Store) -> Result<(), StoreError> {
    match store.check_server().await? {
        Eviction::Never => Ok(()),
        Eviction::NotTold => Err(StoreError::Evicts { what: "ask", policy: "not told".to_owned() }),
    }
}

pub(crate) async fn apply<E: Counted>(store: &Store, from: usize, events: &[E]) -> Result<(), StoreError> {
    store.apply(&batches(store, &[(0, from, events)]).await).await.map(drop)
}

pub(crate) async fn run_as(setup: &Setup, user: &str, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let address = setup.valkey.address();
    let client = redis::Client::open(format!("redis://{user}:secret@{address}")).expect("a server");
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
}

pub(crate) fn is_forbidden(setup: &Setup, user: &str, words: &[&str]) {
    let error = setup.runtime.block_on(run_as(setup, user, words)).expect_err("forbidden");
    assert_eq!(error.code(), Some("NOPERM"), "{user}: {words:?}: {error}");
}

/// Everything that a consumer of weather alone does, on an empty server.
pub(crate) async fn count_weather(store: &Store) -> Result<(), StoreError> {
    store.ping().await?;
    is_told_the_policy(store).await?;
    store.partitions("clima").await?;
    store.key_windows(&[("clima", 0, Vec::new())]).await?;
    let mut reports = [report("GT", 1), report("MX", 2)];
    reports[0].idempotency_key = Some(IdempotencyKey::new("a").expect("visible"));
    apply(store, 0, &reports).await?;
    apply(store, 2, &reports[1..]).await?;
    store.stop("clima", 0, 3, "the log ends before").await?;
    store.resume("clima", 0, 3, 2).await.map(drop)
}

/// A user who counts: what it does works, and each rule is needed.
fn does_exactly(kind: ValkeyKind, user: &str, count: impl AsyncFn(&Store) -> Result<(), StoreError>) {
    let setup = Setup::new(kind);
    grant(&setup, user, "");
    setup.runtime.block_on(count(&store(&setup, user))).expect("may do all that it does");
    FORBIDDEN.iter().for_each(|words| is_forbidden(&setup, user, words));
    is_forbidden(&setup, user, &["SCAN", "0"]);

    for rule in &acl(user)[5..] {
        setup.run(&["FLUSHALL"]);
        setup.run(&["FUNCTION", "FLUSH"]);
        grant(&setup, user, rule);
        match setup.runtime.block_on(count(&store(&setup, user))) {
            Ok(()) => assert_eq!(rule, BY_SENTINELS_ONLY, "granted without need"),
            Err(StoreError::Denied { .. }) => {}
            Err(StoreError::Evicts { .. }) => assert_eq!(rule, "+info"),
            Err(error) => assert!(OF_TRANSACTIONS.contains(&rule.as_str()), "{rule}: {error:?}"),
        }
    }
}

fn the_consumer_may_do_exactly_what_it_does(kind: ValkeyKind) {
    does_exactly(kind, "consumer", count);
}

fn who_counts_weather_may_do_exactly_that(kind: ValkeyKind) {
    does_exactly(kind, "clima-consumer", count_weather);
    let setup = Setup::new(kind);
    grant(&setup, "clima-consumer", "");
    for words in [
        &["GET", "ventas:global:precio_max"][..],
        &["HGETALL", "posicion:ventas"],
        &["HSET", "posicion:ventas", "0", "1"],
    ] {
        is_forbidden(&setup, "clima-consumer", words);
    }
}

/// A user who only reads: what it does works, each rule is needed, nothing is written.
fn only_reads(kind: ValkeyKind, user: &str, read: impl AsyncFn(&Store) -> Result<(), StoreError>) {
    let (setup, is_of_weather) = (Setup::new(kind), user.starts_with("clima-"));
    grant(&setup, "consumer", "");
    let counter = store(&setup, "consumer");
    let counted = if is_of_weather {
        setup.runtime.block_on(count_weather(&counter))
    } else {
        setup.runtime.block_on(count(&counter))
    };
    counted.expect("counts");
    // What only a stop and a torn append-only file leave.
    let topic = if is_of_weather { "clima" } else { "ventas" };
    setup.run(&["HSET", &format!("detenido:{topic}"), "1", "the log ends before"]);
    setup.run(&["HSET", &format!("empezado:{topic}"), "1:7", "0"]);
    grant(&setup, user, "");
    setup.runtime.block_on(read(&store(&setup, user))).expect("may read");
    FORBIDDEN.iter().chain(WRITES).for_each(|words| is_forbidden(&setup, user, words));
    is_forbidden(&setup, user, &["FCALL", "f", "0"]);
    for rule in &acl(user)[5..] {
        grant(&setup, user, rule);
        match setup.runtime.block_on(read(&store(&setup, user))) {
            Ok(()) => assert_eq!(rule, BY_SENTINELS_ONLY, "granted without need"),
            Err(StoreError::Denied { .. }) => {}
            Err(error) => assert!(OF_TRANSACTIONS.contains(&rule.as_str()), "{rule}: {error:?}"),
        }
    }
}

fn the_dashboard_may_only_read_what_it_shows(kind: ValkeyKind) {
    only_reads(kind, "dashboard", async |store| {
        store.ping().await?;
        store.snapshot(3).await.map(drop)
    });
}

fn verify_may_only_read_what_it_compares(kind: ValkeyKind) {
    only_reads(kind, "verify", async |store| {
        store.ping().await?;
        store.partitions("ventas").await?;
        store.dump().await.map(drop)
    });
}

fn who_proves_weather_alone_may_only_read_that(kind: ValkeyKind) {
    only_reads(kind, "clima-verify", async |store| {
        store.ping().await?;
        store.partitions("clima").await?;
        store.dump().await.map(drop)
    });
}

fn who_shows_weather_alone_may_only_read_that(kind: ValkeyKind) {
    only_reads(kind, "clima-dashboard", async |store| store.weather().await.map(drop));
}
