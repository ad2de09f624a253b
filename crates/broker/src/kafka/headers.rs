use rdkafka::message::{Header, OwnedHeaders};

use crate::record::OutgoingRecord;

const TRACEPARENT: &str = "traceparent";
const CONTENT_TYPE: &str = "content-type";

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
