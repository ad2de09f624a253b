//! The hop from gateway to relay: events as JSON, as a client writes them, and what travels next to them between our own
//! hops alone.
//!
//! What is written here is what [`parse_sale`](crate::sale_json::parse_sale), `parse_many` and `parse_weather` read back
//! from a trusted hop. Invariant: an event survives the hop unchanged.

use blackfriday_event::{EventId, SaleDraft, WeatherDraft};
use blackfriday_proto::Command;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::event_json::{ID, TRACEPARENT};
use crate::idempotency::MEMBER as IDEMPOTENCY_KEY;
use crate::sale_json::{CANTIDAD_VENDIDA, CATEGORIA, PRECIO, PRODUCTO_ID};
use crate::weather_json::{COUNTRY, DESCRIPTION, WEATHER};

/// Milliseconds that the caller still waits; set between our own hops, where gRPC has `grpc-timeout`.
pub const DEADLINE_HEADER: &str = "x-deadline-ms";

/// Who a request is from: whether its deadline, its decision about sampling, and the identity and trace context in its
/// body are obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// From anywhere: they are ignored.
    Outside,
    /// From our own hop before this one, if nobody else reaches us. It always says how long it still waits; a request
    /// that does not is from outside.
    Hop,
}

/// An event's own fields on the hop.
pub trait HopFields {
    /// Writes them as members of an object.
    ///
    /// # Errors
    /// The serializer's.
    fn write<M: SerializeMap>(&self, members: &mut M) -> Result<(), M::Error>;
}

/// One event.
struct HopEvent<'a, D>(&'a Command<D>);

/// Serializes as a UUID without an allocation.
struct IdText(EventId);

/// The body for one event.
pub fn encode_one<D: HopFields>(command: &Command<D>) -> Vec<u8> {
    serde_json::to_vec(&HopEvent(command)).expect("strings and finite numbers always serialize")
}

/// The body for many events.
pub fn encode_many<'a, D: HopFields + 'a>(commands: impl Iterator<Item = &'a Command<D>>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut body);
    serializer.collect_seq(commands.map(HopEvent)).expect("strings and finite numbers always serialize");
    body
}

impl<D: HopFields> Serialize for HopEvent<'_, D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(command) = self;
        let mut members = serializer.serialize_map(None)?;
        command.draft.write(&mut members)?;
        members.serialize_entry(ID, &IdText(command.id))?;
        if let Some(key) = &command.idempotency_key {
            members.serialize_entry(IDEMPOTENCY_KEY, key.as_str())?;
        }
        if let Some(traceparent) = &command.traceparent {
            members.serialize_entry(TRACEPARENT, traceparent)?;
        }
        members.end()
    }
}

impl HopFields for SaleDraft {
    fn write<M: SerializeMap>(&self, members: &mut M) -> Result<(), M::Error> {
        members.serialize_entry(CATEGORIA, &(self.category as u8))?;
        members.serialize_entry(PRODUCTO_ID, self.product_id.as_str())?;
        members.serialize_entry(PRECIO, &self.price.to_f64())?;
        members.serialize_entry(CANTIDAD_VENDIDA, &self.quantity.units())
    }
}

impl HopFields for WeatherDraft {
    fn write<M: SerializeMap>(&self, members: &mut M) -> Result<(), M::Error> {
        members.serialize_entry(DESCRIPTION, &self.description)?;
        members.serialize_entry(COUNTRY, &self.country)?;
        members.serialize_entry(WEATHER, &self.weather)
    }
}

impl Serialize for IdText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = uuid::Uuid::encode_buffer();
        serializer.serialize_str(self.0.as_uuid().as_hyphenated().encode_lower(&mut buffer))
    }
}

#[cfg(test)]
mod tests {
    use blackfriday_event::{Category, FieldErrors, IdempotencyKey, Money, ProductId, Quantity};
    use proptest::prelude::*;

    use super::*;
    use crate::batch_body::parse_many;
    use crate::sale_json::parse_sale;
    use crate::weather_json::parse_weather;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn sale((category, product, cents, units): (i64, String, u64, i64)) -> SaleDraft {
        SaleDraft {
            category: Category::from_number(category).expect("a category"),
            product_id: ProductId::new(&product).expect("visible"),
            price: Money::from_cents(cents).expect("within the limit"),
            quantity: Quantity::new(units).expect("within the limit"),
        }
    }

    /// As the first hop makes it, or as an item of a batch is.
    fn command<D>(draft: D, key: Option<&str>, item: bool, traced: bool) -> Command<D> {
        let key = key.map(|key| IdempotencyKey::new(key).expect("a client's key"));
        let key = key.map(|key| if item { IdempotencyKey::of_item(&key, [7; 8], 1) } else { key });
        Command { traceparent: traced.then(|| TRACE.to_owned()), ..Command::new(draft, key) }
    }

    fn keys() -> impl Strategy<Value = (Option<String>, bool, bool)> {
        (proptest::option::of("[!-~]{1,128}"), any::<bool>(), any::<bool>())
    }

    proptest! {
        #[test]
        fn a_sale_survives_the_hop(
            fields in (1_i64..=4, r#"x[a-zA-Z0-9\\"ñ é]{0,60}x"#, 0_u64..=1_000_000_000, 1_i64..=100_000),
            (key, item, traced) in keys(),
        ) {
            let sale = command(sale(fields), key.as_deref(), item, traced);
            let one = encode_one(&sale);
            prop_assert_eq!(parse_sale(&one, None, true), Ok(sale.clone()));
            let many = encode_many([&sale, &sale].into_iter());
            let back = parse_many(&many, false, None, true, 2).expect("JSON");
            prop_assert_eq!(back, [Ok(sale.clone()), Ok(sale)]);
        }

        #[test]
        fn a_weather_report_survives_the_hop(
            description in r#"[a-z\\"ñ]{0,200}"#,
            country in "[A-Zé]{1,32}",
            (key, item, traced) in keys(),
        ) {
            let draft = WeatherDraft::new(&description, &country, "Lluvioso").map_err(|FieldErrors(errors)| errors);
            let report = command(draft.expect("valid"), key.as_deref(), item, traced);
            prop_assert_eq!(parse_weather(&encode_one(&report), None, true), Ok(report));
        }
    }
}
