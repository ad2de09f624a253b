//! What users of RabbitMQ rely on. Its streams are looked at where there is a client for them, in `broker`.

use std::path::PathBuf;
use std::time::Duration;

use blackfriday_stack::{Alarm, Authority, RabbitMq, RabbitMqOptions, RabbitMqUser, StackError, eventually};
use openssl::ssl::{SslConnector, SslFiletype, SslMethod};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(60);
const STREAMS: &[&str] = &["list_queues", "name"];

async fn accepts(address: &str) -> bool {
    TcpStream::connect(address).await.is_ok()
}

/// The lines of a table that `rabbitmqctl` prints.
async fn listed(rabbitmq: &RabbitMq, words: &[&str]) -> Vec<String> {
    let table = rabbitmq.rabbitmqctl(&[words, &["--no-table-headers"]].concat()).await.expect("is executed");
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn it_comes_back_on_the_same_ports_with_its_streams() {
    let rabbitmq = RabbitMq::start().await.expect("starts");
    let addresses = [rabbitmq.address(), rabbitmq.amqp_address(), rabbitmq.metrics_address()];
    rabbitmq.make_stream("kept").await.expect("is made");
    rabbitmq.settle().await.expect("is executed");

    rabbitmq.kill().expect("runs");
    assert!(!accepts(&addresses[0]).await);
    assert!(matches!(rabbitmq.pause(), Err(StackError::Stopped { .. })));
    assert!(matches!(rabbitmq.rabbitmqctl(&["status"]).await, Err(StackError::Stopped { .. })));
    rabbitmq.restart().await.expect("starts again");
    assert_eq!(listed(&rabbitmq, STREAMS).await, ["kept"]);

    assert_eq!([rabbitmq.address(), rabbitmq.amqp_address(), rabbitmq.metrics_address()], addresses);
    for address in &addresses {
        assert!(accepts(address).await, "{address}");
    }
    // Its leader may not be elected yet when the listeners are open.
    let deleted = eventually(LIMIT, async || rabbitmq.delete_stream("kept").await.is_ok()).await;
    deleted.expect("it is served again");
    let error = rabbitmq.delete_stream("kept").await.expect_err("is not there any more");
    assert!(matches!(error, StackError::Refused { .. }), "{error}");
    rabbitmq.make_stream("kept").await.expect("is made again");
}

#[tokio::test]
async fn it_can_be_rolled_back() {
    let rabbitmq = RabbitMq::start().await.expect("starts");
    rabbitmq.make_stream("kept").await.expect("is made");
    rabbitmq.stop().await.expect("ends in time");
    assert_eq!(rabbitmq.pid(), None);
    rabbitmq.checkpoint().expect("copied");
    rabbitmq.wipe().expect("removed");
    rabbitmq.roll_back().expect("copied back");
    rabbitmq.restart().await.expect("starts from the copy");
    assert_eq!(listed(&rabbitmq, STREAMS).await, ["kept"]);
}

/// What the disk's does to publishers is looked at in `broker`.
#[tokio::test]
async fn publishers_are_blocked_by_alarms() {
    let rabbitmq = RabbitMq::start().await.expect("starts");
    let alarms = async || rabbitmq.rabbitmqctl(&["eval", "rabbit_alarm:get_alarms()."]).await.expect("told");
    rabbitmq.raise(Alarm::Memory).await.expect("is executed");
    assert_eq!(alarms().await, "[{{resource_limit,memory,rabbit@localhost},[]}]");
    rabbitmq.clear(Alarm::Memory).await.expect("is executed");
    assert_eq!(alarms().await, "[]");
}

#[tokio::test]
async fn users_have_the_rights_that_they_were_given() {
    let user = RabbitMqUser {
        name: "writer".to_owned(),
        password: "secret".to_owned(),
        write: "^ventas-".to_owned(),
        ..RabbitMqUser::default()
    };
    let options = RabbitMqOptions { users: vec![user], ..RabbitMqOptions::default() };
    let rabbitmq = RabbitMq::start_with(options).await.expect("starts");
    for (name, password) in [("guest", "guest"), ("writer", "secret")] {
        rabbitmq.rabbitmqctl(&["authenticate_user", name, password]).await.expect("known");
    }
    rabbitmq.rabbitmqctl(&["authenticate_user", "writer", "guest"]).await.expect_err("the wrong password");
    let mut rights = listed(&rabbitmq, &["list_permissions"]).await;
    rights.sort();
    assert_eq!(rights, ["guest .* .* .*", "writer ^ventas-"]);
}

/// A connection over TLS and what became of it; the last word of TLS 1.3's handshake is the server's first byte, or its alert.
async fn over_tls(address: String, ca: PathBuf, certificate: Option<(PathBuf, PathBuf)>) -> bool {
    let connect = move || {
        let mut builder = SslConnector::builder(SslMethod::tls()).expect("a connector");
        builder.set_ca_file(ca).expect("an authority");
        if let Some((certificate, key)) = certificate {
            builder.set_certificate_file(certificate, SslFiletype::PEM).expect("a certificate");
            builder.set_private_key_file(key, SslFiletype::PEM).expect("a key");
        }
        let stream = std::net::TcpStream::connect(address).expect("accepts");
        stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
        let Ok(mut tls) = builder.build().connect("127.0.0.1", stream) else { return false };
        // A stream server says nothing before its client does: silence is good, an alert is not.
        let read = tls.ssl_read(&mut [0]);
        read.expect_err("nothing was asked")
            .io_error()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    tokio::task::spawn_blocking(connect).await.expect("no panic")
}

#[tokio::test]
async fn streams_are_served_over_tls_to_who_shows_a_certificate() {
    let authority = Authority::new().expect("made");
    let (server, client) =
        (authority.issue("rabbitmq").expect("issued"), authority.issue("client").expect("issued"));
    let options =
        RabbitMqOptions { tls: Some(server), wants_certificates: true, ..RabbitMqOptions::default() };
    let rabbitmq = RabbitMq::start_with(options).await.expect("starts");
    let address = rabbitmq.tls_address().expect("TLS");
    assert!(over_tls(address.clone(), authority.ca(), Some((client.certificate, client.key))).await, "known");
    assert!(!over_tls(address, authority.ca(), None).await, "nobody");
}

#[tokio::test]
async fn a_wrong_line_is_told() {
    let config = [("no_such_line".to_owned(), "1".to_owned())].into();
    let options = RabbitMqOptions { config, ..RabbitMqOptions::default() };
    let error = RabbitMq::start_with(options).await.expect_err("a wrong line");
    assert!(error.to_string().contains("set unknown variable: no_such_line"), "{error}");
}
