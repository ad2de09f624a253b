//! What a proxy does to connections, with a server that sends back what it gets, and with a real Valkey.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use blackfriday_stack::{Proxy, Valkey, Wire, eventually, request_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

/// A server that sends everything back, and a proxy before it.
struct Bench {
    proxy: Proxy,
    /// What the server got, connection by connection.
    taken: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Bench {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let proxy = Proxy::to(listener.local_addr().expect("bound")).await.expect("a free port");
        let (note, taken) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream, note.clone()));
            }
        });
        Self { proxy, taken }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.proxy.address()).await.expect("accepts")
    }

    /// A connection that has carried something.
    async fn connected(&self) -> TcpStream {
        let mut client = self.connect().await;
        assert_eq!(ask(&mut client, "ping").await, "ping");
        client
    }
}

async fn echo(mut stream: TcpStream, note: mpsc::UnboundedSender<Vec<u8>>) {
    let (mut taken, mut buffer) = (Vec::new(), vec![0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        taken.extend(&buffer[..read]);
        if stream.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    // The test may be over.
    note.send(taken).ok();
}

async fn ask(client: &mut TcpStream, text: &str) -> String {
    client.write_all(text.as_bytes()).await.expect("sent");
    answer(client, text.len()).await
}

async fn answer(client: &mut TcpStream, length: usize) -> String {
    let mut answer = vec![0; length];
    timeout(LIMIT, client.read_exact(&mut answer)).await.expect("in time").expect("an answer");
    String::from_utf8(answer).expect("what was sent")
}

/// Waits for the end of a connection, and says which.
async fn end(client: &mut TcpStream) -> Option<ErrorKind> {
    let mut rest = Vec::new();
    let read = timeout(LIMIT, client.read_to_end(&mut rest)).await.expect("in time");
    assert!(rest.is_empty(), "{rest:?}");
    read.err().map(|error| error.kind())
}

async fn is_silent(client: &mut TcpStream) -> bool {
    timeout(SHORT, client.read_u8()).await.is_err()
}

#[tokio::test]
async fn what_passes_arrives_whole_and_ends_in_order() {
    let mut bench = Bench::start().await;
    let client = bench.connect().await;
    let text: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let (mut from, mut to) = client.into_split();
    let sent = async {
        to.write_all(&text).await.expect("sent");
        to.shutdown().await.expect("ended");
    };
    let mut back = Vec::new();
    let (read, ()) = tokio::join!(from.read_to_end(&mut back), sent);
    read.expect("in order");
    assert!(back == text && bench.taken.recv().await.expect("taken") == text);
}

#[tokio::test]
async fn a_cut_breaks_what_there_is_and_lets_new_connections_through() {
    let bench = Bench::start().await;
    let mut clients = [bench.connected().await, bench.connected().await];
    bench.proxy.cut();
    for client in &mut clients {
        assert_eq!(end(client).await, Some(ErrorKind::ConnectionReset));
    }
    bench.connected().await;
}

#[tokio::test]
async fn who_is_refused_finds_nobody_and_who_is_connected_goes_on() {
    let bench = Bench::start().await;
    let mut client = bench.connected().await;
    bench.proxy.refuse().await;
    let refused = TcpStream::connect(bench.proxy.address()).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(ask(&mut client, "still here").await, "still here");
    bench.proxy.accept().await.expect("its port is free");
    bench.connected().await;
}

#[tokio::test]
async fn of_a_stalled_line_neither_side_learns_anything_until_it_flows() {
    let mut bench = Bench::start().await;
    let [mut early, leaving] = [bench.connected().await, bench.connected().await];
    bench.proxy.stall();
    let mut late = bench.connect().await;
    for client in [&mut early, &mut late] {
        client.write_all(b"hello").await.expect("taken");
        assert!(is_silent(client).await);
    }
    drop(leaving);
    assert!(timeout(SHORT, bench.taken.recv()).await.is_err(), "the server was told that a client left");
    bench.proxy.flow();
    assert_eq!(bench.taken.recv().await.expect("told"), b"ping");
    for client in [&mut early, &mut late] {
        assert_eq!(answer(client, 5).await, "hello");
    }
}

#[tokio::test]
async fn a_stalled_line_can_be_cut() {
    let bench = Bench::start().await;
    let mut client = bench.connected().await;
    bench.proxy.stall();
    bench.proxy.cut();
    assert_eq!(end(&mut client).await, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn what_is_delayed_comes_later_and_what_is_healed_does_not() {
    let bench = Bench::start().await;
    let mut client = bench.connected().await;
    bench.proxy.delay(SHORT, 2 * SHORT);
    let began = Instant::now();
    assert_eq!(ask(&mut client, "late").await, "late");
    assert!(began.elapsed() >= 3 * SHORT, "{:?}", began.elapsed());
    bench.proxy.delay(Duration::from_secs(3600), Duration::ZERO);
    client.write_all(b"under way").await.expect("taken");
    assert!(is_silent(&mut client).await);
    bench.proxy.heal().await.expect("it listens");
    assert_eq!(answer(&mut client, 9).await, "under way");
}

#[tokio::test]
async fn a_throttled_line_carries_so_much_a_second() {
    let bench = Bench::start().await;
    let mut client = bench.connected().await;
    bench.proxy.throttle(NonZeroU32::new(40_000).expect("not zero"));
    let began = Instant::now();
    let text = "x".repeat(10_000);
    assert_eq!(ask(&mut client, &text).await, text);
    assert!(began.elapsed() >= Duration::from_millis(180), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_under_way_is_bounded() {
    let bench = Bench::start().await;
    let mut client = bench.connected().await;
    bench.proxy.delay(Duration::from_secs(3600), Duration::ZERO);
    let mut taken = 0;
    while let Ok(wrote) = timeout(SHORT, client.write(&[0; 65_536])).await {
        taken += wrote.expect("taken");
        // Besides the proxy's mebibyte, what the system's own buffers hold.
        assert!(taken < 64 << 20, "{taken} bytes are under way");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_the_answer_to_a_request_that_arrived() {
    let mut bench = Bench::start().await;
    bench.proxy.cut_answers_to(1, request_with("secret"));
    let mut client = bench.connected().await;
    client.write_all(b"a secret").await.expect("sent");
    assert_eq!(end(&mut client).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(bench.taken.recv().await.expect("told"), b"pinga secret");
    assert_eq!(bench.proxy.answers_cut(), 1);
    // It was armed for one.
    let mut client = bench.connected().await;
    assert_eq!(ask(&mut client, "a secret").await, "a secret");

    bench.proxy.cut_answers(2);
    for _ in 0..2 {
        client = bench.connect().await;
        client.write_all(b"any").await.expect("sent");
        assert_eq!(end(&mut client).await, Some(ErrorKind::ConnectionReset));
    }
    bench.connected().await;
}

#[tokio::test]
async fn of_a_pipeline_only_the_answer_that_was_meant_is_cut() {
    let valkey = Valkey::start().await.expect("starts");
    let proxy = Proxy::speaking(Wire::Valkey, valkey.address()).await.expect("a free port");
    proxy.cut_answers_to(1, request_with("INCR"));
    let mut client = TcpStream::connect(proxy.address()).await.expect("accepts");
    client.write_all(b"PING\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*1\r\n$4\r\nPING\r\n").await.expect("sent");
    assert_eq!(answer(&mut client, 7).await, "+PONG\r\n");
    assert_eq!(end(&mut client).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(valkey.command(&["GET", "n"]).await.expect("answers"), "1");
}

#[tokio::test]
async fn a_target_that_is_not_there_breaks_the_connection() {
    let bench = Bench::start().await;
    let before = Proxy::to(bench.proxy.address()).await.expect("a free port");
    bench.proxy.refuse().await;
    let mut client = TcpStream::connect(before.address()).await.expect("accepts");
    assert_eq!(end(&mut client).await, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn nothing_is_left_of_a_proxy_that_was_dropped() {
    let bench = Bench::start().await;
    let (mut client, address) = (bench.connected().await, bench.proxy.address());
    drop(bench.proxy);
    assert_eq!(end(&mut client).await, Some(ErrorKind::ConnectionReset));
    let refused = async || TcpStream::connect(address).await.is_err();
    eventually(LIMIT, refused).await.expect("its port is closed");
}
