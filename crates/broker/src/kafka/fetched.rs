//! What a fetching client hands over, each with its partition and offset.
//!
//! rdkafka's own poll reports a partition's end without topic and offset, and an error with nothing but its code.
//! Only the end's offset says that what is before it has no more records: control records have offsets and are no records.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;

use crate::partition::TopicPartition;
use crate::record::Record;

const TRACEPARENT: &[u8] = b"traceparent";

/// What a reader wants of the headers; reading them costs an allocation per record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    Trace,
    All,
}

/// The queue of a consumer's records and reports.
pub(super) struct Fetched<C: ConsumerContext + 'static> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    /// Outlives the queue.
    _consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues may be used by any thread, and this one is used by its owner only.
unsafe impl<C: ConsumerContext> Send for Fetched<C> {}

/// What came.
pub(super) enum Event {
    Message(Message),
    /// All records of this partition below this offset were handed over.
    End(TopicPartition, i64),
    Failed {
        partition: Option<TopicPartition>,
        code: RDKafkaErrorCode,
        reason: String,
    },
    Log {
        level: RDKafkaLogLevel,
        fac: String,
        text: String,
    },
    Other,
}

/// A record in the client's memory.
pub(super) struct Message {
    message: NonNull<sys::rd_kafka_message_t>,
    _owner: Owner,
}

struct Owner(NonNull<sys::rd_kafka_event_t>);

impl<C: ConsumerContext> Fetched<C> {
    /// The queue of this consumer, which must have a group's name, so that its reports come here, too.
    pub(super) fn new(consumer: Arc<BaseConsumer<C>>) -> Option<Self> {
        // SAFETY: the client lives as long as the reference that is kept.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Some(Self { queue: NonNull::new(queue)?, _consumer: consumer })
    }

    pub(super) fn poll(&self, patience: Duration) -> Option<Event> {
        let patience_ms = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is ours until it is dropped. An event is ours to destroy.
        let event = unsafe { sys::rd_kafka_queue_poll(self.queue.as_ptr(), patience_ms) };
        let owner = Owner(NonNull::new(event)?);
        // SAFETY: the event is alive.
        Some(match unsafe { sys::rd_kafka_event_type(event) } {
            sys::RD_KAFKA_EVENT_FETCH => owner.message().map_or(Event::Other, Event::Message),
            sys::RD_KAFKA_EVENT_ERROR => owner.failure(),
            sys::RD_KAFKA_EVENT_LOG => owner.log(),
            _ => Event::Other,
        })
    }
}

impl<C: ConsumerContext> Drop for Fetched<C> {
    fn drop(&mut self) {
        // SAFETY: the reference was given to us, and is given back once.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

impl Owner {
    fn message(self) -> Option<Message> {
        // SAFETY: the event is alive, and owns the message.
        let message = unsafe { sys::rd_kafka_event_message_next(self.0.as_ptr()) };
        Some(Message { message: NonNull::new(message.cast_mut())?, _owner: self })
    }

    fn failure(&self) -> Event {
        let event = self.0.as_ptr();
        // SAFETY: the event is alive; its text lives as long.
        let (code, reason) =
            unsafe { (sys::rd_kafka_event_error(event), text(sys::rd_kafka_event_error_string(event))) };
        let place = self.place();
        match (RDKafkaErrorCode::from(code), place) {
            (RDKafkaErrorCode::PartitionEOF, Some((partition, offset))) => Event::End(partition, offset),
            (code, place) => Event::Failed { partition: place.map(|(partition, _)| partition), code, reason },
        }
    }

    fn place(&self) -> Option<(TopicPartition, i64)> {
        // SAFETY: the event is alive. What is returned is ours to destroy, and is read before.
        unsafe {
            let place = NonNull::new(sys::rd_kafka_event_topic_partition(self.0.as_ptr()))?.as_ptr();
            let partition = TopicPartition::new(text((*place).topic), (*place).partition);
            let offset = (*place).offset;
            sys::rd_kafka_topic_partition_destroy(place);
            Some((partition, offset))
        }
    }

    fn log(&self) -> Event {
        let (mut fac, mut line, mut level) = (ptr::null::<c_char>(), ptr::null::<c_char>(), 0);
        // SAFETY: the event is alive, and the three places are ours; the texts live as long as the event.
        let (fac, text) = unsafe {
            sys::rd_kafka_event_log(self.0.as_ptr(), &raw mut fac, &raw mut line, &raw mut level);
            (text(fac), text(line))
        };
        Event::Log { level: level_of(level), fac, text }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: the event was given to us, and is destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

impl Message {
    pub(super) fn is_of(&self, partition: &TopicPartition) -> bool {
        // SAFETY: the message lives as long as its owner, and the topic's name as long as the message.
        let topic = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.raw().rkt)) };
        self.raw().partition == partition.partition && topic.to_bytes() == partition.topic.as_bytes()
    }

    pub(super) fn offset(&self) -> i64 {
        self.raw().offset
    }

    pub(super) fn payload_len(&self) -> usize {
        self.raw().len
    }

    pub(super) fn to_record(&self, wanted: Wanted) -> Record {
        let raw = self.raw();
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive; key and payload have the lengths that it says.
        let (timestamp_ms, key, payload) = unsafe {
            let timestamp_ms = sys::rd_kafka_message_timestamp(raw, &raw mut kind);
            (timestamp_ms, bytes(raw.key, raw.key_len), bytes(raw.payload, raw.len))
        };
        let mut record = Record {
            offset: raw.offset,
            timestamp_ms: timestamp_ms.max(0),
            appended: kind == sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
            key: key.map(<[u8]>::to_vec),
            payload: payload.unwrap_or_default().to_vec(),
            traceparent: None,
            headers: Vec::new(),
        };
        if wanted != Wanted::Nothing {
            self.read_headers(&mut record, wanted);
        }
        record
    }

    fn read_headers(&self, record: &mut Record, wanted: Wanted) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive and owns the headers.
        unsafe { sys::rd_kafka_message_headers(self.raw(), &raw mut headers) };
        let mut at = 0;
        while let Some((name, value)) = header(headers, at) {
            if name == TRACEPARENT {
                record.traceparent = std::str::from_utf8(value).ok().map(str::to_owned);
            }
            if wanted == Wanted::All {
                record.headers.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
            }
            at += 1;
        }
    }

    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: it lives as long as its owner.
        unsafe { self.message.as_ref() }
    }
}

fn header<'a>(headers: *const sys::rd_kafka_headers_t, at: usize) -> Option<(&'a [u8], &'a [u8])> {
    if headers.is_null() {
        return None;
    }
    let (mut name, mut value, mut size) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0);
    // SAFETY: the headers are alive while the caller reads; so are name and value, which it copies.
    unsafe {
        let found = sys::rd_kafka_header_get_all(headers, at, &raw mut name, &raw mut value, &raw mut size);
        (found == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR)
            .then(|| (CStr::from_ptr(name).to_bytes(), bytes(value, size).unwrap_or_default()))
    }
}

/// # Safety
/// Null, or that many bytes that live as long as they are used.
unsafe fn bytes<'a>(at: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as above.
    (!at.is_null()).then(|| unsafe { std::slice::from_raw_parts(at.cast(), length) })
}

/// # Safety
/// Null, or a text that ends with a zero.
unsafe fn text(at: *const c_char) -> String {
    if at.is_null() {
        return String::new();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned()
}

fn level_of(syslog: i32) -> RDKafkaLogLevel {
    match syslog {
        ..=3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 | 6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}
