//! Digests by which two events are distinguished: the first 8 bytes of a SHA-256 over an unambiguous text of them.

use sha2::{Digest, Sha256};

/// The digest of a kind of event and its fields, each behind its length, so that no two lists of fields have one text.
pub(crate) fn of_fields(kind: &str, fields: &[&[u8]]) -> [u8; 8] {
    let mut sha = Sha256::new();
    for field in [kind.as_bytes()].iter().chain(fields) {
        sha.update((field.len() as u64).to_be_bytes());
        sha.update(field);
    }
    first_eight(&sha.finalize())
}

/// The first 8 bytes of a digest.
pub(crate) fn first_eight(digest: &[u8]) -> [u8; 8] {
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}

/// A digest as 16 lower-case hexadecimal digits.
pub fn to_hex(digest: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(digest))
}

/// Reads what [`to_hex`] wrote, and nothing else.
pub fn from_hex(text: &str) -> Option<[u8; 8]> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_hex = text.len() == 16 && text.bytes().all(is_digit);
    is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(u64::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sixteen_digits_and_back() {
        let digest = [0, 1, 2, 0xab, 0, 0xff, 0, 9];
        assert_eq!(to_hex(digest), "000102ab00ff0009");
        assert_eq!(from_hex("000102ab00ff0009"), Some(digest));
        for text in ["", "000102AB00FF0009", "000102ab00ff000", "000102ab00ff00091", "+00102ab00ff0009"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(of_fields("a", &[b"b", b"c"]), of_fields("a", &[b"bc", b""]));
        assert_ne!(of_fields("a", &[b"b"]), of_fields("ab", &[b""]));
    }
}
