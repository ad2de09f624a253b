//! Where an event's idempotency key comes from: the request's header, its own member, or its batch's key.

use std::collections::HashMap;

use blackfriday_event::{FieldError, FieldErrors, IdempotencyKey, SaleDraft};
use http::HeaderMap;

use crate::json::{Member, wrong};

/// Field name of errors about the header, which is named as the client wrote it.
const HEADER: &str = "Idempotency-Key";
/// The header's value as a regular expression of ECMA-262: what begins with a quote is in quotes.
pub(crate) const HEADER_PATTERN: &str = r#"^(?:[!#-~][!-~]{0,127}|"[!-~]{1,128}")$"#;
/// The member of an event in the body.
pub(crate) const MEMBER: &str = "idempotency_key";

/// The request's one `Idempotency-Key`, bare or as the quoted string of draft-ietf-httpapi-idempotency-key-header.
pub(crate) fn of_request(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, FieldError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(FieldError::new(HEADER, "must be given once"));
    }
    let wrong = || FieldError::new(HEADER, "must be 1 to 128 visible ASCII characters, bare or in quotes");
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').ok_or_else(wrong)?,
        None => text,
    };
    IdempotencyKey::new(key).map(Some).map_err(|_| wrong())
}

/// The key next to an event in the body. Between our own hops it may be an item's of a batch, which no client can write.
pub(crate) fn of_member(member: &Member<'_>, trusted: bool) -> Result<Option<IdempotencyKey>, FieldErrors> {
    let Some(text) = member.text(MEMBER)? else { return Ok(None) };
    let key = if trusted { IdempotencyKey::from_wire(text) } else { IdempotencyKey::new(text) };
    Ok(Some(key?))
}

/// The key of a single event, by its own member or the request's header.
pub(crate) fn of_one(
    own: Option<IdempotencyKey>,
    request: Option<IdempotencyKey>,
) -> Result<Option<IdempotencyKey>, FieldErrors> {
    match (own, request) {
        (Some(own), Some(request)) if own != request => {
            Err(wrong(MEMBER, "must equal the Idempotency-Key header, where both are given"))
        }
        (own, request) => Ok(own.or(request)),
    }
}

/// The keys of a batch's items: each one's own, or one made of the batch's key, the item's content and, among equal
/// items, its number. So the batch can be repeated whole or in part, and no item is taken for another.
pub(crate) struct ItemKeys<'a> {
    batch: Option<&'a IdempotencyKey>,
    equal: HashMap<[u8; 8], u32>,
}

impl<'a> ItemKeys<'a> {
    pub(crate) fn new(batch: Option<&'a IdempotencyKey>) -> Self {
        Self { batch, equal: HashMap::new() }
    }

    /// The next item's key.
    pub(crate) fn next(&mut self, own: Option<IdempotencyKey>, draft: &SaleDraft) -> Option<IdempotencyKey> {
        let Some(batch) = self.batch.filter(|_| own.is_none()) else { return own };
        let digest = draft.digest();
        let nth = self.equal.entry(digest).or_default();
        let key = IdempotencyKey::of_item(batch, digest, *nth);
        *nth += 1;
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn key_of(value: &'static str) -> Result<Option<IdempotencyKey>, FieldError> {
        of_request(&HeaderMap::from_iter([(
            "idempotency-key".parse().expect("a name"),
            HeaderValue::from_static(value),
        )]))
    }

    #[test]
    fn a_key_may_be_bare_or_quoted() {
        let key = IdempotencyKey::new("order-17").expect("visible");
        assert_eq!(key_of("order-17"), Ok(Some(key.clone())));
        assert_eq!(key_of("\"order-17\""), Ok(Some(key)));
        let with_quotes = IdempotencyKey::new("a\"").expect("visible");
        assert_eq!(key_of("a\""), Ok(Some(with_quotes.clone())));
        assert_eq!(key_of("\"a\"\""), Ok(Some(with_quotes)));
        assert_eq!(of_request(&HeaderMap::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn any_header_is_a_key_in_visible_ascii_or_refused(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..140), "\"?[!-~]{0,129}\"?".prop_map(String::into_bytes),
        ]) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let headers = HeaderMap::from_iter([("idempotency-key".parse().expect("a name"), value)]);
            match of_request(&headers) {
                Ok(key) => prop_assert!(key.is_some_and(|key| IdempotencyKey::new(key.as_str()).is_ok())),
                Err(error) => prop_assert_eq!(&*error.field, HEADER),
            }
        }
    }

    #[test]
    fn of_two_keys_none_is_chosen() {
        let mut headers = HeaderMap::new();
        for key in ["order-17", "order-17"] {
            headers.append("idempotency-key", HeaderValue::from_static(key));
            let named = of_request(&headers).map_err(|error| error.field);
            assert!(named.is_ok() == (headers.len() == 1) && named.err().is_none_or(|name| name == HEADER));
        }
    }

    #[test]
    fn a_wrong_key_is_an_error_and_never_ignored() {
        for value in ["", "\"", "\"\"", "\"a", "a b"] {
            assert_eq!(key_of(value).expect_err(value).field, "Idempotency-Key");
        }
    }
}
