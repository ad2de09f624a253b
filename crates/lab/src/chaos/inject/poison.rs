//! Records that no writer of ours has written. None of them counts, and what can be read of them belongs to the dead letters.

use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::{LogConfig, SALES, WEATHER, dead_letter};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use super::{kafka, record};
use crate::chaos::field::{Field, Log};
use crate::chaos::kind::Kind;

const LIMIT: Duration = Duration::from_secs(20);
const LOUD_LIMIT: Duration = Duration::from_secs(20);
/// Of each kind.
const RECORDS: u64 = 5;
/// The topic's setting under which, with one byte, it takes nothing.
const LARGEST_RECORD: &str = "max.message.bytes";
/// With what Kafka puts around it, just below the limit of a topic: with the headers of a dead letter it is above.
const LARGEST: usize = 1_048_480;
/// Likewise of a frame of RabbitMQ.
const LARGEST_IN_STREAM: usize = 1_048_400;

pub(super) async fn begin(field: &mut Field, kind: Kind) -> Result<()> {
    if let Log::RabbitMq(_) = field.main.log {
        return write_streams(&field.main.log.config(), kind).await;
    }
    let servers = field.main.log.bootstrap()?;
    if kind == Kind::DeadLettersRefused {
        kafka::set(&servers, &dead_letter::topic_of(SALES), &[(LARGEST_RECORD, Some("1"))]).await?;
    }
    tokio::task::spawn_blocking(move || write(&servers, kind)).await.context("a writer died")??;
    if kind == Kind::DeadLettersRefused {
        field.expect_loud("dead letters are refused", LOUD_LIMIT).await;
    }
    Ok(())
}

pub(super) async fn heal(field: &Field, kind: Kind) -> Result<()> {
    if kind == Kind::DeadLettersRefused {
        kafka::set(&field.main.log.bootstrap()?, &dead_letter::topic_of(SALES), &[(LARGEST_RECORD, None)])
            .await?;
    }
    Ok(())
}

/// A stream knows no transactions, and refuses by nothing that could be set and taken back.
async fn write_streams(log: &LogConfig, kind: Kind) -> Result<()> {
    let payloads = |of: &dyn Fn(u64) -> Vec<u8>| (0..RECORDS).map(of).collect();
    match kind {
        Kind::Tombstones => record::publish(log, SALES, payloads(&|_| Vec::new())).await,
        Kind::LargeRecords => record::publish(log, SALES, payloads(&|_| noise(LARGEST_IN_STREAM))).await,
        Kind::ForeignEvents => {
            record::publish(log, SALES, payloads(&record::report)).await?;
            record::publish(log, WEATHER, payloads(&record::sale)).await
        }
        _ => record::publish(log, SALES, payloads(&|number| format!("garbage {number}").into_bytes())).await,
    }
}

fn write(servers: &str, kind: Kind) -> Result<()> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", servers).set("message.max.bytes", "2000000");
    if kind == Kind::Transactions {
        return transactions(&settings.set("transactional.id", "somebody-else").create()?);
    }
    let producer: ThreadedProducer<DefaultProducerContext> = settings.create().context("make a producer")?;
    for number in 0..RECORDS {
        match kind {
            Kind::Tombstones => send(&producer, SALES, None)?,
            Kind::LargeRecords => send(&producer, SALES, Some(&noise(LARGEST)))?,
            Kind::ForeignEvents => {
                send(&producer, SALES, Some(&record::report(number)))?;
                send(&producer, WEATHER, Some(&record::sale(number)))?;
            }
            _ => send(&producer, SALES, Some(format!("garbage {number}").as_bytes()))?,
        }
    }
    producer.flush(LIMIT).context("write what nobody can count")
}

/// One that is committed and one that is aborted: both leave control records, which nobody counts.
fn transactions(producer: &ThreadedProducer<DefaultProducerContext>) -> Result<()> {
    producer.init_transactions(LIMIT)?;
    for commits in [true, false] {
        producer.begin_transaction()?;
        for number in 0..RECORDS {
            send(producer, SALES, Some(format!("garbage {number} of a transaction").as_bytes()))?;
        }
        producer.flush(LIMIT)?;
        if commits { producer.commit_transaction(LIMIT) } else { producer.abort_transaction(LIMIT) }?;
    }
    Ok(())
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    payload: Option<&[u8]>,
) -> Result<()> {
    let mut record = BaseRecord::<[u8], [u8]>::to(topic).key(b"somebody else's");
    if let Some(payload) = payload {
        record = record.payload(payload);
    }
    producer.send(record).map_err(|(error, _)| error).context("write a record")
}

/// Which does not get smaller when it is compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}
