use blackfriday_event::{
    Category, EventId, FieldErrors, IdempotencyKey, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp,
    WeatherDraft, WeatherReport,
};
use prost::Message;

use crate::record;

/// The `content-type` header of every record.
pub const CONTENT_TYPE: &str = "application/x-protobuf; messageType=\"blackfriday.record.Record\"";

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A sale, in topic `ventas`.
    Sale(Sale),
    /// A weather report, in topic `clima`.
    Weather(WeatherReport),
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

/// The bytes of a sale's record.
pub fn encode_sale(sale: &Sale) -> Vec<u8> {
    let event = record::record::Event::Sale(record::Sale {
        category: u32::from(sale.draft.category as u8),
        product_id: sale.draft.product_id.as_str().to_owned(),
        price_cents: sale.draft.price.cents(),
        quantity: sale.draft.quantity.units(),
    });
    envelope(sale.id, sale.accepted_at, sale.idempotency_key.as_ref(), event)
}

/// The bytes of a weather report's record.
pub fn encode_weather(report: &WeatherReport) -> Vec<u8> {
    let draft = report.draft.clone();
    let event = record::record::Event::Weather(record::Weather {
        description: draft.description,
        country: draft.country,
        weather: draft.weather,
    });
    envelope(report.id, report.accepted_at, report.idempotency_key.as_ref(), event)
}

/// Reads a record back.
///
/// # Errors
/// Anything that [`encode_sale`] or [`encode_weather`] cannot have written.
pub fn decode_record(bytes: &[u8]) -> Result<Event, DecodeError> {
    let record = record::Record::decode(bytes).map_err(DecodeError::Malformed)?;
    let event = record.event.ok_or(DecodeError::NoEvent)?;
    let invalid = |error| DecodeError::Invalid(FieldErrors::from(error));
    let id = EventId::from_slice(&record.id).map_err(invalid)?;
    let accepted_at = Timestamp::from_millis(record.accepted_at_ms)
        .ok_or_else(|| invalid(blackfriday_event::FieldError::new("accepted_at_ms", "must be below 2^48")))?;
    let idempotency_key = match record.idempotency_key.as_str() {
        "" => None,
        key => Some(IdempotencyKey::new(key).map_err(invalid)?),
    };
    match event {
        record::record::Event::Sale(sale) => {
            let draft = SaleDraft::from_fields(
                Category::from_number(sale.category.into()),
                ProductId::new(&sale.product_id),
                Money::from_cents(sale.price_cents.into()),
                Quantity::new(sale.quantity.into()),
            )
            .map_err(DecodeError::Invalid)?;
            Ok(Event::Sale(Sale { id, accepted_at, idempotency_key, draft }))
        }
        record::record::Event::Weather(weather) => {
            let draft = WeatherDraft::new(&weather.description, &weather.country, &weather.weather)
                .map_err(DecodeError::Invalid)?;
            Ok(Event::Weather(WeatherReport { id, accepted_at, idempotency_key, draft }))
        }
    }
}

fn envelope(
    id: EventId,
    accepted_at: Timestamp,
    key: Option<&IdempotencyKey>,
    event: record::record::Event,
) -> Vec<u8> {
    let record = record::Record {
        id: id.as_bytes().to_vec(),
        accepted_at_ms: accepted_at.millis(),
        idempotency_key: key.map(|key| key.as_str().to_owned()).unwrap_or_default(),
        event: Some(event),
    };
    record.encode_to_vec()
}

#[cfg(test)]
mod tests {
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
            prop_assert_eq!(decode_record(&encode_sale(&sale)).expect("decodes"), Event::Sale(sale));
        }

        #[test]
        fn a_weather_report_survives_the_log(description in "[ -~]{0,100}", country in "[A-Z]{2}") {
            let report = WeatherReport {
                id: EventId::new_v7(),
                accepted_at: Timestamp::from_millis(1).expect("in range"),
                idempotency_key: None,
                draft: WeatherDraft::new(&description, &country, "Rainy").expect("valid"),
            };
            prop_assert_eq!(decode_record(&encode_weather(&report)).expect("decodes"), Event::Weather(report));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _: Result<Event, DecodeError> = decode_record(&bytes);
        }
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_reason() {
        assert!(matches!(decode_record(b"not protobuf"), Err(DecodeError::Malformed(_))));
        assert!(matches!(decode_record(b""), Err(DecodeError::NoEvent)));
        let empty = record::Record {
            id: EventId::new_v7().as_bytes().to_vec(),
            event: Some(record::record::Event::Sale(record::Sale::default())),
            ..Default::default()
        };
        let Err(DecodeError::Invalid(errors)) = decode_record(&empty.encode_to_vec()) else {
            panic!("an empty sale is invalid");
        };
        assert_eq!(errors.0.len(), 3);
    }
}
