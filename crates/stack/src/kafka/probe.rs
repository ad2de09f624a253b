//! Asks a broker for its cluster's metadata, over plain TCP and by hand, so that `stack` needs no Kafka client.
//!
//! An open port is not enough: the broker accepts connections before the controller has let it serve. Once it
//! lists itself under our cluster id, topics can be made and records written.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::state::PartitionState;

/// Metadata, version 4, the newest without tagged fields or topic ids that has the cluster id (since 2).
const METADATA: [u8; 4] = [0, 3, 0, 4];
const CORRELATION_ID: [u8; 4] = *b"bfry";
/// A length of -1: no client id.
const NOBODY: [u8; 2] = [0xff, 0xff];
/// No automatic creation of topics.
const NO_CREATION: [u8; 1] = [0];
/// A broker that is paused takes what it is asked, and says nothing.
const METADATA_LIMIT: Duration = Duration::from_secs(2);
const LONGEST_ANSWER: usize = 64 * 1024;

/// What a broker knows of its cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Ports that clients are told, by id.
    pub(super) brokers: Vec<(i32, i32)>,
    cluster_id: Vec<u8>,
    /// Of the topics that were asked for.
    pub(super) partitions: Vec<PartitionState>,
}

/// Whether the broker at that port belongs to the cluster and lists at least itself, at the port that it advertises.
pub(super) async fn serves(port: u16, advertised: u16, cluster_id: &str) -> bool {
    metadata(port, &[]).await.is_ok_and(|metadata| metadata.lists(advertised, cluster_id))
}

/// As the broker at that port knows it, with these topics. One that does not exist has no partitions.
pub(super) async fn metadata(port: u16, topics: &[&str]) -> io::Result<Metadata> {
    let count = u32::try_from(topics.len()).map_err(io::Error::other)?;
    let mut body = count.to_be_bytes().to_vec();
    for topic in topics {
        write(&mut body, topic)?;
    }
    body.extend(NO_CREATION);
    let answer = tokio::time::timeout(METADATA_LIMIT, ask(port, METADATA, &body)).await??;
    Metadata::read(&answer).ok_or_else(|| io::Error::other("an answer that is cut short"))
}

/// The answer to a request of this kind and version, from its correlation id on.
pub(super) async fn ask(port: u16, kind: [u8; 4], body: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = [&kind[..], &CORRELATION_ID, &NOBODY, body].concat();
    let length = u32::try_from(request.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &request].concat()).await?;
    let length = usize::try_from(stream.read_u32().await?).map_err(io::Error::other)?;
    if length > LONGEST_ANSWER {
        return Err(io::Error::other("not a broker"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

impl Metadata {
    /// `correlation_id throttle_time_ms [node_id host port rack] cluster_id controller_id
    /// [error_code name is_internal [error_code partition leader [replica] [in_sync]]]`; `None` if it is cut short.
    fn read(answer: &[u8]) -> Option<Self> {
        let mut metadata = Self::default();
        let mut rest = answer.strip_prefix(&CORRELATION_ID)?;
        take(&mut rest, 4)?;
        for _ in 0..int(&mut rest)? {
            let id = int(&mut rest)?;
            string(&mut rest)?;
            metadata.brokers.push((id, int(&mut rest)?));
            string(&mut rest)?;
        }
        metadata.cluster_id = string(&mut rest)?.to_owned();
        take(&mut rest, 4)?;
        for _ in 0..int(&mut rest)? {
            take(&mut rest, 2)?;
            string(&mut rest)?;
            take(&mut rest, 1)?;
            for _ in 0..int(&mut rest)? {
                metadata.partitions.push(partition(&mut rest)?);
            }
        }
        Some(metadata)
    }

    fn lists(&self, port: u16, cluster_id: &str) -> bool {
        let listed = self.brokers.iter().any(|(_, advertised)| *advertised == i32::from(port));
        listed && self.cluster_id == cluster_id.as_bytes()
    }
}

fn partition(rest: &mut &[u8]) -> Option<PartitionState> {
    take(rest, 2)?;
    let (id, leader) = (int(rest)?, int(rest)?);
    let leader = (leader >= 0).then_some(leader);
    Some(PartitionState { id, leader, replicas: ints(rest)?, in_sync: ints(rest)? })
}

pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

pub(super) fn int(rest: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

fn ints(rest: &mut &[u8]) -> Option<Vec<i32>> {
    (0..int(rest)?).map(|_| int(rest)).collect()
}

/// A string; null (length -1) counts as empty.
pub(super) fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = i16::from_be_bytes(take(rest, 2)?.try_into().ok()?);
    take(rest, usize::try_from(length).unwrap_or(0))
}

pub(super) fn write(body: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length = u16::try_from(text.len()).map_err(io::Error::other)?;
    body.extend(length.to_be_bytes());
    body.extend(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(brokers: u8) -> Vec<u8> {
        let mut bytes = [&CORRELATION_ID[..], &[0; 4], &[0, 0, 0, brokers]].concat();
        for _ in 0..brokers {
            bytes.extend([0, 0, 0, 1, 0, 1, b'h', 0, 0, 0x23, 0x84, 0xff, 0xff]);
        }
        // One topic with a partition that has a leader and one that has none.
        bytes.extend([0, 2, b'i', b'd', 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, b't', 0, 0, 0, 0, 2]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
        bytes.extend([0, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_broker_that_lists_itself_serves() {
        let metadata = Metadata::read(&answer(1)).expect("whole");
        assert!(metadata.lists(9092, "id"));
        assert!(!metadata.lists(9093, "id") && !metadata.lists(9092, "other"), "a stranger");
        assert!(!Metadata::read(&answer(0)).expect("whole").lists(9092, "id"), "a fenced broker");
    }

    #[test]
    fn a_partition_may_have_no_leader() {
        let metadata = Metadata::read(&answer(1)).expect("whole");
        let led = PartitionState { id: 0, leader: Some(1), replicas: vec![1], in_sync: vec![1] };
        let lost = PartitionState { id: 1, leader: None, replicas: vec![2], in_sync: vec![] };
        assert_eq!(metadata.partitions, [led, lost]);
    }

    #[test]
    fn a_short_answer_is_no_answer() {
        let whole = answer(1);
        for length in 0..whole.len() {
            assert_eq!(Metadata::read(&whole[..length]), None, "{length} bytes");
        }
    }
}
