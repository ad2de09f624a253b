//! A page that is kept open: the dashboard's stream of events, read as a browser reads it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const OPEN_LIMIT: Duration = Duration::from_secs(20);
/// Counters change all the while, and are told several times a second.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);
/// Before the name of an event, and the name of one that has all counters.
const EVENT: &[u8] = b"event:";
const SUMMARY: &[u8] = b"resumen";

/// A stream that is read; it ends when this is dropped.
pub(super) struct Page {
    seen: Arc<Mutex<Seen>>,
    _reading: JoinSet<()>,
}

/// What a page was told.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    summaries: u64,
    longest_silence: Duration,
    last: Instant,
    /// The server has ended the stream.
    is_over: bool,
}

impl Page {
    pub(super) async fn open(dashboard: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(dashboard).await.context("connect")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .uri("/events")
            .header(header::HOST, dashboard.to_string())
            .header(header::ACCEPT, "text/event-stream")
            .body(Empty::<Bytes>::new())?;
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            connection.await.ok();
        });
        let response = timeout(OPEN_LIMIT, sender.send_request(request)).await.context("no answer")??;
        ensure!(response.status() == StatusCode::OK, "the dashboard answers {}", response.status());
        let seen = Arc::new(Mutex::new(Seen::begun()));
        reading.spawn(read(response.into_body(), Arc::clone(&seen)));
        Ok(Self { seen, _reading: reading })
    }

    /// What it has seen until now.
    pub(super) fn close(self) -> Seen {
        let mut seen = locked(&self.seen).clone();
        seen.note_silence();
        seen
    }
}

impl Seen {
    fn begun() -> Self {
        Self { summaries: 0, longest_silence: Duration::ZERO, last: Instant::now(), is_over: false }
    }

    fn note_silence(&mut self) {
        self.longest_silence = self.longest_silence.max(self.last.elapsed());
    }

    fn note_line(&mut self, line: &[u8]) {
        if line.strip_prefix(EVENT).is_some_and(|name| name.trim_ascii() == SUMMARY) {
            self.note_silence();
            self.last = Instant::now();
            self.summaries += 1;
        }
    }

    /// What a page must not see.
    pub(super) fn faults(&self) -> Vec<String> {
        let silence = self.longest_silence.as_secs_f64();
        let is_silent = self.longest_silence > SILENCE_LIMIT;
        let faults = [
            (self.is_over, "the server ended the stream".to_owned()),
            (self.summaries == 0, "it was never told the counters".to_owned()),
            (is_silent, format!("it was told no counters for {silence:.1} s")),
        ];
        faults.into_iter().filter(|(is_fault, _)| *is_fault).map(|(_, what)| what).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let millis = u64::try_from(self.longest_silence.as_millis()).unwrap_or(u64::MAX);
        json!({"summaries": self.summaries, "longest_silence_ms": millis, "faults": self.faults()})
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { summaries, longest_silence, .. } = self;
        write!(
            f,
            "{summaries} times told the counters, {:.1} s between two at the most",
            longest_silence.as_secs_f64()
        )
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(mut body: Incoming, seen: Arc<Mutex<Seen>>) {
    let mut rest = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        rest.extend_from_slice(&data);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            locked(&seen).note_line(&rest[..end]);
            rest.drain(..=end);
        }
    }
    locked(&seen).is_over = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_with_counters_break_a_silence() {
        let mut seen = Seen::begun();
        assert_eq!(seen.faults(), ["it was never told the counters"]);
        for line in [&b"event: latido"[..], b"data: {\"event: resumen\":1}", b"", b"event: resumen"] {
            seen.note_line(line);
        }
        assert!(seen.summaries == 1 && seen.faults().is_empty(), "{seen:?}");
        let late = Seen { longest_silence: SILENCE_LIMIT * 2, is_over: true, ..seen };
        assert_eq!(late.faults().len(), 2);
    }
}
