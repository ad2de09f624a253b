//! The HTTP server under hostile clients, over real sockets.

mod refused;
mod timeouts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use blackfriday_service::{
    BodyBudget, BodyLimits, HttpLimits, Kind, Problem, Shutdown, bind, http, read_body,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const LIMIT: Duration = Duration::from_secs(10);
/// More than the kernel takes for a client that does not read.
const LARGE_BYTES: usize = 16 << 20;

fn limits() -> HttpLimits {
    HttpLimits {
        max_connections: 8,
        max_in_flight: 2,
        max_body_bytes: 1024,
        header_read_timeout_ms: 300,
        idle_timeout_ms: 60_000,
        write_timeout_ms: 300,
        body_stall_timeout_ms: 300,
        request_timeout_ms: 300,
        drain_timeout_ms: 5_000,
    }
}

/// A server with a route that reads its body, one that waits for `gate`, one with a large answer, and one that panics.
struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    gate: Arc<Semaphore>,
    running: JoinHandle<()>,
}

impl Server {
    fn start(limits: HttpLimits) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let waits = Arc::clone(&gate);
        let router = Router::new()
            .route("/echo", post(echo))
            .route(
                "/wait",
                get(move || async move { waits.acquire().await.map(|_| "done").map_err(|_| "closed") }),
            )
            .route("/large", get(|| async { vec![b'x'; LARGE_BYTES] }))
            .route("/refuse", post(|| async { Problem::new(Kind::Overloaded, "on purpose").into_response() }))
            .route("/panic", get(panic_now));
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { http::serve(listener, router, &limits, None, stop).await });
        Self { address, shutdown, gate, running }
    }

    async fn open(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        stream.write_all(text.as_bytes()).await.expect("takes");
        stream
    }

    /// Sends a text and reads until the server closes.
    async fn exchange(&self, text: &str) -> String {
        read_all(self.open(text).await).await
    }
}

async fn echo(request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let limit = Duration::from_millis(300);
    let limits = BodyLimits { max_bytes: 1024, stall: limit, deadline: Instant::now() + limit };
    match read_body(&parts.headers, body, limits, &mut BodyBudget::new(1).room()).await {
        Ok(body) => body.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn panic_now() -> &'static str {
    panic!("on purpose");
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut said)).await.expect("the server closes");
    assert!(read.is_ok() || !said.is_empty(), "an answer before the end: {read:?}");
    String::from_utf8_lossy(&said).into_owned()
}

/// Reads one answer's head and the rest that came with it.
async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let read = timeout(LIMIT, stream.read(&mut buffer)).await.expect("in time").expect("an answer");
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn wrong_and_slow_requests_get_their_answer_or_are_closed() {
    let server = Server::start(limits());
    let post = |length: usize, body: &str| {
        format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    assert!(server.exchange(&post(3, "abc")).await.ends_with("abc"));
    let late = server.exchange(&post(100, "half")).await;
    assert!(late.starts_with("HTTP/1.1 408") && late.contains("urn:blackfriday:problem:late"), "{late}");
    let large = server.exchange(&post(5000, &"x".repeat(5000))).await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("1024"), "{large}");
    let endless = format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5dc\r\n{}\r\n0\r\n\r\n",
        "x".repeat(1500)
    );
    assert!(server.exchange(&endless).await.starts_with("HTTP/1.1 413"));
    let slow = timeout(LIMIT, server.exchange_slow("GET /echo HT")).await.expect("closed at the limit");
    assert!(slow.is_empty() || slow.starts_with("HTTP/1.1 4"), "{slow}");
    assert!(server.exchange(&request("/nothing")).await.starts_with("HTTP/1.1 404"));
    let method = server.exchange(&request("/echo")).await;
    assert!(method.starts_with("HTTP/1.1 405") && method.contains("application/problem+json"), "{method}");
    let defect = server.exchange(&request("/panic")).await;
    assert!(defect.starts_with("HTTP/1.1 504") && defect.contains("problem:outcome-unknown"), "{defect}");
    assert!(server.exchange(&post(2, "ok")).await.ends_with("ok"), "the server lives on");
}

impl Server {
    /// As `exchange`, for a client that may be closed without an answer.
    async fn exchange_slow(&self, text: &str) -> String {
        let mut said = Vec::new();
        // A reset is as good as an end.
        self.open(text).await.read_to_end(&mut said).await.ok();
        String::from_utf8_lossy(&said).into_owned()
    }
}

