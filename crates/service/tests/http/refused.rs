//! Requests that are refused before their body was read: what still comes of it is never taken for the next request.

use blackfriday_service::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::{LARGE_BYTES, LIMIT, Server, limits, read_all, read_some};

/// A request in the place of a body. It would be answered.
const WITHIN: &str = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
/// The one after the refused request.
const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

/// Requests that are refused from their head, with a small body.
fn refused() -> [(&'static str, String); 3] {
    let head = |line: &str| format!("{line} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", WITHIN.len());
    [("404", head("POST /nothing")), ("405", head("PUT /echo")), ("429", head("POST /refuse"))]
}

#[tokio::test]
async fn a_body_that_comes_after_the_refusal_is_not_the_next_request() {
    let server = Server::start(HttpLimits { request_timeout_ms: 10_000, ..limits() });
    for (status, head) in refused() {
        let mut stream = server.open(&head).await;
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        // The connection may be gone by now; what matters is that nothing of this is answered.
        stream.write_all(format!("{WITHIN}{NEXT}").as_bytes()).await.ok();
        let mut more = Vec::new();
        timeout(LIMIT, stream.read_to_end(&mut more)).await.expect("the server closes").ok();
        assert!(more.is_empty(), "{status}: {}", String::from_utf8_lossy(&more));
    }
}

#[tokio::test]
async fn a_body_that_came_with_its_refused_head_is_thrown_away_and_the_connection_goes_on() {
    let server = Server::start(limits());
    for (status, head) in refused() {
        let mut stream = server.open(&format!("{head}{WITHIN}")).await;
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
        stream
            .write_all(NEXT.replace("host: a", "host: a\r\nconnection: close").as_bytes())
            .await
            .expect("takes");
        let next = read_all(stream).await;
        assert_eq!(next.matches("HTTP/1.1").count(), 1, "{status}: {next}");
        assert!(next.starts_with("HTTP/1.1 404"), "{status}: {next}");
    }
}

#[tokio::test]
async fn half_of_a_small_body_ends_the_connection_with_the_refusal() {
    let server = Server::start(HttpLimits { request_timeout_ms: 10_000, ..limits() });
    for (status, head) in refused() {
        let (first, second) = WITHIN.split_at(7);
        let mut stream = server.open(&format!("{head}{first}")).await;
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        stream.write_all(format!("{second}{NEXT}").as_bytes()).await.ok();
        let mut more = Vec::new();
        timeout(LIMIT, stream.read_to_end(&mut more)).await.expect("the server closes").ok();
        assert!(more.is_empty(), "{status}: {}", String::from_utf8_lossy(&more));
    }
}

#[tokio::test]
async fn what_is_refused_from_the_head_is_not_asked_for() {
    let server = Server::start(limits());
    for (method, path, length, status) in
        [("POST", "/echo", 5000, "413"), ("POST", "/nothing", 5000, "404"), ("PUT", "/echo", 5, "405")]
    {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        let mut stream = server.open(&head).await;
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let mut stream = server.open(head).await;
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 100"));
    stream.write_all(b"right").await.expect("takes");
    assert!(read_some(&mut stream).await.ends_with("right"));
}

#[tokio::test]
async fn a_client_that_still_sends_when_it_is_refused_sees_its_answer() {
    let server = Server::start(HttpLimits { request_timeout_ms: 10_000, ..limits() });
    let length = LARGE_BYTES;
    for (path, framing, status) in [
        ("/echo", format!("content-length: {length}"), "413"),
        ("/echo", "transfer-encoding: chunked".to_owned(), "413"),
        ("/nothing", format!("content-length: {length}"), "404"),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{length:x}\r\n");
        let mut stream = server.open(&head).await;
        let sent = timeout(LIMIT, stream.write_all(&vec![b'x'; length])).await.expect("in time");
        sent.expect("the server reads on");
        let answer = read_all(stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {framing}: {answer}");
    }
}
