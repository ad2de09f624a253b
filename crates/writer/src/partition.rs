use blackfriday_event::IdempotencyKey;

/// The record's key, which decides its partition: events under one idempotency key go to one partition, where the order
/// of offsets says which came first; the others are spread.
pub(crate) fn record_key(key: Option<&IdempotencyKey>) -> Option<Vec<u8>> {
    key.map(|key| key.as_str().as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_the_records_key_and_without_one_there_is_none() {
        let key = IdempotencyKey::new("order-17").expect("visible ASCII");
        assert_eq!(record_key(Some(&key)).as_deref(), Some(b"order-17".as_slice()));
        assert_eq!(record_key(None), None);
    }
}
