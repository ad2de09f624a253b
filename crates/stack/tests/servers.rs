//! What users of the servers rely on. Kafka's data is looked at where there is a client for it, in `broker`.

use std::time::Duration;

use blackfriday_stack::{
    Kafka, KafkaOptions, Place, PortChoice, StackError, Valkey, ValkeyOptions, eventually, free_port,
};
use tokio::net::TcpStream;

const SHORT: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(20);

async fn accepts(address: &str) -> bool {
    TcpStream::connect(address).await.is_ok()
}

async fn get(valkey: &Valkey, key: &str) -> String {
    valkey.command(&["GET", key]).await.expect("answers")
}

async fn set(valkey: &Valkey, key: &str, value: &str) {
    assert_eq!(valkey.command(&["SET", key, value]).await.expect("answers"), "OK");
}

#[tokio::test]
async fn kafka_comes_back_on_the_same_port_after_every_kind_of_end() {
    let kafka = Kafka::start().await.expect("starts");
    let address = kafka.bootstrap().to_owned();
    assert!(accepts(&address).await);

    kafka.kill().expect("runs");
    assert!(!accepts(&address).await);
    assert!(matches!(kafka.pause(), Err(StackError::Stopped { .. })));
    kafka.restart().await.expect("starts again");
    assert!(accepts(&address).await);

    kafka.stop().await.expect("ends in time");
    assert_eq!(kafka.pid(), None);
    kafka.wipe().expect("removed");
    kafka.restart().await.expect("starts empty");
    assert_eq!(kafka.bootstrap(), address);
    drop(kafka);
    assert!(!accepts(&address).await);
}

/// However it ended, and whoever started it then.
#[tokio::test]
async fn a_server_with_a_folder_is_found_again_where_it_was() {
    let parent = tempfile::tempdir().expect("a folder");
    let place = |name: &str| Place {
        folder: Some(parent.path().join(name)),
        port: PortChoice::Only(free_port().expect("a free port")),
    };
    let (of_valkey, of_kafka) = (place("valkey"), place("kafka"));
    let options = KafkaOptions::default;

    let valkey = Valkey::start_at(&of_valkey, ValkeyOptions::default()).await.expect("starts");
    let kafka = Kafka::start_at(&of_kafka, options()).await.expect("starts");
    let (url, bootstrap) = (valkey.url().to_owned(), kafka.bootstrap().to_owned());
    set(&valkey, "kept", "1").await;
    drop((valkey, kafka));

    let valkey = Valkey::start_at(&of_valkey, ValkeyOptions::default()).await.expect("starts again");
    let kafka = Kafka::start_at(&of_kafka, options()).await.expect("its data is of its own cluster");
    assert_eq!((valkey.url(), kafka.bootstrap()), (&*url, &*bootstrap));
    assert_eq!(get(&valkey, "kept").await, "1");
}

#[tokio::test]
async fn valkey_keeps_what_it_acknowledged() {
    let valkey = Valkey::start().await.expect("starts");
    set(&valkey, "stopped", "1").await;
    valkey.restart().await.expect("starts again");
    assert_eq!(get(&valkey, "stopped").await, "1");

    set(&valkey, "killed", "2").await;
    valkey.kill().expect("runs");
    assert!(matches!(valkey.kill(), Err(StackError::Stopped { .. })));
    valkey.restart().await.expect("starts again");
    assert_eq!(get(&valkey, "killed").await, "2");

    valkey.wipe().expect("removed");
    valkey.restart().await.expect("starts empty");
    assert_eq!(valkey.command(&["DBSIZE"]).await.expect("answers"), "0");
}

#[tokio::test]
async fn valkey_can_be_rolled_back() {
    let valkey = Valkey::start().await.expect("starts");
    set(&valkey, "key", "old").await;
    valkey.on_disk().await.expect("written");
    valkey.checkpoint().expect("copied");
    set(&valkey, "key", "new").await;
    valkey.roll_back().expect("copied back");
    valkey.restart().await.expect("starts again");
    assert_eq!(get(&valkey, "key").await, "old");
}

#[tokio::test]
async fn a_paused_valkey_answers_when_it_is_resumed() {
    let valkey = Valkey::start().await.expect("starts");
    valkey.pause().expect("runs");
    let answer = tokio::time::timeout(SHORT, valkey.command(&["PING"])).await;
    assert!(answer.is_err(), "{answer:?} while paused");
    valkey.resume().expect("runs");
    eventually(LIMIT, async || valkey.command(&["PING"]).await.is_ok()).await.expect("answers again");
}

#[tokio::test]
async fn more_configuration_wins() {
    let config = vec![("appendfsync".to_owned(), "always".to_owned())];
    let valkey =
        Valkey::start_with(ValkeyOptions { config, ..ValkeyOptions::default() }).await.expect("starts");
    let value = valkey.command(&["CONFIG", "GET", "appendfsync"]).await.expect("answers");
    assert_eq!(value, "appendfsync\nalways");

    let config = vec![("requirepass".to_owned(), "secret".to_owned())];
    let guarded = Valkey::start_with(ValkeyOptions { config, ..ValkeyOptions::default() })
        .await
        .expect("is ready without the password");
    let refused = guarded.command(&["GET", "key"]).await.expect_err("no password given");
    assert_eq!(refused.to_string(), "valkey: GET key");

    let config = vec![("no-such-directive".to_owned(), "1".to_owned())];
    let error = Valkey::start_with(ValkeyOptions { config, ..ValkeyOptions::default() })
        .await
        .expect_err("a wrong directive");
    assert!(error.to_string().contains("no-such-directive"), "the log is told: {error}");
}
