//! Chunks, in which a stream is written, replicated and delivered: some entries, each a message or a batch of messages, with
//! the time at which the stream's leader appended them (osiris, `osiris_log.erl`).
//!
//! A chunk is delivered whole, also if it is read from an offset in its middle. Its records take consecutive offsets.

use std::io::Read;

use bytes::Bytes;

use super::wire::{Reader, Truncated};

/// The upper half of the first byte.
const MAGIC: u8 = 5;
const USER: u8 = 0;
/// An entry that is a batch of records.
const BATCH: u8 = 0x80;
const GZIP: u8 = 1;
/// What a compressed batch may become, at the most.
const UNPACKED_MAX: u64 = 64 << 20;

/// A chunk cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChunkError {
    #[error("a chunk ends in the middle of a value")]
    Truncated,
    #[error("a chunk begins with {0:#04x}, which is not a format that is known")]
    Format(u8),
    #[error("a chunk is of the kind {0}, which holds no records")]
    Kind(u8),
    #[error("the checksum of the chunk at offset {offset} is wrong")]
    Checksum { offset: i64 },
    #[error("the chunk at offset {offset} holds {found} records and says {said}")]
    Records { offset: i64, found: u64, said: u32 },
    #[error("a chunk's offset is past 2^63")]
    Offset,
}

impl From<Truncated> for ChunkError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

/// A chunk whose head was read.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// Offset of its first record.
    pub(super) first: i64,
    /// One past its last record.
    pub(super) end: i64,
    /// When it was appended, in milliseconds since the epoch.
    pub(super) timestamp_ms: i64,
    entries: u16,
    records: u32,
    checksum: u32,
    data: Bytes,
}

impl Chunk {
    /// Reads the fields in front of the entries.
    ///
    /// # Errors
    /// It is cut, or of another format.
    pub(super) fn read(bytes: &Bytes) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes);
        let format = reader.u8()?;
        if format >> 4 != MAGIC {
            return Err(ChunkError::Format(format));
        }
        // Others hold what servers note for themselves; they are not delivered unless they are asked for.
        let kind = reader.u8()?;
        if kind != USER {
            return Err(ChunkError::Kind(kind));
        }
        let (entries, records) = (reader.u16()?, reader.u32()?);
        let (timestamp_ms, _epoch) = (reader.i64()?, reader.u64()?);
        let first = i64::try_from(reader.u64()?).map_err(|_| ChunkError::Offset)?;
        let end = first.checked_add(i64::from(records)).ok_or(ChunkError::Offset)?;
        let (checksum, length) = (reader.u32()?, reader.u32()?);
        // Length of the trailer and of a filter, which come after the entries or not at all.
        reader.take(8)?;
        let data = bytes.slice_ref(reader.take(length as usize)?);
        Ok(Self { first, end, timestamp_ms, entries, records, checksum, data })
    }

    /// Bytes of its entries.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// Calls `each` for every record, in order, with its offset and its bytes; none of them unless all of them are there.
    ///
    /// # Errors
    /// Its checksum is wrong, or it holds another number of records than it says.
    pub(super) fn records(&self, mut each: impl FnMut(i64, &[u8])) -> Result<(), ChunkError> {
        if crc32fast::hash(&self.data) != self.checksum {
            return Err(ChunkError::Checksum { offset: self.first });
        }
        let mut found = 0;
        self.walk(|_| found += 1)?;
        if found != u64::from(self.records) {
            return Err(ChunkError::Records { offset: self.first, found, said: self.records });
        }
        let mut offset = self.first;
        self.walk(|record| {
            each(offset, record);
            offset += 1;
        })
    }

    fn walk(&self, mut each: impl FnMut(&[u8])) -> Result<(), ChunkError> {
        let mut reader = Reader::new(&self.data);
        for _ in 0..self.entries {
            let [kind, ..] = *reader.rest() else { return Err(ChunkError::Truncated) };
            if kind & BATCH == 0 {
                each(reader.bytes()?);
            } else {
                walk_batch(&mut reader, &mut each)?;
            }
        }
        Ok(())
    }
}

/// A batch whose compression we do not know keeps its offsets: its first record is the batch as it is, the others are empty.
fn walk_batch(reader: &mut Reader<'_>, each: &mut impl FnMut(&[u8])) -> Result<(), ChunkError> {
    let compression = (reader.u8()? >> 4) & 7;
    let (records, unpacked) = (reader.u16()?, reader.u32()?);
    let packed = reader.bytes()?;
    let batch = match compression {
        0 => Some(packed.to_vec()),
        GZIP => gunzip(packed, u64::from(unpacked)),
        _ => None,
    };
    let split = batch.as_deref().and_then(|batch| split(batch, records));
    match split {
        Some(parts) => parts.into_iter().for_each(each),
        None => (0..records).for_each(|at| each(if at == 0 { packed } else { &[] })),
    }
    Ok(())
}

