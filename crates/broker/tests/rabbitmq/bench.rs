//! How fast both logs take and give small records, one after the other in one run.

use std::time::Instant;

use anyhow::Result;
use blackfriday_broker::{
    Admin, BatchLimits, LogConfig, OutgoingRecord, Producer, ProducerConfig, Subscription, SubscriptionEvent,
    TopicPartition, TopicSpec,
};
use blackfriday_stack::{Kafka, KafkaOptions, RabbitMq, RabbitMqOptions};

const RECORDS: usize = 200_000;
const AT_ONCE: usize = 1_000;
const IN_FLIGHT: usize = 20;

/// Run by hand: it measures, and the machine must be idle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures"]
async fn both_logs_one_after_the_other() -> Result<()> {
    let kafka = Kafka::start_with(KafkaOptions { for_load: true, ..KafkaOptions::default() }).await?;
    measure("kafka", &LogConfig::kafka_at(kafka.bootstrap())).await?;
    drop(kafka);
    let options = RabbitMqOptions { for_load: true, ..RabbitMqOptions::default() };
    let rabbitmq = RabbitMq::start_with(options).await?;
    measure("rabbitmq", &LogConfig::rabbitmq_at(rabbitmq.address())).await
}

async fn measure(name: &str, log: &LogConfig) -> Result<()> {
    let admin = Admin::new(log)?;
    let spec = TopicSpec { name: "ventas".to_owned(), partitions: 1, replication: 1, ..TopicSpec::default() };
    admin.create_topics(&[spec]).await?;
    let producer = Producer::new(log, &ProducerConfig::default(), "ventas")?;
    producer.availability().watch().wait_for(|available| *available).await?;
    let record =
        OutgoingRecord { topic: "ventas".to_owned(), payload: vec![7; 100], ..OutgoingRecord::default() };
    let began = Instant::now();
    let mut under_way = std::collections::VecDeque::new();
    for _ in 0..RECORDS / AT_ONCE {
        if under_way.len() == IN_FLIGHT {
            let delivery: blackfriday_broker::BatchDelivery = under_way.pop_front().expect("it is full");
            for outcome in delivery.outcomes().await {
                outcome?;
            }
        }
        under_way.push_back(producer.publish_batch(vec![record.clone(); AT_ONCE]));
    }
    for delivery in under_way {
        for outcome in delivery.outcomes().await {
            outcome?;
        }
    }
    eprintln!("{name}: written, records/s: {:.0}", RECORDS as f64 / began.elapsed().as_secs_f64());
    let mut subscription = Subscription::open(log, BatchLimits::default(), false)?;
    let began = Instant::now();
    subscription.start(TopicPartition::new("ventas", 0), 0, 1);
    let mut read = 0;
    while read < RECORDS {
        if let Some(SubscriptionEvent::Batch(batch)) = subscription.next().await {
            read += batch.records.len();
        }
    }
    eprintln!("{name}: read, records/s: {:.0}", RECORDS as f64 / began.elapsed().as_secs_f64());
    Ok(())
}
