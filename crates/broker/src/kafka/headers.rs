use rdkafka::message::{BorrowedMessage, Headers, OwnedHeaders};
use rdkafka::message::{Header, Message};

use crate::{OutgoingRecord, Record};

const TRACEPARENT: &str = "traceparent";
const CONTENT_TYPE: &str = "content-type";

/// What a reader wants of the headers; reading them costs an allocation per record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    Trace,
    All,
}

pub(crate) fn of_outgoing(record: &OutgoingRecord) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len() + 2);
    headers = headers.insert(Header { key: CONTENT_TYPE, value: Some(blackfriday_proto::CONTENT_TYPE) });
    if let Some(traceparent) = &record.traceparent {
        headers = headers.insert(Header { key: TRACEPARENT, value: Some(traceparent) });
    }
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    headers
}

pub(crate) fn to_record(message: &BorrowedMessage<'_>, wanted: Wanted) -> Record {
    let mut record = Record {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().map(<[u8]>::to_vec),
        payload: message.payload().unwrap_or_default().to_vec(),
        traceparent: None,
        headers: Vec::new(),
    };
    if wanted == Wanted::Nothing {
        return record;
    }
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        let value = header.value.unwrap_or_default();
        if header.key == TRACEPARENT {
            record.traceparent = std::str::from_utf8(value).ok().map(str::to_owned);
        }
        if wanted == Wanted::All {
            record.headers.push((header.key.to_owned(), value.to_vec()));
        }
    }
    record
}
