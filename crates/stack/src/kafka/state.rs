//! Who leads a partition, and who is to: as Kafka's own tools tell and change it.

use std::io;

use super::Kafka;
use super::probe::{self, ask, int, string, take};
use crate::error::StackError;

/// ElectLeaders, version 1, the newest without tagged fields.
const ELECT_LEADERS: [u8; 4] = [0, 43, 0, 1];
const ELECTION_LIMIT_MS: i32 = 10_000;
/// It leads already, or it is in no need of an election.
const NOT_NEEDED: i16 = 84;

/// A partition, as a broker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Its number.
    pub id: i32,
    /// The broker that leads it, if any does.
    pub leader: Option<i32>,
    /// The brokers that keep it; the first is to lead it.
    pub replicas: Vec<i32>,
    /// Those of them that have all of it.
    pub in_sync: Vec<i32>,
}

/// How a leader is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// Any replica that lives, if there is no leader: what it lacks is lost, although it was acknowledged.
    Unclean,
}

impl Kafka {
    /// The topic's partitions, by number, as this broker knows them; none if there is no such topic.
    ///
    /// # Errors
    /// The broker cannot be reached.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<PartitionState>, StackError> {
        let failed = |source| self.failed(format!("partitions of {topic}"), source);
        let mut partitions =
            probe::metadata(self.member.ports.broker, &[topic]).await.map_err(failed)?.partitions;
        partitions.sort_by_key(|partition| partition.id);
        Ok(partitions)
    }

    /// Brokers that are registered and not fenced, as this one knows it.
    ///
    /// # Errors
    /// The broker cannot be reached.
    pub async fn brokers(&self) -> Result<Vec<i32>, StackError> {
        let failed = |source| self.failed("list the brokers".to_owned(), source);
        let metadata = probe::metadata(self.member.ports.broker, &[]).await.map_err(failed)?;
        let mut ids: Vec<_> = metadata.brokers.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Has a leader of this partition chosen. Nothing happens if the choice would be the one that leads.
    ///
    /// # Errors
    /// The broker cannot be reached, or no leader can be chosen so.
    pub async fn elect(&self, topic: &str, partition: i32, election: Election) -> Result<(), StackError> {
        let failed = |source| self.failed(format!("elect a leader of {topic} {partition}"), source);
        let body = request(topic, partition, election).map_err(failed)?;
        let answer = ask(self.member.ports.broker, ELECT_LEADERS, &body).await.map_err(failed)?;
        match first_error(&answer) {
            Some(0 | NOT_NEEDED) => Ok(()),
            Some(code) => Err(failed(io::Error::other(format!("error {code} of Kafka's protocol")))),
            None => Err(failed(io::Error::other("an answer that is cut short"))),
        }
    }

    fn failed(&self, action: String, source: io::Error) -> StackError {
        StackError::Kafka { node: self.member.id, action, source }
    }
}

fn request(topic: &str, partition: i32, election: Election) -> io::Result<Vec<u8>> {
    let mut body = vec![match election {
        Election::Preferred => 0,
        Election::Unclean => 1,
    }];
    body.extend(1_i32.to_be_bytes());
    probe::write(&mut body, topic)?;
    body.extend([1, partition, ELECTION_LIMIT_MS].into_iter().flat_map(i32::to_be_bytes));
    Ok(body)
}

/// `correlation_id throttle_time_ms error_code [topic [partition error_code error_message]]`; `None` if it is cut short.
fn first_error(mut answer: &[u8]) -> Option<i16> {
    let answer = &mut answer;
    take(answer, 8)?;
    let mut first = code(answer)?;
    for _ in 0..int(answer)? {
        string(answer)?;
        for _ in 0..int(answer)? {
            take(answer, 4)?;
            let error = code(answer)?;
            string(answer)?;
            first = if first == 0 { error } else { first };
        }
    }
    Some(first)
}

fn code(answer: &mut &[u8]) -> Option<i16> {
    Some(i16::from_be_bytes(take(answer, 2)?.try_into().ok()?))
}
