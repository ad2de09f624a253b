//! What cannot be counted is written to the dead letters first, and holds up nothing but its partition.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::Record;
use blackfriday_broker::dead_letter::{ORIGIN_LENGTH, ORIGIN_OFFSET, ORIGIN_PARTITION, REASON};
use blackfriday_proto::encode_record;
use blackfriday_stack::eventually;

use crate::bench::{Bench, LIMIT, read, sale, topic};

/// With what Kafka puts around it, just below the limit of a topic.
const LARGEST: usize = 1_048_480;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_cannot_be_counted_is_set_aside_and_the_rest_goes_on() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(6).await?;
    let garbage = bench.publish(1, b"nonsense".to_vec()).await?;
    // Larger than any client of ours would write; and one that the dead-letter topic does not take with its headers.
    let larger = bench.publish_raw(2, &noise(1_000_100)).await?;
    let largest = bench.publish_raw(2, &noise(LARGEST)).await?;
    // Another event under the same key.
    bench.publish(0, encode_record(&sale(1, Some("key")))).await?;
    let conflict = bench.publish(0, encode_record(&sale(2, Some("key")))).await?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;

    let letters = read(&bench.kafka, &bench.admin, "ventas.dlq").await?.remove(&0).context("dead letters")?;
    let of = |partition: i32, offset: i64| {
        let found = letters.iter().find(|letter| {
            header(letter, ORIGIN_PARTITION) == partition.to_string()
                && header(letter, ORIGIN_OFFSET) == offset.to_string()
        });
        found.with_context(|| format!("the dead letter of {partition}/{offset}"))
    };
    let letter = of(1, garbage)?;
    ensure!(header(letter, REASON).contains("protobuf") && letter.payload == b"nonsense", "{letter:?}");
    ensure!(of(2, larger)?.payload == noise(1_000_100), "as it was");
    let letter = of(2, largest)?;
    ensure!(header(letter, ORIGIN_LENGTH) == LARGEST.to_string() && letter.payload.len() == 1024);
    ensure!(letter.payload[..] == noise(LARGEST)[..1024], "it is how the record begins");
    let letter = of(0, conflict)?;
    ensure!(header(letter, REASON).contains("another event"), "{letter:?}");
    ensure!(consumer.metric("blackfriday_consumer_conflicting_events_total") == Some(1.0));
    consumer.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_dead_letters_cannot_be_written_only_their_partition_waits() -> Result<()> {
    let bench = Bench::start().await?;
    bench.delete("ventas.dlq").await?;
    let consumer = bench.consumer(&[])?;
    bench.publish(1, b"nonsense".to_vec()).await?;
    eventually(LIMIT, async || consumer.lacks("dead letters")).await.context("readiness says so")?;
    ensure!(consumer.metric("blackfriday_consumer_waiting_dead_letters") == Some(1.0));
    for n in 0..300 {
        bench.publish(n % 3, encode_record(&sale(1, None))).await?;
    }
    eventually(LIMIT, async || bench.counted().await == 200).await.context("the other partitions go on")?;
    ensure!(bench.store.partitions("ventas").await?.get(&1).is_none_or(|stored| stored.next == 0));

    let began = Instant::now();
    consumer.stop().await?;
    ensure!(
        began.elapsed() < Duration::from_secs(5),
        "the wait does not hold up a stop: {:?}",
        began.elapsed()
    );
    let consumer = bench.consumer(&[])?;
    eventually(LIMIT, async || consumer.lacks("dead letters")).await?;
    bench.admin.create_topics(&[topic("ventas.dlq", 1)]).await?;
    eventually(LIMIT, async || bench.counted().await == 300).await.context("it goes on by itself")?;
    eventually(LIMIT, async || consumer.context.readiness.is_ready()).await?;
    consumer.stop().await
}

fn header(record: &Record, name: &str) -> String {
    let found = record.headers.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

/// Bytes that do not shrink when they are compressed.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}
