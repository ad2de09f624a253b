//! Reading partitions from named offsets, in batches that have their limits.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;
use blackfriday_broker::BatchLimits;
use blackfriday_broker::kafka::{Producer, ProducerConfig, Subscription};
use blackfriday_broker::{OutgoingRecord, Record, TopicPartition};
use blackfriday_stack::Kafka;

use crate::log::next_batch;
use crate::{LIMIT, config, create_topic, id, producer, publish, record};

const SOON: BatchLimits =
    BatchLimits { max_records: usize::MAX, max_bytes: usize::MAX, max_wait: Duration::from_millis(5) };
const LATE: BatchLimits = BatchLimits { max_wait: LIMIT, ..SOON };

#[tokio::test]
async fn partitions_are_read_from_where_they_are_told_to_be() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 3).await?;
    let producer = producer(&kafka, &ProducerConfig::default(), "ventas").await?;
    publish(&producer, "ventas", 0, 0..1_000).await?;
    publish(&producer, "ventas", 1, 0..500).await?;

    batches_are_cut_at_their_limits(&kafka).await?;
    a_batch_waits_for_more_as_long_as_it_may(&kafka, &producer).await?;
    batches_that_wait_are_handed_on_together(&kafka, &producer).await?;
    partitions_come_and_go(&kafka, &producer).await?;
    headers_are_read_as_far_as_wanted(&kafka, &producer).await?;
    starting_over_begins_exactly_there(&kafka, &producer).await?;
    starting_one_over_disturbs_no_other(&kafka, &producer).await
}

async fn batches_are_cut_at_their_limits(kafka: &Kafka) -> Result<()> {
    let mut by_records = Subscription::open(&config(kafka), BatchLimits { max_records: 64, ..LATE }, false)?;
    by_records.start(ventas(0), 300, 7);
    for at in 0..10 {
        let batch = next_batch(&mut by_records).await?;
        let from = 300 + 64 * at;
        assert_eq!((batch.partition, batch.epoch, batch.from, batch.to), (ventas(0), 7, from, from + 64));
        let expected: Vec<_> = (from..from + 64).map(|offset| (offset, offset.to_string())).collect();
        assert_eq!(texts(&batch.records), expected);
    }
    // Ids of three digits: 34 of them are the first to reach 100 bytes.
    let mut by_bytes = Subscription::open(&config(kafka), BatchLimits { max_bytes: 100, ..LATE }, false)?;
    by_bytes.start(ventas(1), 200, 1);
    for at in 0..8 {
        let batch = next_batch(&mut by_bytes).await?;
        assert_eq!((batch.from, batch.to, batch.records.len()), (200 + 34 * at, 234 + 34 * at, 34));
    }
    Ok(())
}