#[tokio::test]
async fn over_a_limit_the_client_is_told_when_to_come_back() {
    let server =
        Server::start(HttpLimits { request_timeout_ms: 60_000, header_read_timeout_ms: 60_000, ..limits() });
    let mut waiting = [server.open(&request("/wait")).await, server.open(&request("/wait")).await];
    let refused = loop {
        // The two may not have reached the router yet.
        let answer = server.exchange(&request("/nothing")).await;
        if !answer.starts_with("HTTP/1.1 404") {
            break answer;
        }
    };
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: 1"), "{refused}");

    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(TcpStream::connect(server.address).await.expect("connects"));
    }
    let full = server.exchange("").await;
    assert!(full.starts_with("HTTP/1.1 503") && full.contains("retry-after: 1"), "{full}");
    drop(idle);

    server.gate.add_permits(2);
    for stream in &mut waiting {
        assert!(read_some(stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_takes_no_more() {
    let server = Server::start(HttpLimits { request_timeout_ms: 60_000, ..limits() });
    let mut waiting = server.open("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    // A second one that is answered shows that the first has been read: the server takes them in order.
    let mut second = server.open("GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(read_some(&mut second).await.starts_with("HTTP/1.1 404"));
    server.shutdown.begin();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.gate.add_permits(1);
    let answer = read_some(&mut waiting).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    timeout(LIMIT, server.running).await.expect("in time").expect("the server ends");
}

#[tokio::test]
async fn who_keeps_a_connection_is_told_to_let_go_before_it_is_closed() {
    const KEPT: &str = "GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n";
    let server = Server::start(HttpLimits { header_read_timeout_ms: 60_000, ..limits() });
    let mut kept = server.open(KEPT).await;
    let answer = read_some(&mut kept).await;
    assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("connection: close"), "{answer}");
    let _idle = server.open("").await;
    server.shutdown.begin();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    kept.write_all(KEPT.as_bytes()).await.expect("takes");
    let answer = read_all(kept).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
    timeout(LIMIT, server.running).await.expect("in time").expect("the server ends");
}

#[tokio::test]
async fn a_client_that_ends_its_side_after_the_request_gets_its_answer() {
    let server = Server::start(HttpLimits { request_timeout_ms: 60_000, ..limits() });
    let mut stream = server.open("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    stream.shutdown().await.expect("half-closed");
    server.gate.add_permits(1);
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_keeps_its_place_and_then_ends_with_its_connection() {
    let server = Server::start(HttpLimits { max_in_flight: 1, write_timeout_ms: 1_000, ..limits() });
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("small");
    let mut stream = socket.connect(server.address).await.expect("connects");
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("takes");
    let first = read_some(&mut stream).await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let full = server.exchange(&request("/nothing")).await;
    assert!(full.starts_with("HTTP/1.1 429"), "while its bytes are held: {full}");
    let again = async {
        while !server.exchange(&request("/nothing")).await.starts_with("HTTP/1.1 404") {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, again).await.expect("the place is given back");
    let mut rest = Vec::new();
    let ended = timeout(LIMIT, stream.read_to_end(&mut rest)).await.expect("the connection ends");
    assert!(ended.is_err() || rest.len() < LARGE_BYTES / 2, "{} bytes", rest.len());
}

#[tokio::test]
async fn who_takes_a_large_answer_slowly_gets_all_of_it() {
    let server = Server::start(limits());
    let mut stream = server.open(&request("/large")).await;
    let mut buffer = vec![0; 256 << 10];
    let mut taken = 0;
    let began = Instant::now();
    loop {
        let read = timeout(LIMIT, stream.read(&mut buffer)).await.expect("in time").expect("no reset");
        taken += read;
        if read == 0 {
            break;
        }
        // Nothing is read for a part of the time-out, and in all for longer than it.
        let pause = Duration::from_millis(if began.elapsed() < LIMIT / 5 { 40 } else { 0 });
        timeout(pause, std::future::pending::<()>()).await.expect_err("a pause");
    }
    assert!(taken > LARGE_BYTES && began.elapsed() > Duration::from_millis(300), "{taken}");
}

#[tokio::test]
async fn a_head_is_bounded_in_bytes_and_fields() {
    let server = Server::start(limits());
    let fields = "x: y\r\n".repeat(200);
    let many = server.exchange(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    let long = server.exchange(&format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(65_536))).await;
    assert!(long.starts_with("HTTP/1.1 431"), "{long}");
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = Server::start(limits());
    for wrong in ["", "host: a\r\nhost: b\r\n", "host: a\r\nhost: a\r\n"] {
        let answer = server.exchange(&format!("GET /nothing HTTP/1.1\r\n{wrong}\r\n")).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("connection: close"),
            "{wrong}: {answer}"
        );
    }
    let old = server.exchange("GET /nothing HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 404"), "{old}");
}
