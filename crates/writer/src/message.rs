//! Reads the message of a unary call before it is decoded, because decoding is where memory grows: two bytes on the wire
//! can become a sale of over a hundred.

use std::cmp::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use prost::bytes::{Bytes, BytesMut};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;

use crate::answers::CallRoom;

/// A compression flag and a length (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(crate) const PREFIX_BYTES: usize = 5;

/// Reads the one message of a call, with its prefix. Room is taken as its bytes arrive.
///
/// # Errors
/// It has more than `limit` bytes, is not whole, or is not the only one; no byte of it came for as long as `stall`; there is
/// no room for it.
pub(crate) async fn read(
    mut body: Body,
    limit: usize,
    stall: Duration,
    room: &CallRoom,
) -> Result<Bytes, Status> {
    let (mut whole, mut held_bytes) = (BytesMut::new(), 0);
    loop {
        let announced = announced(&whole);
        if let Some(length) = announced.filter(|length| *length > limit) {
            return Err(Status::out_of_range(format!("the message has {length} bytes, more than {limit}")));
        }
        let most = announced.map(|length| PREFIX_BYTES + length);
        match most.map(|most| whole.len().cmp(&most)) {
            Some(Ordering::Equal) => return Ok(whole.freeze()),
            Some(Ordering::Greater) => return Err(Status::invalid_argument("a call has one message")),
            Some(Ordering::Less) | None => {}
        }
        let data = data(&mut body, stall).await?;
        let length = whole.len() + data.len();
        if length > held_bytes {
            let grown = length.max((2 * held_bytes).min(most.unwrap_or(length)));
            room.take(grown - held_bytes)?;
            whole.reserve(grown - whole.len());
            held_bytes = grown;
        }
        whole.extend_from_slice(&data);
    }
}

/// How many values of field 1 a message, with its prefix, has; a compressed one is left to the codec.
///
/// # Errors
/// It is no protobuf, or has a group, which proto3 does not know.
pub(crate) fn count_field_1(message: &[u8]) -> Result<usize, Status> {
    let Some((&[compressed, ..], mut fields)) = message.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(0);
    };
    let mut count = 0;
    while compressed == 0 && !fields.is_empty() {
        let field_1 = skip_field(&mut fields).ok_or_else(|| Status::invalid_argument("not protobuf"))?;
        count += usize::from(field_1);
    }
    Ok(count)
}

/// The next bytes, at least one.
async fn data(body: &mut Body, stall: Duration) -> Result<Bytes, Status> {
    let next = async {
        loop {
            let broken = || Status::invalid_argument("the message breaks off");
            let frame = body.frame().await.ok_or_else(broken)??;
            if let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) {
                return Ok(data);
            }
        }
    };
    let stalled = |_elapsed| Status::resource_exhausted("the message stalled; nothing was written");
    timeout(stall, next).await.map_err(stalled)?
}

fn announced(whole: &[u8]) -> Option<usize> {
    let (&[_, a, b, c, d], _) = whole.split_first_chunk::<PREFIX_BYTES>()?;
    usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()
}

/// Steps over one field and says whether its number is 1.
fn skip_field(fields: &mut &[u8]) -> Option<bool> {
    // A key, like a length, is a variable-length integer.
    let key = prost::decode_length_delimiter(&mut *fields).ok()?;
    let length = match key & 7 {
        0 => fields.iter().position(|byte| byte & 0x80 == 0)? + 1,
        1 => 8,
        2 => prost::decode_length_delimiter(&mut *fields).ok()?,
        5 => 4,
        _ => return None,
    };
    *fields = fields.get(length..)?;
    Some(key >> 3 == 1)
}

#[cfg(test)]
mod tests {
    use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest};
    use blackfriday_service::BodyBudget;
    use futures_util::StreamExt;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use prost::Message;

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        [&[0], &length[..], message].concat()
    }

    #[test]
    fn sales_are_counted_without_being_built() {
        let full = ProductSaleRequest {
            categoria: 1,
            producto_id: "x".repeat(200),
            precio: 9.99,
            cantidad_vendida: -1,
            id: vec![7; 16],
            ..ProductSaleRequest::default()
        };
        for count in [0, 1, 300] {
            for sale in [&full, &ProductSaleRequest::default()] {
                let batch = ProductSaleBatchRequest { ventas: vec![sale.clone(); count] };
                let counted = count_field_1(&framed(&batch.encode_to_vec())).expect("protobuf");
                assert_eq!(counted, count);
            }
        }
        // Fields of later versions: 2 as a varint, 3 as 64 bits, 4 as 32 bits, 17 as bytes.
        let unknown = b"\x10\xff\x01\x19abcdefgh\x25abcd\x8a\x01\x02ab\x0a\x00";
        assert_eq!(count_field_1(&framed(unknown)).expect("protobuf"), 1);
    }

    #[test]
    fn what_hides_sales_from_the_count_is_refused() {
        for message in [&b"\x13\x0a\x00\x14"[..], b"\x0a\x05ab", b"\x0a", b"\x10\xff", b"\x09abc", b"\xff"] {
            assert!(count_field_1(&framed(message)).is_err(), "{message:?}");
        }
    }

    fn body(frames: impl IntoIterator<Item = Vec<u8>>) -> Body {
        let frames: Vec<_> =
            frames.into_iter().map(|bytes| Ok::<_, Status>(Frame::data(Bytes::from(bytes)))).collect();
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_message_is_refused_by_its_announced_length() {
        let read = async |bytes: Vec<u8>| {
            let room = CallRoom::new(BodyBudget::new(1).room());
            read(body([bytes]), 3, Duration::from_secs(5), &room).await
        };
        let whole = read(framed(b"abc")).await.expect("fits");
        assert_eq!(whole, framed(b"abc"));
        let announced = vec![0, 0, 0, 0, 4];
        for (bytes, code) in [
            (announced, tonic::Code::OutOfRange),
            (framed(b"ab")[..6].to_vec(), tonic::Code::InvalidArgument),
            ([framed(b"ab"), framed(b"ab")].concat(), tonic::Code::InvalidArgument),
            (Vec::new(), tonic::Code::InvalidArgument),
        ] {
            assert_eq!(read(bytes).await.expect_err("refused").code(), code);
        }
    }

    #[tokio::test]
    async fn room_is_taken_for_what_has_arrived_and_not_for_what_is_announced() {
        let budget = BodyBudget::new(64);
        let message = framed(&vec![7; 70_000]);
        let (first, rest) = message.split_at(1_000);
        let never = futures_util::stream::pending::<Result<Frame<Bytes>, Status>>();
        let frames = futures_util::stream::iter([Ok(Frame::data(Bytes::copy_from_slice(first)))]);
        let stalled = Body::new(StreamBody::new(frames.chain(never)));
        let slow = CallRoom::new(budget.room());
        let limit = Duration::from_millis(100);
        let error = read(stalled, 1 << 20, limit, &slow).await.expect_err("nothing more came");
        assert_eq!(error.code(), tonic::Code::ResourceExhausted);
        // What the stalled one has is free; so all of the budget is there.
        let whole = CallRoom::new(budget.room());
        let parts = std::iter::once(first.to_vec()).chain(rest.chunks(9_000).map(<[u8]>::to_vec));
        let read_whole = read(body(parts), 1 << 20, limit, &whole).await.expect("there is room");
        assert_eq!(read_whole, message);
        let other = CallRoom::new(budget.room());
        let refused = read(body([message]), 1 << 20, limit, &other).await.expect_err("no room");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    }
}
