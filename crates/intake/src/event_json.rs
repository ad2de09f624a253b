//! The one reader of events in JSON. Sales and weather reports differ in their own fields only ([`DraftFields`]); identity,
//! key and trace context are read next to these in the same way.
//!
//! Invariant: identity, trace context and an item's key are taken from our own hops alone; from others they are ignored or
//! refused.

use blackfriday_event::{EventId, FieldErrors, IdempotencyKey};
use blackfriday_proto::{Command, Refusal};

use crate::idempotency;
use crate::json::{Fields, Member, Object, both, read_object, wrong};

/// The fields of an event of one kind.
pub(crate) trait DraftFields<'a>: Default {
    /// What they make.
    type Draft;
    /// A field's name.
    type Name: Copy;
    /// What an object of them is called in errors.
    const WHAT: &'static str;

    /// The field that a member of this name is.
    fn name(text: &str) -> Option<Self::Name>;

    /// What it is called in errors, and where it is kept.
    fn slot(&mut self, name: Self::Name) -> (&'static str, &mut Member<'a>);

    /// The draft, or every wrong field, in the order of the fields.
    fn draft(json: &Object<EventFields<'a, Self>>) -> Result<Self::Draft, FieldErrors>;
}

/// A JSON value that should be an event.
pub(crate) type EventJson<'a, D> = Object<EventFields<'a, D>>;

/// An event's own fields, and what travels next to them.
#[derive(Debug, Default)]
pub(crate) struct EventFields<'a, D> {
    pub(crate) own: D,
    id: Member<'a>,
    idempotency_key: Member<'a>,
    traceparent: Member<'a>,
}

/// A member's name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EventName<N> {
    Own(N),
    Id,
    IdempotencyKey,
    Traceparent,
}

pub(crate) const ID: &str = "id";
pub(crate) const TRACEPARENT: &str = "traceparent";
/// What travels next to the fields.
const NEXT_TO_FIELDS: [&str; 3] = [ID, idempotency::MEMBER, TRACEPARENT];

/// Reads one event. `trusted`: whether identity, trace context and an item's key are taken, as between our own hops.
///
/// # Errors
/// Not JSON, or every wrong field.
pub(crate) fn parse_event<'a, D: DraftFields<'a>>(
    body: &'a [u8],
    key: Option<IdempotencyKey>,
    trusted: bool,
) -> Result<Command<D::Draft>, Refusal> {
    let json: EventJson<'a, D> = read_object(body)?;
    json.into_command(trusted, |own, _| idempotency::of_one(own, key))
}

impl<'a, D: DraftFields<'a>> EventJson<'a, D> {
    /// The event; `key` chooses its key, given the one next to its fields.
    pub(crate) fn into_command(
        self,
        trusted: bool,
        key: impl FnOnce(Option<IdempotencyKey>, &D::Draft) -> Result<Option<IdempotencyKey>, FieldErrors>,
    ) -> Result<Command<D::Draft>, Refusal> {
        if !self.is_object() {
            return Err(wrong("body", &format!("must be an object with {}'s fields", D::WHAT)).into());
        }
        let fields = &self.fields;
        let own = idempotency::of_member(&fields.idempotency_key, trusted);
        let (draft, own) = both(self.with_others(D::draft(&self), &NEXT_TO_FIELDS), own)?;
        let key = key(own, &draft)?;
        let mut command = Command::new(draft, key);
        if !trusted {
            return Ok(command);
        }
        // A key's identity is above any other.
        if let (Some(id), None) = (fields.id.text(ID)?, &command.idempotency_key) {
            command.id = id.parse::<EventId>().map_err(FieldErrors::from)?;
        }
        command.traceparent = fields.traceparent.text(TRACEPARENT)?.map(str::to_owned);
        Ok(command)
    }
}

impl<'a, D: DraftFields<'a>> Fields<'a> for EventFields<'a, D> {
    type Name = EventName<D::Name>;

    fn name(text: &str) -> Option<Self::Name> {
        match text {
            ID => Some(EventName::Id),
            idempotency::MEMBER => Some(EventName::IdempotencyKey),
            TRACEPARENT => Some(EventName::Traceparent),
            text => D::name(text).map(EventName::Own),
        }
    }

    fn slot(&mut self, name: Self::Name) -> (&'static str, &mut Member<'a>) {
        match name {
            EventName::Own(name) => self.own.slot(name),
            EventName::Id => (ID, &mut self.id),
            EventName::IdempotencyKey => (idempotency::MEMBER, &mut self.idempotency_key),
            EventName::Traceparent => (TRACEPARENT, &mut self.traceparent),
        }
    }
}
