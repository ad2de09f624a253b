use blackfriday_event::{FieldError, IdempotencyKey};
use http::HeaderMap;

/// Field name of errors about the header, which is named as the client wrote it.
const HEADER: &str = "Idempotency-Key";

/// The request's one `Idempotency-Key`, bare or as the quoted string of draft-ietf-httpapi-idempotency-key-header.
pub(crate) fn of_request(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, FieldError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(FieldError::new(HEADER, "must be given once"));
    }
    let wrong = || FieldError::new(HEADER, "must be 1 to 128 visible ASCII characters, bare or in quotes");
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    IdempotencyKey::new(quoted.unwrap_or(text)).map(Some).map_err(|_| wrong())
}

/// The key of one item of a batch: the request's key with the item's place.
pub(crate) fn of_item(key: &IdempotencyKey, at: usize) -> Result<IdempotencyKey, FieldError> {
    let wrong =
        |_| FieldError::new(HEADER, "leaves no room for the item's number: use at most 120 characters");
    IdempotencyKey::new(&format!("{key}/{at}")).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
        assert_eq!(key_of("\"order-17\""), Ok(Some(key.clone())));
        assert_eq!(of_item(&key, 3).expect("room").as_str(), "order-17/3");
        assert_eq!(of_request(&HeaderMap::new()), Ok(None));
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
        for value in ["", "\"\"", "a b"] {
            assert_eq!(key_of(value).expect_err(value).field, "Idempotency-Key");
        }
    }
}
