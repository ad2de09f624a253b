//! The record of the event log: an event's bytes, and back.
//!
//! Invariant: what [`encode_record`] writes [`decode_record`] reads as the same event, and a record that an older version
//! accepted stays readable when the rules for new events become stricter.

use blackfriday_event::{
    Accepted, Category, Event, EventId, FieldErrors, IdempotencyKey, Money, ProductId, Quantity, SaleDraft,
    Timestamp, WeatherDraft,
};
use prost::Message;

use crate::record;

/// The `content-type` header of every record.
pub const CONTENT_TYPE: &str = "application/x-protobuf; messageType=\"blackfriday.record.Record\"";

/// What a client sent, as a record holds it.
pub trait RecordDraft {
    /// The event of the record.
    fn to_record(&self) -> record::record::Event;
}

/// Why a record cannot be counted. It goes to the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not a `Record`.
    #[error("not a protobuf record")]
    Malformed(#[source] prost::DecodeError),
    /// The record holds no event that this version knows.
    #[error("no known event in the record")]
    NoEvent,
    /// A field is outside of its limits.
    #[error("a field of the record is wrong")]
    Invalid(#[source] FieldErrors),
}

/// The bytes of an event's record. Its `accepted_at` is the writer's clock: another time counts, once it is in the log.
pub fn encode_record<D: RecordDraft>(event: &Accepted<D>) -> Vec<u8> {
    let record = record::Record {
        id: event.id.as_bytes().to_vec(),
        written_at_ms: event.accepted_at.millis(),
        idempotency_key: event.idempotency_key.as_ref().map(ToString::to_string).unwrap_or_default(),
        event: Some(event.draft.to_record()),
    };
    record.encode_to_vec()
}

impl RecordDraft for SaleDraft {
    fn to_record(&self) -> record::record::Event {
        record::record::Event::Sale(record::Sale {
            category: u32::from(self.category as u8),
            product_id: self.product_id.as_str().to_owned(),
            price_cents: self.price.cents(),
            quantity: self.quantity.units(),
        })
    }
}

impl RecordDraft for WeatherDraft {
    fn to_record(&self) -> record::record::Event {
        let Self { description, country, weather } = self.clone();
        record::record::Event::Weather(record::Weather { description, country, weather })
    }
}

/// Reads a record back. `accepted_at` is the record's own time, which the log gave it.
///
/// # Errors
/// Anything that [`encode_record`] cannot have written. The writer's clock is no reason: it decides nothing.
pub fn decode_record(bytes: &[u8], accepted_at: Timestamp) -> Result<Event, DecodeError> {
    let record = record::Record::decode(bytes).map_err(DecodeError::Malformed)?;
    let event = record.event.ok_or(DecodeError::NoEvent)?;
    let invalid = |error| DecodeError::Invalid(FieldErrors::from(error));
    let id = EventId::from_slice(&record.id).map_err(invalid)?;
    let idempotency_key = match record.idempotency_key.as_str() {
        "" => None,
        key => Some(IdempotencyKey::from_wire(key).map_err(invalid)?),
    };
    match event {
        record::record::Event::Sale(sale) => {
            let draft = SaleDraft::from_fields(
                Category::from_number(sale.category.into()),
                ProductId::from_record(&sale.product_id),
                Money::from_cents(sale.price_cents.into()),
                Quantity::new(sale.quantity.into()),
            )
            .map_err(DecodeError::Invalid)?;
            Ok(Event::Sale(Accepted { id, accepted_at, idempotency_key, draft }))
        }
        record::record::Event::Weather(weather) => {
            let draft = WeatherDraft::from_record(&weather.description, &weather.country, &weather.weather)
                .map_err(DecodeError::Invalid)?;
            Ok(Event::Weather(Accepted { id, accepted_at, idempotency_key, draft }))
        }
    }
}

#[cfg(test)]
mod tests {
    use blackfriday_event::{Sale, WeatherReport};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sale_survives_the_log(
            category in 1_i64..=4, product in "[!-~]{1,128}", cents in 0..=Money::MAX_CENTS,
            units in 1_i64..=100_000, millis in 0..=Timestamp::MAX.millis(), key in prop::option::of("[!-~]{1,128}"),
        ) {
            let sale = Sale {
                id: EventId::new_v7(),
                accepted_at: Timestamp::from_millis(millis).expect("in range"),
                idempotency_key: key.map(|key| IdempotencyKey::new(&key).expect("visible ASCII")),
                draft: SaleDraft {
                    category: Category::from_number(category).expect("1 to 4"),
                    product_id: ProductId::new(&product).expect("visible"),
                    price: Money::from_cents(u64::from(cents)).expect("in range"),
                    quantity: Quantity::new(units).expect("in range"),
                },
            };
            prop_assert_eq!(decode_record(&encode_record(&sale), sale.accepted_at).expect("decodes"), Event::Sale(sale));
        }

        #[test]
        fn a_weather_report_survives_the_log(description in "[ -~]{0,100}", country in "[A-Z]{2}") {
            let report = WeatherReport {
                id: EventId::new_v7(),
                accepted_at: Timestamp::from_millis(1).expect("in range"),
                idempotency_key: None,
                draft: WeatherDraft::new(&description, &country, "Rainy").expect("valid"),
            };
            let decoded = decode_record(&encode_record(&report), report.accepted_at);
            prop_assert_eq!(decoded.expect("decodes"), Event::Weather(report));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _: Result<Event, DecodeError> = decode_record(&bytes, Timestamp::MAX);
        }
    }

    /// A writer whose clock is off by any amount neither decides when its events were accepted nor keeps them from being
    /// counted.
    #[test]
    fn the_logs_time_counts_and_no_writers_clock() {
        let accepted_at = Timestamp::from_millis(1_700_000_000_000).expect("in range");
        for written_at_ms in [0, 1_700_000_000_000 + 90_000_000, 1 << 48, u64::MAX] {
            let sale = record::Sale { category: 1, product_id: "P-1".into(), price_cents: 1, quantity: 1 };
            let record = record::Record {
                id: EventId::new_v7().as_bytes().to_vec(),
                written_at_ms,
                event: Some(record::record::Event::Sale(sale)),
                ..Default::default()
            };
            let event = decode_record(&record.encode_to_vec(), accepted_at).expect("decodes");
            assert!(matches!(event, Event::Sale(sale) if sale.accepted_at == accepted_at));
        }
    }

    #[test]
    fn an_items_key_survives_the_log_and_what_nobody_writes_does_not() {
        let batch_key = IdempotencyKey::new("cart-1").expect("a key");
        let of_item = IdempotencyKey::of_item(&batch_key, [7; 8], 2);
        for (text, expected) in [(of_item.as_str(), true), ("cart-1", true), ("a b", false), ("ñ", false)] {
            let weather =
                record::Weather { country: "GT".into(), weather: "Rainy".into(), ..Default::default() };
            let record = record::Record {
                id: EventId::new_v7().as_bytes().to_vec(),
                idempotency_key: text.into(),
                event: Some(record::record::Event::Weather(weather)),
                ..Default::default()
            };
            let decoded = decode_record(&record.encode_to_vec(), Timestamp::MAX);
            let key =
                decoded.ok().and_then(|event| event.idempotency_key().map(|key| key.as_str().to_owned()));
            assert_eq!(key.as_deref(), expected.then_some(text));
        }
    }

    #[test]
    fn what_was_accepted_under_an_older_rule_is_still_counted() {
        let record = record::Record {
            id: EventId::new_v7().as_bytes().to_vec(),
            event: Some(record::record::Event::Sale(record::Sale {
                category: 1,
                product_id: "\u{2764}\u{fe0f}".to_owned(),
                price_cents: 100,
                quantity: 1,
            })),
            ..Default::default()
        };
        let decoded = decode_record(&record.encode_to_vec(), Timestamp::default()).expect("counts");
        let Event::Sale(sale) = decoded else { panic!("a sale") };
        assert_eq!(sale.draft.product_id.as_str(), "\u{2764}\u{fe0f}");
        ProductId::new("\u{2764}\u{fe0f}").expect_err("but is not taken any more");
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_reason() {
        assert!(matches!(decode_record(b"not protobuf", Timestamp::MAX), Err(DecodeError::Malformed(_))));
        assert!(matches!(decode_record(b"", Timestamp::MAX), Err(DecodeError::NoEvent)));
        let empty = record::Record {
            id: EventId::new_v7().as_bytes().to_vec(),
            event: Some(record::record::Event::Sale(record::Sale::default())),
            ..Default::default()
        };
        let Err(DecodeError::Invalid(errors)) = decode_record(&empty.encode_to_vec(), Timestamp::MAX) else {
            panic!("an empty sale is invalid");
        };
        assert_eq!(errors.0.len(), 3);
    }
}
