use std::fmt;

use blackfriday_event::{FieldErrors, IdempotencyKey};
use blackfriday_proto::{ErrorCode, SaleCommand, SaleError};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::idempotency::of_item;
use crate::json::{Reading, read_json, read_object, wrong};
use crate::sale_json::{SaleFields, SaleJson};

/// One item of a batch: a valid sale, or why it is none.
pub type Item = Result<SaleCommand, SaleError>;

/// Reads many sales, as a JSON array or as one object per line (NDJSON). A wrong item does not harm the others.
///
/// # Errors
/// Not JSON as a whole (for an array), nothing in it, or more than `limit` items.
pub fn parse_many(
    body: &[u8],
    lines: bool,
    key: Option<&IdempotencyKey>,
    trusted: bool,
    limit: usize,
) -> Result<Vec<Item>, SaleError> {
    let items = if lines { parse_lines(body, limit)? } else { parse_array(body, limit)? };
    if items.is_empty() {
        // An empty body is not JSON, but an empty array is.
        let empty = body.trim_ascii().is_empty();
        return Err(if empty {
            SaleError::new(ErrorCode::NotJson, "the body is empty")
        } else {
            wrong("body", "must hold at least one sale").into()
        });
    }
    let command = |(at, json): (usize, Result<SaleJson<'_>, SaleError>)| {
        let key = key.map(|key| of_item(key, at)).transpose().map_err(FieldErrors::from)?;
        json?.into_command(key, trusted)
    };
    Ok(items.into_iter().enumerate().map(command).collect())
}

fn parse_array(body: &[u8], limit: usize) -> Result<Vec<Result<SaleJson<'_>, SaleError>>, SaleError> {
    let other_json = || wrong("body", "must be an array of sales").into();
    let items = read_json(body, |reading| Items { limit, reading }, other_json)?;
    items.ok_or_else(|| too_many(limit))
}

fn parse_lines(body: &[u8], limit: usize) -> Result<Vec<Result<SaleJson<'_>, SaleError>>, SaleError> {
    let mut items = Vec::new();
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        if items.len() == limit {
            return Err(too_many(limit));
        }
        items.push(read_object(line));
    }
    Ok(items)
}

/// Reads an array of at most `limit` items; `None` if there are more, of which none is kept.
struct Items<'de> {
    limit: usize,
    reading: Reading<SaleFields<'de>>,
}

impl<'de> DeserializeSeed<'de> for Items<'de> {
    type Value = Option<Vec<Result<SaleJson<'de>, SaleError>>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'de> {
    type Value = Option<Vec<Result<SaleJson<'de>, SaleError>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of sales")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.limit {
            match seq.next_element_seed(self.reading)? {
                Some(item) => items.push(Ok(item)),
                None => return Ok(Some(items)),
            }
        }
        if seq.next_element::<IgnoredAny>()?.is_none() {
            return Ok(Some(items));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

fn too_many(limit: usize) -> SaleError {
    SaleError::new(ErrorCode::TooLarge, format!("a batch holds at most {limit} sales"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: &str = r#"{"categoria":1,"producto_id":"a","precio":1,"cantidad_vendida":1}"#;

    fn parse(body: &str, lines: bool) -> Result<Vec<Item>, SaleError> {
        parse_many(body.as_bytes(), lines, None, false, 3)
    }

    #[test]
    fn a_wrong_item_does_not_harm_the_others() {
        let array = parse(&format!("[{SALE},7,{SALE}]"), false).expect("JSON");
        assert_eq!(array.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        let lines = parse(&format!("{SALE}\n\nnot json\r\n{SALE}"), true).expect("lines");
        assert_eq!(lines.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(lines[1].as_ref().expect_err("not JSON").code, ErrorCode::NotJson);
        let infinite = SALE.replace("\"precio\":1", "\"precio\":-1e999");
        let array = parse(&format!("[{infinite},{SALE}]"), false).expect("JSON");
        assert_eq!(array[0].as_ref().expect_err("out of range").fields[0].0, "precio");
        assert!(array[1].is_ok());
    }

    #[test]
    fn a_batch_has_a_limit_and_is_never_empty() {
        let four = format!("[{SALE},{SALE},{SALE},{SALE}]");
        assert_eq!(parse(&four, false).expect_err("too many").code, ErrorCode::TooLarge);
        assert_eq!(parse("[1,2,3,4,", false).expect_err("cut").code, ErrorCode::NotJson);
        assert_eq!(parse(&format!("[{SALE},{SALE},{SALE}]"), false).expect("the limit").len(), 3);
        assert_eq!(
            parse(&format!("{SALE}\n").repeat(4), true).expect_err("too many").code,
            ErrorCode::TooLarge
        );
        for (body, lines) in [("", false), ("", true), ("\n", true), ("[", false), ("[1,]", false)] {
            assert_eq!(parse(body, lines).expect_err(body).code, ErrorCode::NotJson, "{body}");
        }
        for body in ["[]", "{}", "7"] {
            assert_eq!(parse(body, false).expect_err(body).code, ErrorCode::InvalidField, "{body}");
        }
    }

    #[test]
    fn each_item_has_a_key_of_its_own() {
        let key = IdempotencyKey::new("order").expect("visible");
        let items =
            parse_many(format!("[{SALE},{SALE}]").as_bytes(), false, Some(&key), false, 3).expect("JSON");
        let keys: Vec<_> = items
            .into_iter()
            .map(|item| item.expect("valid").idempotency_key.expect("a key").to_string())
            .collect();
        assert_eq!(keys, ["order/0", "order/1"]);
    }
}
