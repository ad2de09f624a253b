use crate::id::EventId;
use crate::idempotency::IdempotencyKey;
use crate::sale::SaleDraft;
use crate::time::Timestamp;
use crate::weather::WeatherDraft;

/// An accepted event, as it is stored in the event log: what a client sent, and what it counts by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<D> {
    /// Its identity.
    pub id: EventId,
    /// When the event log took it, by the log's own clock. Before it is written: by the writer's.
    pub accepted_at: Timestamp,
    /// The key under which a retry counts once.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What was sold or reported.
    pub draft: D,
}

/// An accepted sale.
pub type Sale = Accepted<SaleDraft>;

/// An accepted weather report.
pub type WeatherReport = Accepted<WeatherDraft>;

/// What a record of the event log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A sale, in topic `ventas`.
    Sale(Sale),
    /// A weather report, in topic `clima`.
    Weather(WeatherReport),
}

impl Sale {
    /// Price times units, in cents; at most 10¹⁴.
    pub fn revenue_cents(&self) -> u64 {
        u64::from(self.draft.price.cents()) * u64::from(self.draft.quantity.units())
    }
}

impl Event {
    /// Its identity.
    pub fn id(&self) -> EventId {
        match self {
            Self::Sale(sale) => sale.id,
            Self::Weather(report) => report.id,
        }
    }

    /// The key under which it counts once.
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        match self {
            Self::Sale(sale) => sale.idempotency_key.as_ref(),
            Self::Weather(report) => report.idempotency_key.as_ref(),
        }
    }

    /// When the log took it.
    pub fn accepted_at(&self) -> Timestamp {
        match self {
            Self::Sale(sale) => sale.accepted_at,
            Self::Weather(report) => report.accepted_at,
        }
    }

    /// What tells it from another event under the same key.
    pub fn digest(&self) -> [u8; 8] {
        match self {
            Self::Sale(sale) => sale.draft.digest(),
            Self::Weather(report) => report.draft.digest(),
        }
    }
}
