//! The client: a fixed number of connections, each of which sends its next request when it has the answer to the last one, or
//! when its time has come.
//!
//! Requests are bytes that were made before, and of an answer only the status and the length are read: what a client costs
//! is taken from the same cores as what it measures. It runs on one thread of its own, as `wrk -t1` does, and needs
//! nothing that has to be installed.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use hdrhistogram::Histogram;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Before an answer counts as none at all.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Of each connection, of which there may be thousands.
const BUFFER_BYTES: usize = 1 << 10;
const BATCH_BUFFER_BYTES: usize = 16 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"content-length:";
const ACCEPTED: u16 = 202;

/// What is sent, and how.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) to: SocketAddr,
    /// Whole requests, sent in turn.
    pub(super) requests: Arc<[Vec<u8>]>,
    /// Sales in each.
    pub(super) sales: u64,
    pub(super) connections: usize,
    pub(super) lasts: Duration,
    /// Requests a second on all connections together, or as many as are answered.
    pub(super) rate: Option<f64>,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answered {
    /// Sales that were accepted.
    pub(super) accepted: u64,
    /// Requests that were answered otherwise.
    pub(super) refused: u64,
    pub(super) took: Duration,
    /// Microseconds from when a request was meant to be sent to its answer.
    pub(super) latencies: Histogram<u64>,
}

/// A whole request.
pub(super) fn request(path: &str, to: SocketAddr, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\n");
    format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Makes every connection, sends for as long as the plan says, and waits for every answer.
///
/// # Errors
/// A connection breaks, or an answer is not one of HTTP/1.1 with a length.
pub(super) async fn send(plan: Plan) -> Result<Answered> {
    let (tell, told) = oneshot::channel();
    let client = move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let answered = runtime.context("a runtime").and_then(|runtime| runtime.block_on(on_all(plan)));
        // Nobody waits any more where the command was stopped.
        tell.send(answered).ok();
    };
    thread::Builder::new().name("bench-client".to_owned()).spawn(client).context("a thread")?;
    told.await.map_err(|_| anyhow!("the client died"))?
}

async fn on_all(plan: Plan) -> Result<Answered> {
    // One after the other: thousands at once would wait for a place in the server's queue, and seconds for the next try.
    let mut streams = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        streams.push(connected(plan.to).await?);
    }
    let latencies = Arc::new(Mutex::new(histogram()?));
    let begin = Instant::now();
    let mut connections = JoinSet::new();
    for (at, stream) in streams.into_iter().enumerate() {
        connections.spawn(on_one(stream, plan.clone(), at, begin, Arc::clone(&latencies)));
    }
    let (mut accepted, mut refused) = (0, 0);
    while let Some(one) = connections.join_next().await {
        let (also_accepted, also_refused) = one??;
        accepted += also_accepted;
        refused += also_refused;
    }
    let took = begin.elapsed();
    let latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Answered { accepted, refused, took, latencies })
}

async fn connected(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to).await.with_context(|| format!("connect to {to}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sales that were accepted, and requests that were answered otherwise.
async fn on_one(
    stream: TcpStream,
    plan: Plan,
    at: usize,
    begin: Instant,
    latencies: Arc<Mutex<Histogram<u64>>>,
) -> Result<(u64, u64)> {
    let (mut accepted, mut refused) = (0, 0);
    let mut buffer = Vec::with_capacity(if plan.sales == 1 { BUFFER_BYTES } else { BATCH_BUFFER_BYTES });
    let mut number = at;
    loop {
        let meant = plan.meant(number, begin);
        if meant >= begin + plan.lasts {
            return Ok((accepted, refused));
        }
        sleep_until_due(meant).await;
        let request = &plan.requests[number % plan.requests.len()];
        let status = timeout(ANSWER_LIMIT, exchange(&stream, request, &mut buffer)).await;
        let status = status.context("no answer in 20 s")??;
        let late = u64::try_from(meant.elapsed().as_micros()).unwrap_or(u64::MAX);
        latencies.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late);
        match status {
            ACCEPTED => accepted += plan.sales,
            _ => refused += 1,
        }
        number += plan.connections;
    }
}

impl Plan {
    /// When this request is meant to be sent.
    fn meant(&self, number: usize, begin: Instant) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "fewer requests than 2^53")]
        let due = |rate: f64| begin + Duration::from_secs_f64(number as f64 / rate);
        self.rate.map_or_else(Instant::now, due)
    }
}

/// A timer for what is due already would cost more than it tells.
async fn sleep_until_due(meant: Instant) {
    if meant > Instant::now() {
        sleep_until(meant).await;
    }
}

pub(super) fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("a histogram")
}

/// One request and its answer's status.
pub(super) async fn exchange(stream: &TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Result<u16> {
    let mut rest = request;
    while !rest.is_empty() {
        match stream.try_write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error).context("write"),
        }
    }
    buffer.clear();
    loop {
        stream.readable().await?;
        match stream.try_read_buf(buffer) {
            Ok(0) => bail!("the connection was closed before the answer"),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error).context("read"),
        }
        if let Some((status, length)) = head(buffer)? {
            ensure!(buffer.len() <= length, "more than one answer");
            if buffer.len() == length {
                return Ok(status);
            }
        }
    }
}

/// Status and whole length of an answer whose head is there.
fn head(answer: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = answer.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        return Ok(None);
    };
    let head = &answer[..end];
    let status = head.get(9..12).and_then(number).context("an answer without a status")?;
    let mut lines = head.split(|byte| *byte == b'\n');
    let is_length =
        |line: &&[u8]| line.get(..LENGTH.len()).is_some_and(|name| name.eq_ignore_ascii_case(LENGTH));
    let length = lines.find(is_length).and_then(|line| number(&line[LENGTH.len()..]));
    let length: usize = length.context("an answer without a length")?;
    Ok(Some((status, end + HEAD_END.len() + length)))
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\ndate: x\r\n\r\n{\"estado\":";
        for cut in 0..whole.len() - 10 {
            assert_eq!(head(&whole[..cut]).expect("no error"), None, "{cut}");
        }
        let (status, length) = head(whole).expect("no error").expect("a head");
        assert_eq!((status, length), (202, whole.len() - 10 + 12));
        assert!(head(b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(head(b"HTTP/1.1\r\n\r\n").is_err());
    }

    #[test]
    fn requests_at_a_rate_are_meant_in_turn_whatever_the_connection() {
        let begin = Instant::now();
        let plan = Plan {
            to: SocketAddr::from(([127, 0, 0, 1], 9)),
            requests: Arc::new([]),
            sales: 1,
            connections: 3,
            lasts: Duration::from_secs(1),
            rate: Some(100.0),
        };
        assert_eq!(plan.meant(0, begin), begin);
        assert_eq!(plan.meant(7, begin), begin + Duration::from_millis(70));
    }
}