/// Three records, one after the other, come in one batch; and alone if the batch may not wait.
async fn a_batch_waits_for_more_as_long_as_it_may(kafka: &Kafka, producer: &Producer) -> Result<()> {
    let wait = Duration::from_secs(2);
    let mut patient = Subscription::open(&config(kafka), BatchLimits { max_wait: wait, ..LATE }, false)?;
    let mut hasty = Subscription::open(&config(kafka), SOON, false)?;
    patient.start(ventas(2), 0, 1);
    hasty.start(ventas(2), 0, 1);
    let began = Instant::now();
    for at in 0..3 {
        publish(producer, "ventas", 2, at..at + 1).await?;
        assert_eq!(next_batch(&mut hasty).await?.records.len(), 1);
    }
    assert!(began.elapsed() < wait, "the hasty one did not wait: {:?}", began.elapsed());
    let batch = next_batch(&mut patient).await?;
    assert_eq!((batch.from, batch.to, batch.records.len()), (0, 3, 3));
    assert!((wait..wait * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    Ok(())
}

/// When one of them has waited for long enough: the other one's own time is not over then.
async fn batches_that_wait_are_handed_on_together(kafka: &Kafka, producer: &Producer) -> Result<()> {
    create_topic(kafka, "pair", 2).await?;
    let wait = Duration::from_secs(4);
    let mut subscription = Subscription::open(&config(kafka), BatchLimits { max_wait: wait, ..LATE }, false)?;
    for at in 0..2 {
        subscription.start(TopicPartition::new("pair", at), 0, 1);
    }
    publish(producer, "pair", 0, 0..1).await?;
    tokio::time::sleep(wait / 2).await;
    let began = Instant::now();
    publish(producer, "pair", 1, 0..1).await?;
    let mut both = [next_batch(&mut subscription).await?, next_batch(&mut subscription).await?];
    both.sort_by_key(|batch| batch.partition.partition);
    assert_eq!(both.map(|batch| (batch.partition.partition, batch.to)), [(0, 1), (1, 1)]);
    assert!(began.elapsed() < wait, "{:?}", began.elapsed());
    Ok(())
}

async fn partitions_come_and_go(kafka: &Kafka, producer: &Producer) -> Result<()> {
    create_topic(kafka, "empty", 1).await?;
    let mut subscription = Subscription::open(&config(kafka), SOON, false)?;
    let empty = TopicPartition::new("empty", 0);
    subscription.start(empty.clone(), 0, 1);
    subscription.start(ventas(0), 990, 1);
    // Nothing is told of a partition that is empty, and its first record is not missed.
    take(&mut subscription, &ventas(0), 1, 990..1_000).await?;
    publish(producer, "empty", 0, 0..1).await?;
    take(&mut subscription, &empty, 1, 0..1).await?;

    subscription.start(ventas(1), 495, 2);
    take(&mut subscription, &ventas(1), 2, 495..500).await?;
    subscription.stop(ventas(0));
    // What is asked for is done in order: the end of partition 0 goes before the new start of the other.
    subscription.start(ventas(1), 498, 3);
    take(&mut subscription, &ventas(1), 3, 498..500).await?;
    publish(producer, "ventas", 0, 1_000..1_010).await?;
    publish(producer, "ventas", 1, 500..510).await?;
    take(&mut subscription, &ventas(1), 3, 500..510).await?;
    subscription.start(ventas(0), 1_000, 4);
    take(&mut subscription, &ventas(0), 4, 1_000..1_010).await
}

/// The next batches are these offsets of this partition, and of nothing else.
async fn take(
    subscription: &mut Subscription,
    partition: &TopicPartition,
    epoch: u64,
    expected: Range<i64>,
) -> Result<()> {
    let mut at = expected.start;
    while at < expected.end {
        let batch = next_batch(subscription).await?;
        assert_eq!((&batch.partition, batch.epoch, batch.from), (partition, epoch, at));
        let offsets: Vec<_> = batch.records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (batch.from..batch.to).collect::<Vec<_>>());
        at = batch.to;
    }
    assert_eq!(at, expected.end);
    Ok(())
}

async fn headers_are_read_as_far_as_wanted(kafka: &Kafka, producer: &Producer) -> Result<()> {
    create_topic(kafka, "headers", 1).await?;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let sent = OutgoingRecord {
        traceparent: Some(traceparent.to_owned()),
        headers: vec![("reason", b"\xff\x00".to_vec()), ("reason", Vec::new())],
        ..record("headers", 0, 1)
    };
    producer.publish(sent).await?;
    let limits = SOON;
    let mut plain = Subscription::open(&config(kafka), limits, false)?;
    let mut traced = Subscription::open(&config(kafka), limits, true)?;
    let mut full = Subscription::open_with_headers(&config(kafka), limits)?;
    let mut found = Vec::new();
    for subscription in [&mut plain, &mut traced, &mut full] {
        subscription.start(TopicPartition::new("headers", 0), 0, 1);
        found.extend(next_batch(subscription).await?.records);
    }
    let traces: Vec<_> = found.iter().map(|record| record.traceparent.as_deref()).collect();
    assert_eq!(traces, [None, Some(traceparent), Some(traceparent)]);
    assert!(found[0].headers.is_empty() && found[1].headers.is_empty());
    let all: HashMap<_, Vec<_>> = found[2].headers.iter().fold(HashMap::new(), |mut all, (name, value)| {
        all.entry(name.as_str()).or_insert_with(Vec::new).push(value.as_slice());
        all
    });
    assert_eq!(all["reason"], [b"\xff\x00".as_slice(), b""], "bytes as they are, and twice if given twice");
    assert_eq!(all["traceparent"], [traceparent.as_bytes()]);
    assert_eq!(all.len(), 3, "next to the content type: {all:?}");
    Ok(())
}

/// Wherever the client had got to, ahead of what was taken.
async fn starting_over_begins_exactly_there(kafka: &Kafka, producer: &Producer) -> Result<()> {
    create_topic(kafka, "long", 1).await?;
    for at in 0..10 {
        publish(producer, "long", 0, at * 10_000..(at + 1) * 10_000).await?;
    }
    let mut subscription =
        Subscription::open(&config(kafka), BatchLimits { max_records: 50, ..SOON }, false)?;
    for epoch in 1..200_u64 {
        let offset = i64::try_from(epoch * 7_919 % 99_000)?;
        subscription.start(TopicPartition::new("long", 0), offset, epoch);
        let mut at = offset;
        while at < offset + 200 {
            let batch = next_batch(&mut subscription).await?;
            if batch.epoch < epoch {
                continue;
            }
            assert_eq!((batch.epoch, batch.from), (epoch, at));
            for record in &batch.records {
                assert_eq!((record.offset, i64::try_from(id(&record.payload)?)?), (at, at), "epoch {epoch}");
                at += 1;
            }
            assert_eq!(batch.to, at);
        }
    }
    Ok(())
}

/// The other is read on without a record that is missing, comes twice or belongs to a new start.
async fn starting_one_over_disturbs_no_other(kafka: &Kafka, producer: &Producer) -> Result<()> {
    create_topic(kafka, "two", 2).await?;
    publish(producer, "two", 0, 0..1_000).await?;
    publish(producer, "two", 1, 0..20_000).await?;
    let mut subscription =
        Subscription::open(&config(kafka), BatchLimits { max_records: 100, ..SOON }, false)?;
    let (one, other) = (TopicPartition::new("two", 0), TopicPartition::new("two", 1));
    subscription.start(other.clone(), 0, 1);
    let mut at = 0;
    let mut epoch = 1;
    while at < 20_000 {
        let batch = next_batch(&mut subscription).await?;
        if batch.partition != other {
            continue;
        }
        epoch += 1;
        subscription.start(one.clone(), i64::try_from(epoch % 1_000)?, epoch);
        assert_eq!((batch.epoch, batch.from), (1, at));
        let offsets: Vec<_> = batch.records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (batch.from..batch.to).collect::<Vec<_>>());
        at = batch.to;
    }
    assert!(epoch > 100, "the first was started {epoch} times");
    Ok(())
}

fn ventas(partition: i32) -> TopicPartition {
    TopicPartition::new("ventas", partition)
}

fn texts(records: &[Record]) -> Vec<(i64, String)> {
    let text = |record: &Record| (record.offset, String::from_utf8_lossy(&record.payload).into_owned());
    records.iter().map(text).collect()
}
