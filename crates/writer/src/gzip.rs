//! Messages that a client compresses: gzip is inflated before the message is decoded, under the limits of one that is not.
//!
//! tonic's own codec would inflate behind the gate, where neither the budget of bytes nor the limit on sales holds.

use std::io::Read;

use flate2::bufread::GzDecoder;
use http::{HeaderMap, HeaderValue};
use prost::bytes::{BufMut, Bytes, BytesMut};
use tonic::Status;

use crate::message::PREFIX_BYTES;

const ENCODING: &str = "grpc-encoding";
const GZIP: &str = "gzip";
/// A gzip member's last bytes: a checksum, then the length of what it holds (RFC 1952).
const TRAILER_BYTES: usize = 8;

/// Whether the message, with its prefix, is to be inflated. Takes the header that says so away.
///
/// # Errors
/// It is compressed in another way; the status names those that are known (gRPC, "Compression").
pub(crate) fn is_gzip(headers: &mut HeaderMap, message: &[u8]) -> Result<bool, Status> {
    let Some(encoding) = headers.get(ENCODING).filter(|encoding| *encoding != "identity") else {
        return Ok(false);
    };
    if encoding != GZIP {
        let text = String::from_utf8_lossy(encoding.as_bytes());
        let mut status = Status::unimplemented(format!("compressed by {text:?}; gzip is understood"));
        let known = HeaderValue::from_static("identity,gzip");
        status.metadata_mut().as_mut().insert("grpc-accept-encoding", known);
        return Err(status);
    }
    headers.remove(ENCODING);
    Ok(message.first() == Some(&1))
}

/// How many bytes the message says that it holds.
///
/// # Errors
/// It is too short, or says more than `limit`.
pub(crate) fn inflated_length(message: &[u8], limit: usize) -> Result<usize, Status> {
    let trailer = message.get(PREFIX_BYTES..).and_then(<[u8]>::last_chunk::<TRAILER_BYTES>);
    let &[.., a, b, c, d] = trailer.ok_or_else(wrong)?;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > limit {
        return Err(Status::out_of_range(format!(
            "the message inflates to {length} bytes, more than {limit}"
        )));
    }
    Ok(length)
}

/// The message, with its prefix, as if it had not been compressed. No more than `length` bytes are ever held.
///
/// # Errors
/// It is not one gzip member of that length.
pub(crate) fn inflate(message: &[u8], length: usize) -> Result<Bytes, Status> {
    let mut whole = BytesMut::zeroed(PREFIX_BYTES + length);
    (&mut whole[1..PREFIX_BYTES]).put_u32(u32::try_from(length).map_err(|_| wrong())?);
    let mut decoder = GzDecoder::new(&message[PREFIX_BYTES..]);
    decoder.read_exact(&mut whole[PREFIX_BYTES..]).map_err(|_| wrong())?;
    let ended = decoder.read(&mut [0]).is_ok_and(|more| more == 0);
    if ended && decoder.get_ref().is_empty() { Ok(whole.freeze()) } else { Err(wrong()) }
}

fn wrong() -> Status {
    Status::invalid_argument("the message is not what gzip makes")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        let member = encoder.finish().expect("memory");
        [&[1], &u32::try_from(member.len()).expect("short").to_be_bytes()[..], &member].concat()
    }

    #[test]
    fn a_message_inflates_to_what_it_was() {
        for bytes in [&b""[..], b"abc", &[7; 100_000]] {
            let message = compressed(bytes);
            let length = inflated_length(&message, 100_000).expect("within the limit");
            let whole = inflate(&message, length).expect("gzip");
            let prefix = [&[0], &u32::try_from(bytes.len()).expect("short").to_be_bytes()[..]].concat();
            assert_eq!((&whole[..PREFIX_BYTES], &whole[PREFIX_BYTES..]), (&prefix[..], bytes));
        }
    }

    #[test]
    fn a_message_that_inflates_to_more_than_is_allowed_or_than_it_says_is_refused() {
        let bomb = compressed(&vec![0; 10_000_000]);
        assert!(bomb.len() < 50_000);
        let refused = inflated_length(&bomb, 100_000).expect_err("over the limit");
        assert_eq!(refused.code(), tonic::Code::OutOfRange);
        let mut liar = bomb.clone();
        let at = liar.len() - 4;
        liar[at..].copy_from_slice(&1_000_u32.to_le_bytes());
        let two = [compressed(b"ab"), compressed(b"ab")[PREFIX_BYTES..].to_vec()].concat();
        for message in [liar, two, bomb[..100].to_vec(), vec![1, 0, 0, 0, 0]] {
            let inflated = inflated_length(&message, 100_000).and_then(|length| inflate(&message, length));
            assert!(inflated.is_err(), "{} bytes", message.len());
        }
    }
}
