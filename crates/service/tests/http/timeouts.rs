//! Connections that do nothing for too long, and requests that nobody answers.

use std::time::Duration;

use blackfriday_service::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::{LIMIT, Server, limits, read_some};

#[tokio::test]
async fn a_route_that_does_not_answer_is_answered_for_when_its_time_is_over() {
    // Whatever the other time-outs are, which say how often a connection is looked at.
    let server = Server::start(HttpLimits {
        header_read_timeout_ms: 600_000,
        idle_timeout_ms: 600_000,
        write_timeout_ms: 600_000,
        ..limits()
    });
    let mut stream = server.open("").await;
    for _ in 0..2 {
        let began = Instant::now();
        stream.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("takes");
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("problem:outcome-unknown"), "{answer}");
        // The request time-out, and what a route may take beyond it; a connection counts whole milliseconds.
        assert!(began.elapsed() > Duration::from_millis(790), "{:?}", began.elapsed());
        stream.write_all(b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("takes");
        assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 404"), "the connection goes on");
    }
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_a_head_and_not_its_own() {
    let patient = Server::start(HttpLimits { header_read_timeout_ms: 50, ..limits() });
    let mut kept = patient.open("GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(read_some(&mut kept).await.starts_with("HTTP/1.1 404"));
    let mut byte = [0];
    timeout(Duration::from_millis(400), kept.read(&mut byte)).await.expect_err("it stays open");
    kept.write_all(b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("takes");
    assert!(read_some(&mut kept).await.starts_with("HTTP/1.1 404"));
    kept.write_all(b"GET /noth").await.expect("takes");
    assert_eq!(timeout(LIMIT, kept.read(&mut byte)).await.expect("a begun head is late").unwrap_or(0), 0);

    let brief = Server::start(HttpLimits { idle_timeout_ms: 50, ..limits() });
    let mut idle = brief.open("").await;
    assert_eq!(timeout(LIMIT, idle.read(&mut byte)).await.expect("ends").expect("in order"), 0);
    let usual = HttpLimits::default();
    assert!(usual.idle_timeout_ms > 600_000 && usual.header_read_timeout_ms <= 60_000);
}

#[tokio::test]
async fn a_head_that_begins_with_the_request_before_it_is_not_waited_for_without_an_end() {
    let server = Server::start(HttpLimits { idle_timeout_ms: 200, ..limits() });
    let mut stream = server.open("GET /nothing HTTP/1.1\r\nhost: a\r\n\r\nGET /noth").await;
    let mut rest = String::new();
    let ended = timeout(LIMIT, stream.read_to_string(&mut rest)).await.expect("the idle time-out ends it");
    ended.expect("in order");
    assert!(rest.starts_with("HTTP/1.1 404") && rest.matches("HTTP/1.1").count() == 1, "{rest}");

    // More of it makes it a head that takes too long.
    let server = Server::start(HttpLimits { header_read_timeout_ms: 100, ..limits() });
    let mut stream = server.open("GET /nothing HTTP/1.1\r\nhost: a\r\n\r\nGET /noth").await;
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 404"));
    stream.write_all(b"ing").await.expect("takes");
    let mut byte = [0];
    assert_eq!(timeout(LIMIT, stream.read(&mut byte)).await.expect("it is late").unwrap_or(0), 0);
}

#[tokio::test]
async fn idle_connections_make_room_when_most_places_are_taken() {
    let server = Server::start(HttpLimits { header_read_timeout_ms: 100, ..limits() });
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(server.open("").await);
    }
    let mut byte = [0];
    let ended = timeout(LIMIT, idle[0].read(&mut byte)).await.expect("before its own time-out");
    assert_eq!(ended.expect("in order"), 0);
}
