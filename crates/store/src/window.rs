use std::collections::HashMap;

use blackfriday_event::{CountedKey, IdempotencyKey, KeyWindow, Timestamp};
use redis::{FromRedisValue, ParsingError, Pipeline, Value as Reply, from_redis_value, pipe};

use crate::apply::LastRecord;
use crate::error::StoreError;
use crate::keys::Keys;

/// Topic, partition, and the keys whose past is asked for.
pub(crate) type Wanted<'a> = (&'a str, i32, Vec<IdempotencyKey>);

/// Commands for one partition.
const COMMANDS: usize = 4;

pub(crate) fn commands(keys: &Keys, wanted: &[Wanted<'_>]) -> Pipeline {
    let mut pipeline = pipe();
    pipeline.atomic();
    for (topic, partition, asked) in wanted {
        let set = keys.idempotency(topic, *partition);
        pipeline.cmd("HGET").arg(keys.position(topic)).arg(*partition);
        pipeline.cmd("ZRANGE").arg(&set).arg(-1).arg(-1).arg("WITHSCORES");
        // The empty text is never a key: it makes both lists hold something, and has a meaning of its own in the second.
        let members: Vec<_> = [""].into_iter().chain(asked.iter().map(IdempotencyKey::as_str)).collect();
        pipeline.cmd("ZMSCORE").arg(&set).arg(&members);
        pipeline.cmd("HMGET").arg(keys.events(topic, *partition)).arg(&members);
    }
    pipeline
}

/// For each partition the position, and a window for a batch that starts there.
///
/// # Errors
/// An answer cannot be read, or a key was counted and its event is missing.
pub(crate) fn read(
    what: &'static str,
    keys: &Keys,
    wanted: &[Wanted<'_>],
    answers: Vec<Reply>,
    pipeline: &Pipeline,
) -> Result<Vec<(i64, KeyWindow)>, StoreError> {
    let mut answers = answers.into_iter();
    let mut at = 0;
    let mut windows = Vec::with_capacity(wanted.len());
    for (topic, partition, asked) in wanted {
        let first = at;
        let mut take = || {
            at += 1;
            (at - 1, answers.next().unwrap_or(Reply::Nil))
        };
        let (position, newest, scores, events) = (take(), take(), take(), take());
        debug_assert_eq!(at - first, COMMANDS);
        let of = |(at, error): (usize, ParsingError)| StoreError::of_answer(what, &error, pipeline, at);
        let position = parse::<Option<i64>>(position).map_err(of)?.unwrap_or(0);
        let newest = parse::<Vec<(String, f64)>>(newest).map_err(of)?;
        let scores = parse::<Vec<Option<f64>>>(scores).map_err(of)?;
        let events = parse::<Vec<Option<String>>>(events).map_err(of)?;
        let key = keys.events(topic, *partition);
        let wrong = |detail| StoreError::WrongKey { what, key: key.clone(), detail };
        let counted = counted(asked, &scores, &events, position).map_err(wrong)?;
        let newest = newest.first().and_then(|(_, score)| timestamp(*score));
        windows.push((position, KeyWindow::new(newest, counted)));
    }
    Ok(windows)
}

fn parse<T: FromRedisValue>((at, answer): (usize, Reply)) -> Result<T, (usize, ParsingError)> {
    from_redis_value(answer).map_err(|error| (at, error))
}

/// What is stored of each key that was counted below the position. What is above it was left by a part of a batch, and
/// is void: its record comes again.
fn counted(
    asked: &[IdempotencyKey],
    scores: &[Option<f64>],
    events: &[Option<String>],
    position: i64,
) -> Result<HashMap<IdempotencyKey, CountedKey>, String> {
    let below = events.first().and_then(Option::as_deref).unwrap_or("0");
    let below = below.parse::<i64>().map_err(|_| format!("holds {below:?} for the empty key"))?;
    let valid_below = position.max(below);
    let mut counted = HashMap::new();
    for (key, (score, event)) in asked.iter().zip(scores.iter().zip(events).skip(1)) {
        let Some(at) = score.and_then(timestamp) else { continue };
        let event = event.as_deref().ok_or_else(|| format!("has no event of the key {key:?}"))?;
        let event = LastRecord::parse(event).ok_or_else(|| format!("holds {event:?} for the key {key:?}"))?;
        if event.offset < valid_below {
            counted.insert(key.clone(), CountedKey { at, offset: event.offset, digest: event.digest });
        }
    }
    Ok(counted)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and the range is checked"
)]
fn timestamp(score: f64) -> Option<Timestamp> {
    Timestamp::from_millis(score as u64)
}
