//! Frames as they come: a length, a key whose top bit marks an answer, a version, and what the key says follows.

use bytes::Bytes;

use super::codes::{Code, Key};
use super::error::FrameError;
use super::wire::{Put, Reader};

/// The top bit of a key: this is an answer.
pub(super) const ANSWER: u16 = 0x8000;
/// Of every command that we use.
pub(super) const VERSION: u16 = 1;
/// Length, key and version.
pub(super) const HEADER_BYTES: usize = 8;

/// A frame from the server.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The answer to a request.
    Answer {
        key: Key,
        correlation: u32,
        body: Bytes,
    },
    /// The server asks; it waits for an answer.
    Close {
        correlation: u32,
        code: Code,
        reason: String,
    },
    /// A subscription of a group begins or ends to be the one that reads.
    ConsumerUpdate {
        correlation: u32,
        subscription: u8,
        active: bool,
    },
    /// The limits that the server suggests.
    Tune {
        frame_max: u32,
    },
    /// These publishing ids are written. Eight bytes each.
    Confirmed {
        publisher: u8,
        ids: Bytes,
    },
    /// These are not.
    Refused {
        publisher: u8,
        errors: Vec<(u64, Code)>,
    },
    /// A chunk of a subscription.
    Deliver {
        subscription: u8,
        chunk: Bytes,
    },
    /// A stream lost its leader, or is gone.
    MetadataUpdate {
        code: Code,
        stream: String,
    },
    /// Credit was given to a subscription that is not there.
    CreditRefused,
    Heartbeat,
}

impl Incoming {
    /// Reads a frame without its length.
    ///
    /// # Errors
    /// It is shorter than it says, or of a kind that is not expected here.
    pub(super) fn parse(frame: &Bytes) -> Result<Self, FrameError> {
        let mut reader = Reader::new(frame);
        let (number, _version) = (reader.u16()?, reader.u16()?);
        let key = Key::of(number & !ANSWER).ok_or(FrameError::Unknown { key: number })?;
        if number & ANSWER != 0 {
            return Self::answer(key, reader, frame);
        }
        Ok(match key {
            Key::PublishConfirm => {
                let publisher = reader.u8()?;
                let ids = (reader.u32()? as usize).checked_mul(8).ok_or(FrameError::Truncated)?;
                Self::Confirmed { publisher, ids: frame.slice_ref(reader.take(ids)?) }
            }
            Key::PublishError => {
                let publisher = reader.u8()?;
                let errors = reader.items(|reader| Ok((reader.u64()?, Code(reader.u16()?))))?;
                Self::Refused { publisher, errors }
            }
            Key::Deliver => {
                let subscription = reader.u8()?;
                Self::Deliver { subscription, chunk: frame.slice_ref(reader.rest()) }
            }
            Key::MetadataUpdate => {
                let code = Code(reader.u16()?);
                Self::MetadataUpdate { code, stream: reader.string()?.into_owned() }
            }
            Key::ConsumerUpdate => {
                let (correlation, subscription) = (reader.u32()?, reader.u8()?);
                Self::ConsumerUpdate { correlation, subscription, active: reader.u8()? != 0 }
            }
            Key::Close => {
                let (correlation, code) = (reader.u32()?, Code(reader.u16()?));
                Self::Close { correlation, code, reason: reader.string()?.into_owned() }
            }
            Key::Tune => Self::tune(reader)?,
            Key::Heartbeat => Self::Heartbeat,
            _ => return Err(FrameError::Unknown { key: number }),
        })
    }

    fn answer(key: Key, mut reader: Reader<'_>, frame: &Bytes) -> Result<Self, FrameError> {
        Ok(match key {
            // Neither has a correlation.
            Key::Credit => Self::CreditRefused,
            Key::Tune => Self::tune(reader)?,
            key => {
                let correlation = reader.u32()?;
                Self::Answer { key, correlation, body: frame.slice_ref(reader.rest()) }
            }
        })
    }

    fn tune(mut reader: Reader<'_>) -> Result<Self, FrameError> {
        // The heartbeat that is suggested comes next; ours is shorter.
        Ok(Self::Tune { frame_max: reader.u32()? })
    }
}

/// A frame of this key with this body.
pub(super) fn frame(key: u16, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.put_u16(key);
    frame.put_u16(VERSION);
    body(&mut frame);
    let length = u32::try_from(frame.len() - 4).expect("requests are far below 4 GiB");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A request that is answered under its correlation id.
pub(super) fn request(key: Key, correlation: u32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    frame(key as u16, |frame| {
        frame.put_u32(correlation);
        body(frame);
    })
}

/// Our answer to what the server asked.
pub(super) fn answer(key: Key, correlation: u32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    frame(key as u16 | ANSWER, |frame| {
        frame.put_u32(correlation);
        frame.put_u16(Code::OK.0);
        body(frame);
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<Incoming, FrameError> {
        Incoming::parse(&Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn an_answer_is_read_with_its_correlation() {
        let frame = answer(Key::Subscribe, 7, |_| {});
        let read = parse(&frame[4..]).expect("whole");
        assert!(
            matches!(&read, Incoming::Answer { key: Key::Subscribe, correlation: 7, body } if body[..] == [0, 1]),
            "{read:?}"
        );
    }

    #[test]
    fn confirmations_and_refusals_name_their_records() {
        let confirmed = frame(Key::PublishConfirm as u16, |body| {
            body.put_u8(3);
            body.put_u32(2);
            body.put_u64(10);
            body.put_u64(11);
        });
        let read = parse(&confirmed[4..]).expect("whole");
        assert!(matches!(&read, Incoming::Confirmed { publisher: 3, ids } if ids.len() == 16), "{read:?}");
        let refused = frame(Key::PublishError as u16, |body| {
            body.put_u8(3);
            body.put_u32(1);
            body.put_u64(12);
            body.put_u16(16);
        });
        let read = parse(&refused[4..]).expect("whole");
        let expected = vec![(12, Code::ACCESS_REFUSED)];
        assert!(matches!(&read, Incoming::Refused { errors, .. } if *errors == expected), "{read:?}");
    }

    #[test]
    fn what_is_cut_or_unknown_is_named() {
        assert_eq!(parse(&[0, 3]).err(), Some(FrameError::Truncated));
        assert_eq!(parse(&[0, 3, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]).err(), Some(FrameError::Truncated));
        assert_eq!(parse(&[0, 99, 0, 1]).err(), Some(FrameError::Unknown { key: 99 }));
        assert_eq!(
            parse(&[0, 2, 0, 1]).err(),
            Some(FrameError::Unknown { key: 2 }),
            "a server publishes nothing"
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_frame_or_an_error(key in 0_u16..32, answered: bool, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = Vec::new();
            bytes.put_u16(if answered { key | ANSWER } else { key });
            bytes.put_u16(VERSION);
            bytes.extend_from_slice(&body);
            drop(parse(&bytes));
        }
    }
}
