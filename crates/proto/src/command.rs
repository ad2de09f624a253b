use blackfriday_event::{Accepted, EventId, IdempotencyKey, SaleDraft, Timestamp, WeatherDraft};

/// A valid event on its way to the writer, with what travels next to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command<D> {
    /// What was sold or reported.
    pub draft: D,
    /// Its identity, given by the first hop, or derived from the idempotency key.
    pub id: EventId,
    /// The key under which a retry counts once.
    pub idempotency_key: Option<IdempotencyKey>,
    /// W3C trace context, when the event is sampled.
    pub traceparent: Option<String>,
}

/// A sale on its way to the writer.
pub type SaleCommand = Command<SaleDraft>;

/// A weather report on its way to the writer.
pub type WeatherCommand = Command<WeatherDraft>;

impl<D> Command<D> {
    /// An event at its first hop: its identity is the key's, or a new one.
    pub fn new(draft: D, idempotency_key: Option<IdempotencyKey>) -> Self {
        let id = idempotency_key.as_ref().map_or_else(EventId::new_v7, EventId::of_key);
        Self { draft, id, idempotency_key, traceparent: None }
    }

    /// The event that the log is given, at this time by the writer's clock.
    pub fn accepted(self, accepted_at: Timestamp) -> Accepted<D> {
        Accepted { id: self.id, accepted_at, idempotency_key: self.idempotency_key, draft: self.draft }
    }
}
