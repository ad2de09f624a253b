//! Any body: no reader panics, each names what is not JSON as that and not as a wrong field, and each reads an item in the
//! same way, whether alone, as a line or in an array.

use blackfriday_event::{FieldError, IdempotencyKey, SaleDraft};
use blackfriday_intake::{Item, encode_one, parse_many, parse_sale};
use blackfriday_proto::ErrorCode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::value::RawValue;

const SALES: [&str; 3] = [
    r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":1}"#,
    r#"{"categoria":1,"producto":"caf\u00e9","precio":1e2,"cantidad_vendida":2.0,"idempotency_key":"k"}"#,
    r#"{ "otro": [null, {"a": -0.1}], "categoria": "3", "producto_id": "ñ", "precio": 0, "cantidad_vendida": 9 }"#,
];

/// Bytes, and those of a sale in which a few are others, missing or too many.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\0123456789eE+-. \n".to_vec())];
    let edits = vec((any::<Index>(), 0..3_usize, vec(byte, 0..3)), 0..4);
    let edited = (prop::sample::select(&SALES[..]), edits).prop_map(|(right, edits)| {
        edits.into_iter().fold(right.as_bytes().to_vec(), |mut bytes, (at, gone, new)| {
            let from = at.index(bytes.len() + 1);
            let to = (from + gone).min(bytes.len());
            bytes.splice(from..to, new);
            bytes
        })
    });
    prop_oneof![1 => vec(any::<u8>(), 0..60), 6 => edited]
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(nearly(), 1..6).prop_map(|mut lines| {
        lines.iter_mut().for_each(|line| line.retain(|byte| *byte != b'\n'));
        lines.retain(|line| !line.trim_ascii().is_empty());
        lines
    })
}

/// Of escaped surrogates a reader that skips a text takes more than one that reads it.
fn has_escapes(body: &[u8]) -> bool {
    body.windows(2).any(|two| two == b"\\u")
}

fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok())
}

/// What an item is, but for its identity, which is a new one each time.
type Told = Result<(SaleDraft, Option<IdempotencyKey>), (ErrorCode, Vec<FieldError>)>;

fn told(item: Item) -> Told {
    item.map(|sale| (sale.draft, sale.idempotency_key)).map_err(|error| (error.code, error.fields))
}

fn many(body: &[u8], lines: bool, key: Option<&IdempotencyKey>) -> Result<Vec<Told>, ErrorCode> {
    let items = parse_many(body, lines, key, false, 10).map_err(|error| error.code)?;
    Ok(items.into_iter().map(told).collect())
}

proptest! {
    #[test]
    fn a_body_is_a_sale_or_wrong_or_not_json(body in nearly()) {
        match parse_sale(&body, None, false) {
            Ok(sale) => prop_assert_eq!(parse_sale(&encode_one(&sale), None, true), Ok(sale)),
            Err(error) if error.code == ErrorCode::NotJson => {
                prop_assert!(!is_json(&body) || has_escapes(&body));
            }
            Err(error) => {
                prop_assert_eq!(error.code, ErrorCode::InvalidField);
                prop_assert!(!error.fields.is_empty() && is_json(&body));
            }
        }
        // Nor does a hop's word.
        parse_sale(&body, None, true).ok();
    }

    #[test]
    fn an_item_is_read_the_same_alone_as_a_line_and_in_an_array(lines in lines()) {
        let alone: Vec<_> = lines.iter().map(|line| told(parse_sale(line, None, false))).collect();
        let as_lines = many(&lines.join(&b'\n'), true, None);
        if lines.is_empty() {
            prop_assert_eq!(as_lines, Err(ErrorCode::NotJson));
            return Ok(());
        }
        prop_assert_eq!(as_lines, Ok(alone.clone()));
        let array = [b"[", &*lines.join(&b','), b"]"].concat();
        if has_escapes(&array) {
            return Ok(());
        }
        if lines.iter().all(|line| is_json(line)) {
            prop_assert_eq!(many(&array, false, None), Ok(alone));
        } else {
            many(&array, false, None).ok();
        }
    }

    /// Also the part of a batch that is not wrong.
    #[test]
    fn a_batch_that_is_repeated_has_the_same_keys(lines in lines(), key in "[!-~]{1,128}") {
        let key = IdempotencyKey::new(&key).expect("a client's key");
        let body = lines.join(&b'\n');
        let (once, again) = (many(&body, true, Some(&key)), many(&body, true, Some(&key)));
        prop_assert_eq!(&once, &again);
        for sale in once.into_iter().flatten().flatten() {
            prop_assert!(sale.1.is_some());
        }
    }
}
