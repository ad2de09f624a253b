//! Faults that a test plants into a service to see whether the proof finds them. No release build has any.

/// A wrong that a service can be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The store applies a batch whatever its position is.
    NoPositionCheck,
    /// Now and then a sale is answered as refused that was written.
    RefusalOfWritten,
    /// A sale is acknowledged before the log has it.
    EarlyAcknowledgement,
    /// A report is told as written into RabbitMQ that was not sent there.
    OneLogForBoth,
}

/// Whether this process was told to do it.
#[cfg(debug_assertions)]
#[must_use]
pub fn is_planted(fault: Planted) -> bool {
    use std::sync::OnceLock;

    static TOLD: OnceLock<String> = OnceLock::new();
    let told = TOLD.get_or_init(|| std::env::var("BLACKFRIDAY_PLANTED_FAULT").unwrap_or_default());
    *told
        == *match fault {
            Planted::NoPositionCheck => "no-position-check",
            Planted::RefusalOfWritten => "refusal-of-written",
            Planted::EarlyAcknowledgement => "early-acknowledgement",
            Planted::OneLogForBoth => "one-log-for-both",
        }
}

/// Never.
#[cfg(not(debug_assertions))]
#[must_use]
pub const fn is_planted(_: Planted) -> bool {
    false
}
