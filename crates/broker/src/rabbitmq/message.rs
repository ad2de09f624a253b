//! A record as a message of AMQP 1.0, which is what a stream holds: application properties and data.
//!
//! Written so that any client of RabbitMQ reads it. Read tolerantly: sections that say nothing to us are passed over, and
//! what is not a message at all becomes a record whose payload is the bytes as they are. So no input stops the pipeline,
//! whatever somebody publishes.

mod amqp;

use self::amqp::{Value, put_binary, put_map, put_section, put_text, put_timestamp};
use super::wire::{Reader, Truncated};
use crate::record::OutgoingRecord;

const TRACEPARENT: &str = "traceparent";
const CONTENT_TYPE: &str = "content-type";
/// The record's key. An application property of its own name, for it may be any bytes, and RabbitMQ's own are text.
const KEY: &str = "blackfriday-key";
/// The producer's time.
const TIMESTAMP: &str = "blackfriday-timestamp";

const APPLICATION_PROPERTIES: u8 = 0x74;
const DATA: u8 = 0x75;
const VALUE: u8 = 0x77;
/// The sections of a message, from its header to its footer.
const SECTIONS: std::ops::RangeInclusive<u64> = 0x70..=0x78;

/// What is read of a record beyond its key and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    Trace,
    All,
}

/// What a message holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) key: Option<Vec<u8>>,
    pub(super) traceparent: Option<String>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) payload: Vec<u8>,
}

/// Appends a record's message.
pub(super) fn put(into: &mut Vec<u8>, record: &OutgoingRecord) {
    put_section(into, APPLICATION_PROPERTIES);
    put_map(into, |into| put_properties(into, record));
    put_section(into, DATA);
    put_binary(into, &record.payload);
}

fn put_properties(into: &mut Vec<u8>, record: &OutgoingRecord) -> u32 {
    let mut values = 4;
    put_text(into, CONTENT_TYPE);
    put_text(into, blackfriday_proto::CONTENT_TYPE);
    put_text(into, TIMESTAMP);
    put_timestamp(into, record.timestamp_ms);
    if let Some(traceparent) = &record.traceparent {
        put_text(into, TRACEPARENT);
        put_text(into, traceparent);
        values += 2;
    }
    if let Some(key) = &record.key {
        put_text(into, KEY);
        put_binary(into, key);
        values += 2;
    }
    for (name, value) in &record.headers {
        put_text(into, name);
        put_binary(into, value);
        values += 2;
    }
    values
}

/// Reads a message; bytes that are none are a payload.
pub(super) fn read(bytes: &[u8], wanted: Wanted) -> Message {
    let raw = || Message { payload: bytes.to_vec(), ..Message::default() };
    parse(bytes, wanted).ok().flatten().unwrap_or_else(raw)
}

/// The message, if it has a body that is bytes.
fn parse(bytes: &[u8], wanted: Wanted) -> Result<Option<Message>, Truncated> {
    let (mut message, mut reader, mut has_body) = (Message::default(), Reader::new(bytes), false);
    while !reader.rest().is_empty() {
        if reader.u8()? != amqp::DESCRIBED {
            return Ok(None);
        }
        let Some(section) = Value::read(&mut reader)?.number() else { return Ok(None) };
        if !SECTIONS.contains(&section) {
            return Ok(None);
        }
        let content = Value::read(&mut reader)?;
        if section == u64::from(APPLICATION_PROPERTIES) {
            message.take_properties(content, wanted)?;
        } else if section == u64::from(DATA) || section == u64::from(VALUE) {
            let Some(part) = content.bytes() else { return Ok(None) };
            // A body may be several sections of data, which are one.
            message.payload.extend_from_slice(part);
            has_body = true;
        }
    }
    Ok(has_body.then_some(message))
}

