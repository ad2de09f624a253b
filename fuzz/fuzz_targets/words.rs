//! Any text as a key, a product, a category, a digest, and any number as a price: what is taken has one form.
#![no_main]

use blackfriday_event::{Category, IdempotencyKey, Money, ProductId, digest_from_hex, digest_to_hex};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(first) = bytes.first_chunk::<8>() {
        let price = f64::from_le_bytes(*first);
        if let Ok(money) = Money::from_f64(price) {
            assert!((money.to_f64() - price).abs() <= 0.005_000_001 && money.cents() <= Money::MAX_CENTS);
            assert_eq!(Money::from_f64(money.to_f64()), Ok(money));
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = IdempotencyKey::new(text) {
        assert_eq!(key.as_str(), text);
        assert_eq!(IdempotencyKey::from_wire(text), Ok(key));
    }
    if let Ok(key) = IdempotencyKey::from_wire(text) {
        assert!(key.as_str() == text && text.is_ascii());
    }
    if let Ok(product) = ProductId::new(text) {
        assert!(!product.as_str().is_empty() && product.as_str().len() <= ProductId::MAX_BYTES);
        assert_eq!(ProductId::new(product.as_str()), Ok(product.clone()));
        assert_eq!(ProductId::from_record(product.as_str()), Ok(product));
    }
    if let Ok(category) = Category::parse(text) {
        assert_eq!(Category::parse(&format!(" {text}\t")), Ok(category));
    }
    if let Some(digest) = digest_from_hex(text) {
        assert!(digest_to_hex(digest).eq_ignore_ascii_case(text));
    }
});
