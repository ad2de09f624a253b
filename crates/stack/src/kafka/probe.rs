//! Asks a broker for its cluster's metadata, over plain TCP and by hand, so that `stack` needs no Kafka client.
//!
//! An open port is not enough: the broker accepts connections before the controller has let it serve. Once it
//! lists itself under our cluster id, topics can be made and records written.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Metadata, version 4, the newest without tagged fields or topic ids that has the cluster id (since 2).
const METADATA: [u8; 4] = [0, 3, 0, 4];
const CORRELATION_ID: [u8; 4] = *b"bfry";
/// No client id (-1), no topics (an empty array), no automatic creation of topics.
const BODY: [u8; 7] = [0xff, 0xff, 0, 0, 0, 0, 0];
const LONGEST_ANSWER: usize = 64 * 1024;

/// Whether the broker at that port belongs to the cluster and lists at least itself.
pub(super) async fn serves(port: u16, cluster_id: &str) -> bool {
    match ask(port, METADATA, &BODY).await {
        Ok(answer) => lists_broker(&answer, port, cluster_id).unwrap_or(false),
        Err(_) => false,
    }
}

/// The answer to a request of this kind and version, from its correlation id on.
pub(super) async fn ask(port: u16, kind: [u8; 4], body: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = [&kind[..], &CORRELATION_ID, body].concat();
    let length = u32::try_from(request.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &request].concat()).await?;
    let length = usize::try_from(stream.read_u32().await?).map_err(io::Error::other)?;
    if length > LONGEST_ANSWER {
        return Err(io::Error::other("not a broker"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// `correlation_id throttle_time_ms [node_id host port rack] cluster_id …`; `None` if it is cut short.
fn lists_broker(answer: &[u8], port: u16, cluster_id: &str) -> Option<bool> {
    let mut rest = answer.strip_prefix(&CORRELATION_ID)?;
    take(&mut rest, 4)?;
    let mut listed = false;
    for _ in 0..int(&mut rest)? {
        take(&mut rest, 4)?;
        string(&mut rest)?;
        listed |= int(&mut rest)? == i32::from(port);
        string(&mut rest)?;
    }
    Some(listed && string(&mut rest)? == cluster_id.as_bytes())
}

pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

pub(super) fn int(rest: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

/// A string; null (length -1) counts as empty.
pub(super) fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = i16::from_be_bytes(take(rest, 2)?.try_into().ok()?);
    take(rest, usize::try_from(length).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(brokers: u8) -> Vec<u8> {
        let mut bytes = [&CORRELATION_ID[..], &[0; 4], &[0, 0, 0, brokers]].concat();
        for _ in 0..brokers {
            bytes.extend([0, 0, 0, 1, 0, 1, b'h', 0, 0, 0x23, 0x84, 0xff, 0xff]);
        }
        bytes.extend([0, 2, b'i', b'd', 0, 0, 0, 1]);
        bytes
    }

    #[test]
    fn a_broker_that_lists_itself_serves() {
        assert_eq!(lists_broker(&answer(1), 9092, "id"), Some(true));
    }

    #[test]
    fn a_fenced_broker_and_a_stranger_do_not_serve() {
        assert_eq!(lists_broker(&answer(0), 9092, "id"), Some(false));
        assert_eq!(lists_broker(&answer(1), 9093, "id"), Some(false));
        assert_eq!(lists_broker(&answer(1), 9092, "other"), Some(false));
    }

    #[test]
    fn a_short_answer_is_no_answer() {
        let whole = answer(1);
        for length in 0..whole.len() - 4 {
            assert_eq!(lists_broker(&whole[..length], 9092, "id"), None, "{length} bytes");
        }
    }
}