impl Message {
    fn take_properties(&mut self, properties: Value<'_>, wanted: Wanted) -> Result<(), Truncated> {
        let Some(mut pairs) = properties.map() else { return Ok(()) };
        while !pairs.rest().is_empty() {
            let (name, value) = (Value::read(&mut pairs)?, Value::read(&mut pairs)?);
            let (Some(name), Some(value)) = (name.bytes(), value.bytes()) else { continue };
            if name == KEY.as_bytes() {
                self.key = Some(value.to_vec());
                continue;
            }
            if name == TRACEPARENT.as_bytes() && wanted != Wanted::Nothing {
                self.traceparent = std::str::from_utf8(value).ok().map(str::to_owned);
            }
            if wanted == Wanted::All {
                self.headers.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(record: &OutgoingRecord) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, record);
        bytes
    }

    fn record() -> OutgoingRecord {
        OutgoingRecord {
            key: Some(b"\xff\x00".to_vec()),
            payload: vec![7; 300],
            traceparent: Some("00-0af7".to_owned()),
            headers: vec![("reason", b"a".to_vec()), ("reason", Vec::new())],
            ..OutgoingRecord::default()
        }
    }

    #[test]
    fn a_record_is_read_as_far_as_wanted() {
        let bytes = written(&record());
        let all = read(&bytes, Wanted::All);
        assert_eq!((all.key.as_deref(), all.payload.len()), (Some(b"\xff\x00".as_slice()), 300));
        let named = |name: &str| -> Vec<&[u8]> {
            let of_name = all.headers.iter().filter(|(found, _)| found == name);
            of_name.map(|(_, value)| &value[..]).collect()
        };
        assert_eq!(named("reason"), [b"a".as_slice(), b""]);
        assert_eq!((named(CONTENT_TYPE).len(), named(TRACEPARENT).len(), all.headers.len()), (1, 1, 4));
        let traced = read(&bytes, Wanted::Trace);
        assert_eq!((traced.traceparent.as_deref(), traced.headers.len()), (Some("00-0af7"), 0));
        assert_eq!(read(&bytes, Wanted::Nothing).traceparent, None);
    }

    #[test]
    fn messages_of_other_clients_are_read() {
        // A header section (an empty list), properties with a message id, data in two parts, a footer.
        let other = b"\x00\x53\x70\x45\x00\x53\x73\xc0\x05\x01\xa1\x02id\x00\x53\x75\xa0\x02ab\x00\x53\x75\xa0\x01c\x00\x53\x78\xc1\x01\x00";
        assert_eq!(read(other, Wanted::All).payload, b"abc");
        // A body that is a value, a string here, under a descriptor of eight bytes.
        let text = b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x77\xa1\x02hi";
        assert_eq!(read(text, Wanted::All).payload, b"hi");
    }

    #[test]
    fn what_is_no_message_is_a_payload_as_it_is() {
        let whole = written(&record());
        let others: [&[u8]; 6] = [
            b"",
            b"{\"json\": true}",
            b"\x00\x53\x77\x54\x05",
            b"\x00\x53\x74\xc1\x01\x00",
            &whole[..20],
            b"\x00\x53\x10\x45",
        ];
        for other in others {
            assert_eq!(read(other, Wanted::All), Message { payload: other.to_vec(), ..Message::default() });
        }
    }

    proptest! {
        #[test]
        fn whatever_was_given_is_read_again(key: Option<Vec<u8>>, payload: Vec<u8>, value: Vec<u8>) {
            let record = OutgoingRecord { key, payload, headers: vec![("h", value.clone())], ..OutgoingRecord::default() };
            let read = read(&written(&record), Wanted::All);
            prop_assert_eq!((&read.key, &read.payload), (&record.key, &record.payload));
            prop_assert!(read.headers.contains(&("h".to_owned(), value)));
        }

        #[test]
        fn whatever_comes_is_read(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
            read(&bytes, Wanted::All);
            let mut changed = written(&record());
            let at = at.index(changed.len());
            changed[at] = byte;
            read(&changed, Wanted::All);
        }
    }
}
