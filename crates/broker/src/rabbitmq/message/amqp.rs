//! AMQP 1.0's type system, as far as a message in a stream needs it (OASIS AMQP 1.0, part 1).
//!
//! The upper half of a constructor says how long its value is, so every value can be passed over, known or not.

use crate::rabbitmq::wire::{Put, Reader, Truncated};

pub(super) const DESCRIBED: u8 = 0x00;
const SMALL_ULONG: u8 = 0x53;
const ULONG: u8 = 0x80;
const TIMESTAMP: u8 = 0x83;
const BINARY_8: u8 = 0xa0;
const BINARY_32: u8 = 0xb0;
const STRING_8: u8 = 0xa1;
const STRING_32: u8 = 0xb1;
const SYMBOL_8: u8 = 0xa3;
const SYMBOL_32: u8 = 0xb3;
const MAP_8: u8 = 0xc1;
const MAP_32: u8 = 0xd1;
/// Descriptors of descriptors: nobody nests them.
const DEEPEST: usize = 4;

/// A value's constructor and its bytes, without their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'a> {
    constructor: u8,
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    /// The next value. A described one is read without its descriptor.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Truncated> {
        let mut constructor = reader.u8()?;
        for _ in 0..DEEPEST {
            if constructor != DESCRIBED {
                break;
            }
            let descriptor = reader.u8()?;
            let length = Self::length(descriptor, reader)?;
            reader.take(length)?;
            constructor = reader.u8()?;
        }
        let length = Self::length(constructor, reader)?;
        Ok(Self { constructor, bytes: reader.take(length)? })
    }

    fn length(constructor: u8, reader: &mut Reader<'a>) -> Result<usize, Truncated> {
        Ok(match constructor >> 4 {
            0x4 => 0,
            0x5 => 1,
            0x6 => 2,
            0x7 => 4,
            0x8 => 8,
            0x9 => 16,
            0xa | 0xc | 0xe => usize::from(reader.u8()?),
            0xb | 0xd | 0xf => reader.u32()? as usize,
            _ => return Err(Truncated),
        })
    }

    /// As an unsigned number, of the width that section descriptors have.
    pub(super) fn number(self) -> Option<u64> {
        match (self.constructor, self.bytes) {
            (SMALL_ULONG, [byte]) => Some(u64::from(*byte)),
            (ULONG, bytes) => bytes.try_into().ok().map(u64::from_be_bytes),
            _ => None,
        }
    }

    /// The bytes of a binary, a string or a symbol.
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        matches!(self.constructor, BINARY_8 | BINARY_32 | STRING_8 | STRING_32 | SYMBOL_8 | SYMBOL_32)
            .then_some(self.bytes)
    }

    /// The values in a map: keys and values in turn.
    pub(super) fn map(self) -> Option<Reader<'a>> {
        let mut reader = Reader::new(self.bytes);
        match self.constructor {
            MAP_8 => drop(reader.u8().ok()?),
            MAP_32 => drop(reader.u32().ok()?),
            _ => return None,
        }
        Some(reader)
    }
}

/// A section's descriptor.
pub(super) fn put_section(into: &mut Vec<u8>, code: u8) {
    into.extend_from_slice(&[DESCRIBED, SMALL_ULONG, code]);
}

pub(super) fn put_binary(into: &mut Vec<u8>, bytes: &[u8]) {
    put_sized(into, (BINARY_8, BINARY_32), bytes);
}

pub(super) fn put_text(into: &mut Vec<u8>, text: &str) {
    put_sized(into, (STRING_8, STRING_32), text.as_bytes());
}

pub(super) fn put_timestamp(into: &mut Vec<u8>, milliseconds: i64) {
    into.push(TIMESTAMP);
    into.extend_from_slice(&milliseconds.to_be_bytes());
}

fn put_sized(into: &mut Vec<u8>, (short, long): (u8, u8), bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length) => into.extend_from_slice(&[short, length]),
        Err(_) => {
            into.push(long);
            into.put_u32(u32::try_from(bytes.len()).expect("records are far below 4 GiB"));
        }
    }
    into.extend_from_slice(bytes);
}

/// A map of what `pairs` puts; it returns how many values those are.
pub(super) fn put_map(into: &mut Vec<u8>, pairs: impl FnOnce(&mut Vec<u8>) -> u32) {
    into.push(MAP_32);
    let at = into.len();
    into.extend_from_slice(&[0; 8]);
    let count = pairs(into);
    let size = u32::try_from(into.len() - at - 4).expect("records are far below 4 GiB");
    into[at..at + 4].copy_from_slice(&size.to_be_bytes());
    into[at + 4..at + 8].copy_from_slice(&count.to_be_bytes());
}
