//! Reads the message of a unary call before it is decoded, because decoding is where memory grows: two bytes on the wire
//! can become a sale of over a hundred.

use http_body_util::BodyExt;
use prost::bytes::{Bytes, BytesMut};
use tonic::Status;
use tonic::body::Body;

/// A compression flag and a length (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(crate) const PREFIX_BYTES: usize = 5;

/// Reads the one message of a call, with its prefix. `hold` is asked for room as soon as its length is known.
///
/// # Errors
/// It has more than `limit` bytes, is not whole, or is not the only one; there is no room for it.
pub(crate) async fn read<H>(
    mut body: Body,
    limit: usize,
    hold: impl FnOnce(usize) -> Result<H, Status>,
) -> Result<(Bytes, H), Status> {
    let mut whole = BytesMut::new();
    let length = loop {
        if let Some(length) = announced(&whole) {
            break length;
        }
        more(&mut body, &mut whole).await?;
    };
    if length > limit {
        return Err(Status::out_of_range(format!("the message has {length} bytes, more than {limit}")));
    }
    let held = hold(length)?;
    while whole.len() < PREFIX_BYTES + length {
        more(&mut body, &mut whole).await?;
    }
    if whole.len() > PREFIX_BYTES + length {
        return Err(Status::invalid_argument("a call has one message"));
    }
    Ok((whole.freeze(), held))
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

async fn more(body: &mut Body, whole: &mut BytesMut) -> Result<(), Status> {
    let frame = body.frame().await.ok_or_else(|| Status::invalid_argument("the message breaks off"))??;
    if let Ok(data) = frame.into_data() {
        whole.extend_from_slice(&data);
    }
    Ok(())
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
        // Fields that nobody knows yet: 2 as a varint, 3 as 64 bits, 4 as 32 bits, 17 as bytes.
        let unknown = b"\x10\xff\x01\x19abcdefgh\x25abcd\x8a\x01\x02ab\x0a\x00";
        assert_eq!(count_field_1(&framed(unknown)).expect("protobuf"), 1);
    }

    #[test]
    fn what_hides_sales_from_the_count_is_refused() {
        for message in [&b"\x13\x0a\x00\x14"[..], b"\x0a\x05ab", b"\x0a", b"\x10\xff", b"\x09abc", b"\xff"] {
            assert!(count_field_1(&framed(message)).is_err(), "{message:?}");
        }
    }

    #[tokio::test]
    async fn a_message_is_refused_by_its_announced_length() {
        let body = |bytes: Vec<u8>| Body::new(http_body_util::Full::new(Bytes::from(bytes)));
        let room = |_| Ok(());
        let (whole, ()) = read(body(framed(b"abc")), 3, room).await.expect("fits");
        assert_eq!(whole, framed(b"abc"));
        let announced = vec![0, 0, 0, 0, 4];
        for (bytes, code) in [
            (announced.clone(), tonic::Code::OutOfRange),
            (framed(b"ab")[..6].to_vec(), tonic::Code::InvalidArgument),
            ([framed(b"ab"), framed(b"ab")].concat(), tonic::Code::InvalidArgument),
            (Vec::new(), tonic::Code::InvalidArgument),
        ] {
            assert_eq!(read(body(bytes), 3, room).await.expect_err("refused").code(), code);
        }
        let no_room = read(body(framed(b"abc")), 3, |_| Err::<(), _>(Status::resource_exhausted("full")));
        assert_eq!(no_room.await.expect_err("refused").code(), tonic::Code::ResourceExhausted);
    }
}
