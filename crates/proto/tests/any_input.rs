//! Whatever bytes come from the log or over gRPC: no reader panics, and what it takes is written as the same event again.

use blackfriday_event::{Event, EventId, Timestamp};
use blackfriday_proto::blackfriday::ProductSaleRequest;
use blackfriday_proto::record::{Record, Sale, Weather, record};
use blackfriday_proto::{SaleCommand, WeatherCommand, clima, decode_record, encode_record};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;

/// Any bytes, and those of a message in which a few are others, missing or too many.
fn nearly(right: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<Index>(), 0..3_usize, vec(any::<u8>(), 0..3)), 0..4);
    let edited = edits.prop_map(move |edits| {
        edits.into_iter().fold(right.clone(), |mut bytes, (at, gone, new)| {
            let from = at.index(bytes.len() + 1);
            let to = (from + gone).min(bytes.len());
            bytes.splice(from..to, new);
            bytes
        })
    });
    prop_oneof![1 => vec(any::<u8>(), 0..200), 4 => edited]
}

fn record_of(event: record::Event) -> Record {
    let id = EventId::new_v7().as_bytes().to_vec();
    Record { id, written_at_ms: 7, idempotency_key: "order-1".to_owned(), event: Some(event) }
}

fn records() -> impl Strategy<Value = Vec<u8>> {
    let sale = Sale { category: 1, product_id: "P-1".to_owned(), price_cents: 100, quantity: 2 };
    let weather =
        Weather { description: "ñ".to_owned(), country: "GT".to_owned(), weather: "Rainy".to_owned() };
    prop_oneof![
        nearly(record_of(record::Event::Sale(sale)).encode_to_vec()),
        nearly(record_of(record::Event::Weather(weather)).encode_to_vec()),
    ]
}

fn sales() -> impl Strategy<Value = Vec<u8>> {
    let sale = ProductSaleRequest {
        categoria: 2,
        producto_id: "P-1".to_owned(),
        precio: 9.99,
        cantidad_vendida: 1,
        id: EventId::new_v7().as_bytes().to_vec(),
        clave_idempotencia: "k".to_owned(),
        ..Default::default()
    };
    nearly(sale.encode_to_vec())
}

fn reports() -> impl Strategy<Value = Vec<u8>> {
    let report = clima::WeatherReport {
        description: "Llueve\n".to_owned(),
        country: "GT".to_owned(),
        weather: "Rainy".to_owned(),
        clave_idempotencia: "k".to_owned(),
        ..Default::default()
    };
    nearly(report.encode_to_vec())
}

proptest! {
    #[test]
    fn a_record_that_is_read_is_written_as_the_same_event(bytes in records()) {
        let read = decode_record(&bytes, Timestamp::MAX);
        let again = match &read {
            Ok(Event::Sale(sale)) => encode_record(sale),
            Ok(Event::Weather(report)) => encode_record(report),
            Err(_) => return Ok(()),
        };
        prop_assert_eq!(decode_record(&again, Timestamp::MAX).ok(), read.ok());
    }

    #[test]
    fn a_sale_that_is_taken_is_handed_on_as_the_same(bytes in sales()) {
        let Ok(request) = ProductSaleRequest::decode(&*bytes) else { return Ok(()) };
        match SaleCommand::try_from(request) {
            Ok(command) => {
                let on = ProductSaleRequest::from(command.clone()).encode_to_vec();
                let back = ProductSaleRequest::decode(&*on).expect("what was encoded");
                prop_assert_eq!(SaleCommand::try_from(back), Ok(command));
            }
            Err(errors) => prop_assert!(!errors.0.is_empty()),
        }
    }

    #[test]
    fn a_report_that_is_taken_is_handed_on_as_the_same(bytes in reports()) {
        let Ok(request) = clima::WeatherReport::decode(&*bytes) else { return Ok(()) };
        match WeatherCommand::try_from(request) {
            Ok(command) => {
                let on = clima::WeatherReport::from(command.clone()).encode_to_vec();
                let back = clima::WeatherReport::decode(&*on).expect("what was encoded");
                prop_assert_eq!(WeatherCommand::try_from(back), Ok(command));
            }
            Err(errors) => prop_assert!(!errors.0.is_empty()),
        }
    }
}
