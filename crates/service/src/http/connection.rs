//! What a connection is doing, and whether that takes too long: waiting for a request, receiving a head, answering, not
//! taking its answer, or sending what is not read any more.
//!
//! hyper knows one time-out, for a head, and counts it from the moment the connection is idle. Here a connection notes what
//! it does, and its own task looks a few times per time-out, and when the time for an answer is over: one timer for a
//! connection, and none for a request.

mod kept;
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::HttpLimits;

pub(super) use self::kept::Kept;
pub(super) use self::watched::Watched;

/// A time-out has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing is under way.
    Idle,
    /// A head has begun and did not end.
    Head,
    /// The client does not take its answer.
    Answer,
    /// The client goes on sending after it was refused.
    Farewell,
    /// The time for a request's answer is over. It may have been made, and be on its way.
    Request,
}

/// What a connection does. Its parts share it.
#[derive(Debug)]
pub(super) struct Activity {
    epoch: Instant,
    /// Requests whose answers are not yet written.
    answering: AtomicU32,
    head_begun: AtomicBool,
    /// Milliseconds since the epoch at which the head began, or had come, or the last answer was written.
    since_ms: AtomicU64,
    /// The same plus one for a write that waits for the client; 0 if there is none.
    blocked_ms: AtomicU64,
    /// The same for a farewell.
    farewell_ms: AtomicU64,
    /// The last request was answered before its whole body had come, so the connection ends with the answer.
    unread: AtomicBool,
    /// The time for the last request's answer is over. It may have been made, and be on its way.
    late: AtomicBool,
    given_up: AtomicBool,
}

/// A request from its head until its answer is written.
#[derive(Debug)]
pub(super) struct Answering(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            answering: AtomicU32::new(0),
            head_begun: AtomicBool::new(false),
            since_ms: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
            farewell_ms: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            late: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        })
    }

    /// A request's head has arrived.
    pub(super) fn answering(self: &Arc<Self>, arrived: Instant) -> Answering {
        self.since_ms.store(self.ms_until(arrived), Ordering::Relaxed);
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.head_begun.store(false, Ordering::Relaxed);
        self.unread.store(false, Ordering::Relaxed);
        self.late.store(false, Ordering::Relaxed);
        Answering(Arc::clone(self))
    }

    /// Whether the time for the last request's answer is over.
    pub(super) fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// When the connection is to be looked at next, `after` some time at the latest.
    pub(super) fn next_look(&self, after: Duration, limits: &HttpLimits) -> Instant {
        let next = Instant::now() + after;
        if self.answering.load(Ordering::Relaxed) == 0 || self.is_late() {
            return next;
        }
        let since = Duration::from_millis(self.since_ms.load(Ordering::Relaxed));
        next.min(self.epoch + since + limits.answer_timeout())
    }

    /// A part of the request's body was left unread.
    pub(super) fn leave_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Whether a part of the request's body was left unread, so that the connection ends with its answer.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The connection is dropped without a farewell: what the kernel still has for the client goes, too.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Which time-out has passed; `crowded` if others want its place.
    pub(super) fn overdue(&self, limits: &HttpLimits, crowded: bool) -> Option<Overdue> {
        let now_ms = self.now_ms();
        let past =
            |since_ms: u64, limit: Duration| u128::from(now_ms.saturating_sub(since_ms)) >= limit.as_millis();
        let marked = |mark: &AtomicU64, limit| {
            let mark = mark.load(Ordering::Relaxed);
            mark > 0 && past(mark - 1, limit)
        };
        if marked(&self.farewell_ms, limits.request_timeout()) {
            return Some(Overdue::Farewell);
        }
        if marked(&self.blocked_ms, limits.write_timeout()) {
            return Some(Overdue::Answer);
        }
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        if self.answering.load(Ordering::Relaxed) > 0 {
            let late = past(since_ms, limits.answer_timeout());
            return (late && !self.late.swap(true, Ordering::Relaxed)).then_some(Overdue::Request);
        }
        if self.farewell_ms.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let head = limits.header_read_timeout();
        if self.head_begun.load(Ordering::Relaxed) {
            return past(since_ms, head).then_some(Overdue::Head);
        }
        let idle = if crowded { head.min(limits.idle_timeout()) } else { limits.idle_timeout() };
        past(since_ms, idle).then_some(Overdue::Idle)
    }

    fn now_ms(&self) -> u64 {
        self.ms_until(Instant::now())
    }

    fn ms_until(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn received(&self) {
        if self.answering.load(Ordering::Relaxed) == 0 && !self.head_begun.swap(true, Ordering::Relaxed) {
            self.since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.since_ms.store(self.0.now_ms(), Ordering::Relaxed);
        self.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BETWEEN: Duration = Duration::from_secs(3);

    /// One that was made so long ago.
    fn made(ago: Duration) -> Arc<Activity> {
        let mut activity = Arc::into_inner(Activity::new()).expect("not shared yet");
        activity.epoch -= ago;
        Arc::new(activity)
    }

    #[tokio::test]
    async fn the_end_of_an_answers_time_is_looked_at_once() {
        let limits = HttpLimits { request_timeout_ms: 1_500, ..HttpLimits::default() };
        let activity = made(BETWEEN);
        let after = |seconds| activity.epoch + Duration::from_secs(seconds);
        let is_far = || activity.next_look(BETWEEN, &limits) >= after(6);
        assert!(is_far(), "nothing is under way");
        drop(activity.answering(after(2)));
        assert!(is_far(), "it is answered");

        let in_time = activity.answering(after(2));
        assert_eq!(activity.next_look(BETWEEN, &limits), after(4));
        assert_eq!((activity.overdue(&limits, false), activity.is_late()), (None, false));
        drop(in_time);
        let late = activity.answering(after(1));
        assert_eq!((activity.overdue(&limits, false), activity.is_late()), (Some(Overdue::Request), true));
        assert_eq!(activity.overdue(&limits, false), None, "it has been said");
        assert!(is_far(), "it does not come again");

        drop(late);
        let _next = activity.answering(after(2));
        assert!(!activity.is_late());
        assert_eq!(activity.next_look(BETWEEN, &limits), after(4));
    }
}
