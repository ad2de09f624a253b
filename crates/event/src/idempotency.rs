use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::digest::{from_hex, to_hex};
use crate::field_error::FieldError;

/// The key under which an event may be sent again and counts once.
///
/// A client's key is 1–128 visible ASCII characters. The items of a batch under one key have keys that are made from it,
/// with spaces in them: no client's key can be one of those.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// The longest key of a client, in characters.
    pub const MAX_BYTES: usize = 128;

    /// A client's key as a regular expression of ECMA-262.
    pub const PATTERN: &str = "^[!-~]{1,128}$";

    /// Checks and takes a client's key.
    ///
    /// # Errors
    /// Empty, longer than [`IdempotencyKey::MAX_BYTES`], or with a space or anything but visible ASCII.
    pub fn new(text: &str) -> Result<Self, FieldError> {
        if is_client_key(text) { Ok(Self(text.into())) } else { Err(malformed()) }
    }

    /// A key that no other event has: a new UUIDv7.
    #[must_use]
    pub fn unique() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// The key of one item of a batch that was sent under `batch_key`. It depends on what the item says and not on its
    /// place, so that a client may send only some of the items again: `item` is the draft's digest, and `nth` distinguishes equal items
    /// of the batch apart, from 0.
    #[must_use]
    pub fn of_item(batch_key: &Self, item: [u8; 8], nth: u32) -> Self {
        Self(format!("{batch_key} {} {nth}", to_hex(item)).into())
    }

    /// Takes a key from another process of the pipeline or from the log: a client's, or one of [`IdempotencyKey::of_item`].
    ///
    /// # Errors
    /// It is neither.
    pub fn from_wire(text: &str) -> Result<Self, FieldError> {
        if is_client_key(text) || is_item_key(text) { Ok(Self(text.into())) } else { Err(malformed()) }
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn is_client_key(text: &str) -> bool {
    (1..=IdempotencyKey::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Exactly what [`IdempotencyKey::of_item`] writes: one text for one item.
fn is_item_key(text: &str) -> bool {
    let mut parts = text.splitn(3, ' ');
    let (Some(batch_key), Some(item), Some(nth)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_number = nth.parse::<u32>().is_ok_and(|number| number.to_string() == nth);
    is_client_key(batch_key) && from_hex(item).is_some() && is_number
}

fn malformed() -> FieldError {
    FieldError::new("idempotency_key", "must be 1 to 128 visible ASCII characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::new(text).expect("a key")
    }

    #[test]
    fn keys_outside_of_the_limits_are_refused() {
        for text in ["", " ", "a b", "ñ", &"x".repeat(129)] {
            assert_eq!(IdempotencyKey::new(text).expect_err("bad key").field, "idempotency_key");
            assert_eq!(IdempotencyKey::from_wire(text).expect_err("bad key").field, "idempotency_key");
        }
    }

    #[test]
    fn the_expression_has_the_limits() {
        assert_eq!(IdempotencyKey::PATTERN, format!("^[!-~]{{1,{}}}$", IdempotencyKey::MAX_BYTES));
        for (byte, is_key) in [(' ', false), ('!', true), ('~', true), ('\u{7f}', false)] {
            assert_eq!(IdempotencyKey::new(&byte.to_string()).is_ok(), is_key);
        }
    }

    #[test]
    fn no_client_can_write_an_items_key_and_every_hop_reads_it() {
        let item = [0xab, 1, 2, 3, 4, 5, 6, 0xff];
        for batch_key in [key("cart-1"), key(&"x".repeat(128)), key("!")] {
            for nth in [0, 7, u32::MAX] {
                let of_item = IdempotencyKey::of_item(&batch_key, item, nth);
                assert_eq!(of_item.as_str(), format!("{batch_key} ab010203040506ff {nth}"));
                assert!(IdempotencyKey::new(of_item.as_str()).is_err(), "{of_item}");
                assert_eq!(IdempotencyKey::from_wire(of_item.as_str()), Ok(of_item));
            }
        }
        assert_eq!(IdempotencyKey::from_wire("cart-1"), Ok(key("cart-1")));
        for text in [
            "cart-1 ab010203040506ff",
            "cart-1 ab010203040506ff ",
            "cart-1 ab010203040506ff 00",
            "cart-1 ab010203040506ff +1",
            "cart-1 ab010203040506ff 4294967296",
            "cart-1 ab010203040506ff 1 2",
            "cart-1 AB010203040506FF 1",
            "cart-1 ab010203040506 1",
            "cart-1  1",
            " ab010203040506ff 1",
            &format!("{} ab010203040506ff 1", "x".repeat(129)),
        ] {
            assert!(IdempotencyKey::from_wire(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn items_are_told_apart_by_what_they_say_and_by_which_of_the_equal_ones_they_are() {
        let (one, other) = ([1; 8], [2; 8]);
        let of_item = |digest, nth| IdempotencyKey::of_item(&key("cart-1"), digest, nth);
        assert_eq!(of_item(one, 0), of_item(one, 0));
        assert_ne!(of_item(one, 0), of_item(one, 1));
        assert_ne!(of_item(one, 0), of_item(other, 0));
    }
}
