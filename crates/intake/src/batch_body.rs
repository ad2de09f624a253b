//! Many sales in one body, as a JSON array or as lines.

use std::fmt;

use blackfriday_event::IdempotencyKey;
use blackfriday_proto::{ErrorCode, Refusal, SaleCommand};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::event_json::EventFields;
use crate::idempotency::ItemKeys;
use crate::json::{Reading, read_json, read_object, wrong};
use crate::sale_json::{SaleFields, SaleJson};

/// One item of a batch: a valid sale, or what is wrong with it.
pub type Item = Result<SaleCommand, Refusal>;

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
) -> Result<Vec<Item>, Refusal> {
    let items = if lines { parse_lines(body, limit)? } else { parse_array(body, limit)? };
    if items.is_empty() {
        // An empty body is not JSON, but an empty array is.
        let empty = body.trim_ascii().is_empty();
        return Err(if empty {
            Refusal::new(ErrorCode::NotJson, "the body is empty")
        } else {
            wrong("body", "must hold at least one sale").into()
        });
    }
    let mut keys = ItemKeys::new(key);
    let command = |json: Result<SaleJson<'_>, Refusal>| {
        json?.into_command(trusted, |own, draft| Ok(keys.next(own, draft)))
    };
    Ok(items.into_iter().map(command).collect())
}

fn parse_array(body: &[u8], limit: usize) -> Result<Vec<Result<SaleJson<'_>, Refusal>>, Refusal> {
    let other_json = || wrong("body", "must be an array of sales").into();
    let items = read_json(body, |reading| Items { limit, reading }, other_json)?;
    items.ok_or_else(|| too_many(limit))
}

fn parse_lines(body: &[u8], limit: usize) -> Result<Vec<Result<SaleJson<'_>, Refusal>>, Refusal> {
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
    reading: Reading<EventFields<'de, SaleFields<'de>>>,
}

impl<'de> DeserializeSeed<'de> for Items<'de> {
    type Value = Option<Vec<Result<SaleJson<'de>, Refusal>>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'de> {
    type Value = Option<Vec<Result<SaleJson<'de>, Refusal>>>;

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

fn too_many(limit: usize) -> Refusal {
    Refusal::new(ErrorCode::TooLarge, format!("a batch holds at most {limit} sales"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: &str = r#"{"categoria":1,"producto_id":"a","precio":1,"cantidad_vendida":1}"#;

    fn parse(body: &str, lines: bool) -> Result<Vec<Item>, Refusal> {
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
        assert_eq!(array[0].as_ref().expect_err("out of range").fields[0].field, "precio");
        assert!(array[1].is_ok());
        let array = parse(&format!("[{SALE},1e999,{SALE}]"), false).expect("JSON");
        assert_eq!(array.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
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

    fn keys(items: &[&str], batch: Option<&str>, trusted: bool) -> Vec<String> {
        let batch = batch.map(|key| IdempotencyKey::new(key).expect("a client's key"));
        let body = format!("[{}]", items.join(","));
        let items = parse_many(body.as_bytes(), false, batch.as_ref(), trusted, 10).expect("JSON");
        let key = |item: Item| item.expect("valid").idempotency_key.map(|key| key.as_str().to_owned());
        items.into_iter().map(|item| key(item).unwrap_or_default()).collect()
    }

    /// So that a batch may be repeated in part, and in any order: an item has the same key at every place.
    #[test]
    fn an_items_key_is_made_of_its_content_and_not_of_its_place() {
        let other = SALE.replace("\"a\"", "\"b\"");
        let whole = keys(&[SALE, &other, SALE], Some("order"), false);
        assert_eq!(keys(&[&other], Some("order"), false), whole[1..2]);
        assert_eq!(
            keys(&[&other, SALE, SALE], Some("order"), false),
            [&whole[1..2], &whole[..1], &whole[2..]].concat()
        );
        assert_eq!(keys(&[SALE], Some("order"), false), whole[..1]);
        let all: std::collections::BTreeSet<_> =
            whole.iter().chain(&keys(&[SALE], Some("order-2"), false)).cloned().collect();
        assert_eq!(all.len(), 4, "equal items are told apart, and so are batches: {whole:?}");
        assert!(keys(&[SALE, &other], None, false).iter().all(String::is_empty));
    }

    /// A client's key has no space, an item's has.
    #[test]
    fn no_client_can_write_an_items_key() {
        for key in keys(&[SALE, SALE], Some("order"), false) {
            assert!(key.contains(' ') && IdempotencyKey::new(&key).is_err());
            let with_key = SALE.replace('}', &format!(r#","idempotency_key":"{key}"}}"#));
            let outside =
                parse_many(format!("[{with_key}]").as_bytes(), false, None, false, 1).expect("JSON");
            assert_eq!(outside[0].as_ref().expect_err("from outside").fields[0].field, "idempotency_key");
            assert_eq!(keys(&[&with_key], None, true), [key]);
        }
    }

    #[test]
    fn an_items_own_key_stands_above_its_batchs() {
        let own = SALE.replace('}', r#","idempotency_key":"mine"}"#);
        let with = keys(&[&own, SALE, &own], Some("order"), false);
        assert_eq!((with[0].as_str(), with[2].as_str()), ("mine", "mine"));
        assert_eq!(with[1..2], keys(&[SALE], Some("order"), false), "it does not count among the equal ones");
        assert_eq!(keys(&[&own, SALE], None, false), ["mine", ""]);
    }
}
