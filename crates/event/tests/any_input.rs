//! Whatever text or number comes: no reader panics, and what it takes keeps what its type promises.

use blackfriday_event::{Category, EventId, FieldErrors, IdempotencyKey, Money, ProductId, WeatherDraft};
use proptest::prelude::*;

/// Any text, and text of what is nearly right: long, with marks, spaces and things that cannot be seen.
fn texts() -> impl Strategy<Value = String> {
    let nearly = "[a-zñ가\u{301}\u{327}\u{1112}\u{1161}\u{958} ]{0,140}";
    let unseen = "[a-z]{0,3}[ \n\u{a0}\u{200b}\u{fe0f}\u{e0001}]?[A-Z0-9]{0,3}";
    prop_oneof![any::<String>(), nearly, unseen]
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[!-~]{0,130}", "[!-~]{1,4} ([0-9a-f]{16}|[0-9a-f]{0,17}) [0-9+]{0,11}"]
}

proptest! {
    #[test]
    fn a_product_has_one_form(text in texts()) {
        if let Ok(product) = ProductId::new(&text) {
            let taken = product.as_str();
            prop_assert!((1..=ProductId::MAX_BYTES).contains(&taken.len()) && taken.trim() == taken);
            prop_assert_eq!(ProductId::new(taken), Ok(product.clone()));
            prop_assert_eq!(ProductId::from_record(taken), Ok(product.clone()));
        }
        ProductId::from_record(&text).ok();
    }

    #[test]
    fn a_category_does_not_depend_on_the_space_around_it(text in prop_oneof![
        any::<String>(), "[ ]?[eE][lL][eéEÉ]\u{301}?[cC][tT][rR][oòÓ][nN][iíI][cC][aáÀ]", "[0-9]{1,2}",
    ]) {
        prop_assert_eq!(Category::parse(&text), Category::parse(&format!(" {text}\t")));
    }

    #[test]
    fn a_key_is_a_clients_or_an_items(text in keys()) {
        let (client, wire) = (IdempotencyKey::new(&text), IdempotencyKey::from_wire(&text));
        match (client, wire) {
            (Ok(client), wire) => prop_assert_eq!(wire, Ok(client)),
            (Err(_), Ok(item)) => prop_assert_eq!(item.as_str().matches(' ').count(), 2),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn an_identity_survives_as_text(text in prop_oneof![any::<String>(), "[0-9a-fA-F-]{30,40}", "[0-9a-f]{32}"]) {
        if let Ok(id) = text.parse::<EventId>() {
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn a_price_is_the_nearest_cent(price in prop_oneof![any::<f64>(), -1.0..10_000_001.0]) {
        match Money::from_f64(price) {
            Ok(money) => {
                prop_assert!((money.to_f64() - price).abs() < 0.005 + 1e-8);
                prop_assert_eq!(Money::from_f64(money.to_f64()), Ok(money));
            }
            Err(_) => prop_assert!(!(0.0..=1e7).contains(&price)),
        }
    }

    #[test]
    fn a_report_has_one_form_or_its_wrong_fields_named(
        description in texts(), country in texts(), weather in texts(),
    ) {
        match WeatherDraft::new(&description, &country, &weather) {
            Ok(draft) => {
                let again = WeatherDraft::new(&draft.description, &draft.country, &draft.weather);
                prop_assert_eq!(again.as_ref(), Ok(&draft));
                let back = WeatherDraft::from_record(&draft.description, &draft.country, &draft.weather);
                prop_assert_eq!(back, Ok(draft));
            }
            Err(FieldErrors(errors)) => prop_assert!((1..=3).contains(&errors.len())),
        }
    }
}
