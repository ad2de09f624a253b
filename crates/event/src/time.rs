use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A point in time: milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last representable time (year 10889): 48 bits, what a UUIDv7 holds. Exact in an `f64` too,
    /// so that the store's sorted sets keep it.
    pub const MAX: Self = Self((1 << 48) - 1);

    /// From milliseconds since the Unix epoch; `None` past [`Timestamp::MAX`].
    pub const fn from_millis(millis: u64) -> Option<Self> {
        if millis <= Self::MAX.0 { Some(Self(millis)) } else { None }
    }

    /// From a record's time in the log; `None` where the log has none (Kafka's -1) or it is past [`Timestamp::MAX`].
    pub fn from_log(millis: i64) -> Option<Self> {
        u64::try_from(millis).ok().and_then(Self::from_millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This time less `millis`, not before the epoch.
    #[must_use]
    pub const fn minus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }
}

impl From<SystemTime> for Timestamp {
    /// Clamped to `0 … MAX`.
    fn from(time: SystemTime) -> Self {
        let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        u64::try_from(millis).ok().and_then(Self::from_millis).unwrap_or(Self::MAX)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
