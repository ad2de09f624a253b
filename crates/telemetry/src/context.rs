//! W3C trace context (<https://www.w3.org/TR/trace-context/>): its text form `traceparent`, which travels in HTTP
//! headers, gRPC metadata, batch items and record headers alike, and its place in [`tracing`] spans.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The name of the header, the metadata entry and the record header.
pub const TRACEPARENT: &str = "traceparent";

/// A parsed `traceparent`: version 00, or the part of a later version that 00 defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

/// A `traceparent` that does not follow the specification, and is treated as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct MalformedTraceParent;

impl TraceParent {
    /// Whether the caller records this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags.is_sampled()
    }

    /// The trace's 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.trace_id.to_string()
    }

    /// The span's 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        self.span_id.to_string()
    }

    fn of(context: &SpanContext) -> Self {
        Self { trace_id: context.trace_id(), span_id: context.span_id(), flags: context.trace_flags() }
    }

    fn remote_context(self) -> SpanContext {
        SpanContext::new(self.trace_id, self.span_id, self.flags, true, TraceState::default())
    }
}

impl FromStr for TraceParent {
    type Err = MalformedTraceParent;

    fn from_str(text: &str) -> Result<Self, MalformedTraceParent> {
        let mut parts = text.trim().split('-');
        let mut part = |len: usize| {
            let part = parts.next().filter(|part| part.len() == len)?;
            part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(part)
        };
        let fields = (part(2), part(32), part(16), part(2));
        let (Some(version), Some(trace_id), Some(span_id), Some(flags)) = fields else {
            return Err(MalformedTraceParent);
        };
        let more = parts.next().is_some();
        if version == "ff" || (version == "00" && more) {
            return Err(MalformedTraceParent);
        }
        let trace_id = TraceId::from_hex(trace_id).map_err(|_| MalformedTraceParent)?;
        let span_id = SpanId::from_hex(span_id).map_err(|_| MalformedTraceParent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| MalformedTraceParent)?;
        if trace_id == TraceId::INVALID || span_id == SpanId::INVALID {
            return Err(MalformedTraceParent);
        }
        Ok(Self { trace_id, span_id, flags: TraceFlags::new(flags) })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags.to_u8())
    }
}

/// Whether an event that came with this `traceparent`, or without one, gets a span here.
///
/// A sampled caller decides yes, an unsampled one no; without one, or with a malformed one, [`sample_root`] decides.
/// Always no while spans go nowhere.
pub fn is_sampled(traceparent: Option<&str>) -> bool {
    let threshold = THRESHOLD.load(Ordering::Relaxed);
    threshold != OFF
        && traceparent
            .and_then(|text| text.parse().ok())
            .map_or_else(sample_root, |p: TraceParent| p.is_sampled())
}

/// The head's decision for a request without a trace context: yes for the configured share of them.
pub fn sample_root() -> bool {
    match THRESHOLD.load(Ordering::Relaxed) {
        OFF => false,
        u64::MAX => true,
        threshold => draw() < threshold,
    }
}

/// Makes `span` a child of the remote span that `traceparent` names; a malformed one leaves it a root.
pub fn set_parent(span: &Span, traceparent: &str) {
    if let Ok(parent) = traceparent.parse::<TraceParent>() {
        let context = opentelemetry::Context::new().with_remote_span_context(parent.remote_context());
        // Fails only where no exporting layer is installed, and then there is nothing to tie together.
        drop(span.set_parent(context));
    }
}

/// Links `span` to the remote span that `traceparent` names; a malformed one is ignored.
pub fn add_link(span: &Span, traceparent: &str) {
    if let Ok(link) = traceparent.parse::<TraceParent>() {
        span.add_link(link.remote_context());
    }
}

/// The `traceparent` of a span, to hand on; `None` unless the span is sampled.
pub fn traceparent_of(span: &Span) -> Option<String> {
    let context = span.context();
    let context = context.span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then(|| TraceParent::of(&context).to_string())
}

/// The `traceparent` of the current span, to hand on; `None` unless it is sampled.
pub fn current_traceparent() -> Option<String> {
    traceparent_of(&Span::current())
}

const OFF: u64 = 0;
static THRESHOLD: AtomicU64 = AtomicU64::new(OFF);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 ≤ ratio ≤ 1, and `as` saturates"
)]
pub(crate) fn set_sampling(exporting: bool, ratio: f64) {
    // At least 1, so that callers' sampled traces are still followed with a ratio of 0.
    let threshold = ((ratio * u64::MAX as f64) as u64).max(1);
    THRESHOLD.store(if exporting { threshold } else { OFF }, Ordering::Relaxed);
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) with a state per thread: a decision needs no better.
fn draw() -> u64 {
    thread_local!(static STATE: Cell<u64> = Cell::new(seed()));
    STATE.with(|state| {
        state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = state.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

fn seed() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() ^ u64::from(since.subsec_nanos()));
    nanos.rotate_left(17) ^ (THREADS.fetch_add(1, Ordering::Relaxed) << 48)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_back() {
        let parent: TraceParent = SAMPLED.parse().expect("the specification's example");
        assert!(parent.is_sampled());
        assert_eq!(parent.to_string(), SAMPLED);
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert!(!later.parse::<TraceParent>().expect("a later version").is_sampled());
    }

    #[test]
    fn what_does_not_follow_the_specification_is_refused() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(MalformedTraceParent), "{text}");
        }
    }

    #[test]
    fn nothing_is_sampled_while_spans_go_nowhere_and_then_the_caller_decides() {
        assert!(!is_sampled(Some(SAMPLED)));
        set_sampling(true, 0.0);
        assert!(is_sampled(Some(SAMPLED)));
        assert!(!is_sampled(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")));
        set_sampling(true, 1.0);
        assert!(is_sampled(None) && is_sampled(Some("nonsense")));
        set_sampling(true, 0.25);
        let sampled = (0..100_000).filter(|_| sample_root()).count();
        assert!((23_000..27_000).contains(&sampled), "a quarter of 100000, not {sampled}");
    }
}