fn split(batch: &[u8], records: u16) -> Option<Vec<&[u8]>> {
    let mut reader = Reader::new(batch);
    (0..records).map(|_| reader.bytes().ok()).collect()
}

fn gunzip(packed: &[u8], unpacked: u64) -> Option<Vec<u8>> {
    let mut batch = Vec::new();
    let mut limited = flate2::read::GzDecoder::new(packed).take(unpacked.min(UNPACKED_MAX));
    limited.read_to_end(&mut batch).ok().map(|_| batch)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::rabbitmq::wire::Put;

    /// A chunk of these entries.
    pub(in crate::rabbitmq) fn chunk(first: u64, entries: &[Vec<u8>], records: u32) -> Bytes {
        let data = entries.concat();
        let mut bytes = vec![0x51, USER];
        bytes.put_u16(u16::try_from(entries.len()).expect("few"));
        bytes.put_u32(records);
        bytes.put_u64(1_700_000_000_000);
        bytes.put_u64(1);
        bytes.put_u64(first);
        bytes.put_u32(crc32fast::hash(&data));
        bytes.put_u32(u32::try_from(data.len()).expect("short"));
        bytes.put_u64(0);
        bytes.extend_from_slice(&data);
        bytes.into()
    }

    pub(in crate::rabbitmq) fn simple(record: &[u8]) -> Vec<u8> {
        let mut entry = Vec::new();
        entry.put_u32(u32::try_from(record.len()).expect("short"));
        entry.extend_from_slice(record);
        entry
    }

    fn batch(compression: u8, records: u16, unpacked: usize, packed: &[u8]) -> Vec<u8> {
        let mut entry = vec![BATCH | compression << 4];
        entry.put_u16(records);
        entry.put_u32(u32::try_from(unpacked).expect("short"));
        entry.put_u32(u32::try_from(packed.len()).expect("short"));
        entry.extend_from_slice(packed);
        entry
    }

    fn read(bytes: &Bytes) -> Result<Vec<(i64, Vec<u8>)>, ChunkError> {
        let mut records = Vec::new();
        Chunk::read(bytes)?.records(|offset, record| records.push((offset, record.to_vec())))?;
        Ok(records)
    }

    #[test]
    fn entries_and_batches_take_consecutive_offsets() {
        let inner = [simple(b"b"), simple(b"c")].concat();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&inner).expect("into memory");
        let packed = gzip.finish().expect("into memory");
        let entries = [
            simple(b"a"),
            batch(0, 2, inner.len(), &inner),
            batch(GZIP, 2, inner.len(), &packed),
            simple(b"d"),
        ];
        let found = read(&chunk(40, &entries, 6)).expect("whole");
        let expected = [(40, "a"), (41, "b"), (42, "c"), (43, "b"), (44, "c"), (45, "d")];
        assert_eq!(found, expected.map(|(offset, text)| (offset, text.as_bytes().to_vec())));
    }

    #[test]
    fn a_batch_that_cannot_be_unpacked_keeps_its_offsets() {
        let entries = [batch(4, 3, 100, b"zstd"), simple(b"next")];
        let found = read(&chunk(0, &entries, 4)).expect("whole");
        let texts: Vec<_> = found.iter().map(|(_, record)| &record[..]).collect();
        assert_eq!(texts, [b"zstd".as_slice(), b"", b"", b"next"]);
    }

    #[test]
    fn what_is_damaged_is_named_and_nothing_of_it_is_handed_on() {
        let whole = chunk(7, &[simple(b"a"), simple(b"b")], 2);
        let mut damaged = whole.to_vec();
        *damaged.last_mut().expect("bytes") ^= 1;
        assert_eq!(read(&damaged.into()), Err(ChunkError::Checksum { offset: 7 }));
        assert_eq!(read(&whole.slice(..whole.len() - 1)), Err(ChunkError::Truncated));
        assert_eq!(
            read(&chunk(7, &[simple(b"a")], 2)),
            Err(ChunkError::Records { offset: 7, found: 1, said: 2 })
        );
        assert_eq!(read(&Bytes::from_static(b"\x61")), Err(ChunkError::Format(0x61)));
        assert_eq!(read(&chunk(u64::MAX, &[], 0)), Err(ChunkError::Offset));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(first: u64, records: u32, entries: Vec<Vec<u8>>) {
            drop(read(&chunk(first, &entries, records)));
            drop(read(&entries.concat().into()));
        }
    }
}
