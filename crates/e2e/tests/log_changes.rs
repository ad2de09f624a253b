//! What a broker adds to a log by itself, and what somebody does to a topic: `verify` compares rightly, or says what is wrong.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{Pipeline, Service};
use blackfriday_event::{Category, EventId, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp};
use blackfriday_proto::encode_record;
use blackfriday_stack::eventually;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

const LIMIT: Duration = Duration::from_secs(60);
/// What `verify` takes when it waits for nothing: its own wait is longer.
const AT_ONCE: Duration = Duration::from_secs(25);

fn transactional(pipeline: &Pipeline) -> Result<ThreadedProducer<DefaultProducerContext>> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", pipeline.kafka.bootstrap()).set("transactional.id", "somebody-else");
    let producer: ThreadedProducer<DefaultProducerContext> = settings.create()?;
    producer.init_transactions(LIMIT)?;
    Ok(producer)
}

/// Writes sales in a transaction; their identities.
fn write(producer: &ThreadedProducer<DefaultProducerContext>, sales: usize) -> Result<Vec<EventId>> {
    producer.begin_transaction()?;
    let mut ids = Vec::new();
    for _ in 0..sales {
        let sale = Sale {
            id: EventId::new_v7(),
            accepted_at: Timestamp::from(SystemTime::now()),
            idempotency_key: None,
            draft: SaleDraft {
                category: Category::Ropa,
                product_id: ProductId::new("P-1").map_err(|error| anyhow::anyhow!("{error}"))?,
                price: Money::from_cents(1_050).map_err(|error| anyhow::anyhow!("{error}"))?,
                quantity: Quantity::new(1).map_err(|error| anyhow::anyhow!("{error}"))?,
            },
        };
        let payload = encode_record(&sale);
        let record = BaseRecord::<(), _>::to("ventas").partition(0).payload(&payload);
        producer.send(record).map_err(|(error, _)| error)?;
        ids.push(sale.id);
    }
    producer.flush(LIMIT)?;
    Ok(ids)
}

/// A transaction's marker is the last offset of its partition, and nothing to count.
#[tokio::test(flavor = "multi_thread")]
async fn transaction_markers_at_the_end_do_not_hold_the_proof_up() -> Result<()> {
    let mut pipeline = Pipeline::start(&[]).await?;
    let producer = transactional(&pipeline)?;
    let ids = write(&producer, 5)?;
    producer.commit_transaction(LIMIT)?;
    let lines: String = ids.iter().map(|id| format!("+ {id}\n")).collect();
    let receipts = pipeline.write_receipts("committed", &lines)?;
    // The coordinator says that it is committed before the partition's marker is written: until then nobody reads it.
    let committed = async || {
        let proof = pipeline.verify_receipts(&[&receipts], &["--only-these"]).await;
        proof.is_ok_and(|proof| proof["counted"] == 5)
    };
    eventually(LIMIT, committed).await.context("what was committed is counted")?;
    let started = Instant::now();
    pipeline.verify_receipts(&[&receipts], &["--only-these"]).await?;
    ensure!(started.elapsed() < AT_ONCE, "{:?} although all is counted", started.elapsed());

    // Nobody moves the position past what was aborted, and there is nothing to count.
    pipeline.terminate(Service::Consumer).await?;
    write(&producer, 3)?;
    producer.abort_transaction(LIMIT)?;
    let started = Instant::now();
    let proof = pipeline.verify_receipts(&[&receipts], &["--only-these"]).await?;
    ensure!(proof["counted"] == 5 && proof["in_broker"] == 5, "{proof}");
    ensure!(started.elapsed() < AT_ONCE, "{:?} although all is counted", started.elapsed());
    Ok(())
}

/// A topic is deleted, made again and filled past the position: equal totals would be an accident, and are not shown.
#[tokio::test]
async fn a_topic_that_was_made_again_is_named() -> Result<()> {
    let mut pipeline = Pipeline::start(&[]).await?;
    let load = pipeline.load("before", &["--sales", "400", "--rate", "400"])?;
    load.finish_undisturbed(LIMIT).await?;
    pipeline.verify(&[&load]).await?;
    pipeline.terminate(Service::Consumer).await?;

    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", pipeline.kafka.bootstrap()).create()?;
    let deleted = admin.delete_topics(&["ventas"], &AdminOptions::new()).await?;
    ensure!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    let made = async || {
        let made = pipeline.run("topics", &["create", "--partitions", "4"]).await.is_ok();
        made && pipeline.run("tail", &["--limit", "1"]).await.is_ok()
    };
    eventually(LIMIT, made).await.context("the topic is made again")?;
    for writer in [Service::WriterA, Service::WriterB] {
        pipeline.terminate(writer).await?;
        pipeline.spawn(writer)?;
        pipeline.wait_ready(writer, true).await?;
    }
    let load = pipeline.load("after", &["--sales", "600", "--rate", "400"])?;
    load.finish(LIMIT).await?;
    let error = pipeline.verify_receipts(&[&load.receipts], &["--wait", "2s"]).await;
    let told = error.err().context("the store has counted another log")?.to_string();
    ensure!(told.contains("\"counted\":null"), "{told}");
    ensure!(!told.contains("\"counted_from_another_log\":{\"count\":0"), "{told}");
    Ok(())
}
