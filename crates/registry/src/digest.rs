//! SHA-256 as OCI writes it: `sha256:` and 64 hexadecimal digits.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// The digest of what comes in pieces.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> String {
        in_words(&self.0.finalize())
    }
}

/// The digest of some bytes.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    in_words(&Sha256::digest(bytes))
}

/// The digest of what a reader gives.
///
/// # Errors
/// It cannot be read to its end.
pub fn sha256_of(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Hasher::default();
    let mut buffer = [0; 64 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hash.finish()),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Whether a text is a digest of this kind.
pub fn is_sha256(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_digit))
}

fn in_words(hash: &[u8]) -> String {
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_readers_have_the_same_digest() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
        assert!(is_sha256(empty) && !is_sha256(&empty[..70]) && !is_sha256(&empty.replace('e', "E")));
        let bytes = vec![7; 200_000];
        assert_eq!(sha256_of(&bytes[..]).expect("memory can be read"), sha256(&bytes));
    }
}
