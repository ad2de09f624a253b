//! A small field of its own, next to the one under load, for what must stop a consumer: a log that is not the one that was
//! counted. One partition, one consumer, one store.
//!
//! What is expected is the same each time: the consumer stops the partition and says so, also to a store's reader; nothing is
//! counted that was not before, and the position stays; `verify` does not hold. Then it is repaired as the operations' page has
//! it, and counting goes on.

use std::slice;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_broker::{Admin, EventLog, SALES, TopicPartition, TopicSpec, Watermarks};
use blackfriday_receipts::Receipts;
use blackfriday_stack::eventually;
use blackfriday_verify::create::{self, Shape};
use blackfriday_verify::{Topics, prove};
use tokio::time::timeout;

use super::field::{Log, Side};
use super::inject::{kafka, record};
use super::kind::Loss;
use super::setup::{Setup, StoreKind};
use crate::processes::Processes;
use crate::service::Service;

const LIMIT: Duration = Duration::from_secs(60);
/// How long `verify` waits for what will not be counted.
const VERIFY: Duration = Duration::from_secs(1);
/// Sales that are counted before, and those that are not.
const COUNTED: u64 = 200;
const NOT_COUNTED: u64 = 100;
/// Of a topic of RabbitMQ that is small: a few of the smallest segments that there are.
const KEPT_BYTES: u64 = 400_000;
/// Its one server, and its one partition.
const ONLY: u32 = 0;
const PARTITION: i32 = 0;

struct Aside {
    side: Side,
    processes: Processes,
    /// Sales that were published.
    published: u64,
}

/// Meets a loss, and repairs it; what was not as it should be.
pub(super) async fn meet(loss: Loss, log: EventLog) -> Result<Vec<String>> {
    let mut aside = Aside::start(loss, log).await?;
    aside.publish(COUNTED).await?;
    aside.is_counted(COUNTED).await?;
    aside.lose(loss).await.with_context(|| format!("{loss:?}"))?;
    let position = aside.position().await?;
    let counted = aside.counted().await?;
    aside.processes.spawn(Service::Consumer)?;
    let mut complaints = Vec::new();
    if eventually(LIMIT, async || aside.is_stopped().await).await.is_err() {
        complaints.push(format!("{loss:?}: the consumer does not say that it stopped"));
    }
    if (aside.position().await?, aside.counted().await?) != (position, counted) {
        complaints.push(format!("{loss:?}: something was skipped or counted"));
    }
    if aside.is_proved().await? {
        complaints.push(format!("{loss:?}: verify says that all is well"));
    }
    aside.repair(loss).await?;
    if let Err(error) = aside.goes_on(loss).await {
        complaints.push(format!("{loss:?}: counting does not go on after the repair: {error:#}"));
    }
    Ok(complaints)
}

impl Aside {
    async fn start(loss: Loss, log: EventLog) -> Result<Self> {
        let setup = Setup { log, brokers: 1, store: StoreKind::Valkey, clocks: false };
        let side = Side::start(setup, shape(), None).await?;
        if (loss, log) == (Loss::Retention, EventLog::RabbitMq) {
            make_small(&side.log).await?;
        }
        let mut processes = Processes::new(&Service::ALONE)?;
        side.tell(&mut processes, &Service::ALONE);
        for (name, value) in side.environment() {
            processes.set_of_commands(name, &value);
        }
        processes.start_all().await?;
        Ok(Self { side, processes, published: 0 })
    }

    async fn publish(&mut self, count: u64) -> Result<()> {
        let sales = (self.published..self.published + count).map(record::sale);
        record::publish(&self.side.log.config(), SALES, sales.collect()).await?;
        self.published += count;
        Ok(())
    }

    /// The log becomes another one while nobody counts.
    async fn lose(&mut self, loss: Loss) -> Result<()> {
        let log = &self.side.log;
        if loss == Loss::Tail {
            log.kill(ONLY)?;
            log.checkpoint()?;
            log.restart(ONLY).await?;
            self.publish(NOT_COUNTED).await?;
            self.is_counted(COUNTED + NOT_COUNTED).await?;
        }
        let status = self.processes.terminate(Service::Consumer).await?;
        ensure!(status.success(), "the consumer ended with {status}");
        match loss {
            Loss::Retention => timeout(LIMIT, self.let_go()).await.context("the log lets go of nothing")?,
            Loss::Tail => {
                self.side.log.roll_back()?;
                self.side.log.restart(ONLY).await?;
                // Past the position, with other records.
                self.publish(2 * NOT_COUNTED).await
            }
            Loss::Deleted => {
                self.side.log.delete_topic(SALES).await?;
                let made = async || create::make(&self.side.log.config(), &shape()).await.is_ok();
                eventually(LIMIT, async || made().await && self.ends().await.is_ok())
                    .await
                    .context("the topic again")?;
                self.publish(COUNTED + NOT_COUNTED).await
            }
        }
    }

    /// Retention of what is not counted. RabbitMQ has it when there is too much; Kafka is told to.
    async fn let_go(&mut self) -> Result<()> {
        if let Log::Kafka(kafka) = &self.side.log {
            let servers = kafka.bootstrap();
            self.publish(NOT_COUNTED).await?;
            return kafka::delete_before(&servers, SALES, PARTITION, COUNTED + NOT_COUNTED / 2).await;
        }
        while u64::try_from(self.ends().await?.low)? <= COUNTED {
            self.publish(10 * NOT_COUNTED).await?;
        }
        Ok(())
    }

    /// As the operations' page has it.
    async fn repair(&self, loss: Loss) -> Result<()> {
        match loss {
            Loss::Retention => {
                let partition = PARTITION.to_string();
                let arguments = ["--topic", SALES, "--partition", &partition, "--at", "earliest"];
                self.processes.run("resume", &arguments).await.map(drop)
            }
            Loss::Tail | Loss::Deleted => {
                self.side.counters.primary().await?.command(&["FLUSHALL"]).await?;
                Ok(())
            }
        }
    }

    async fn goes_on(&self, loss: Loss) -> Result<()> {
        self.processes.wait_ready(Service::Consumer, true).await?;
        let end = u64::try_from(self.ends().await?.high)?;
        self.is_counted(end).await?;
        // Where the log has lost what was counted, no proof can hold again.
        let holds = loss == Loss::Retention || self.is_proved().await?;
        ensure!(holds, "verify does not hold");
        Ok(())
    }

    /// The position is stored as stopped, and the consumer is not ready.
    async fn is_stopped(&self) -> bool {
        let Ok(server) = self.side.counters.primary().await else { return false };
        let reason = server.command(&["HGET", &format!("detenido:{SALES}"), &PARTITION.to_string()]).await;
        reason.is_ok_and(|reason| !reason.is_empty()) && !self.processes.is_ready(Service::Consumer).await
    }

    async fn is_proved(&self) -> Result<bool> {
        let (config, store) = (self.side.log.config(), self.side.store()?);
        Ok(prove(&config, &store, Topics::SALES, Receipts::default(), VERIFY).await?.holds())
    }

    async fn is_counted(&self, count: u64) -> Result<()> {
        let counted = async || self.position().await.is_ok_and(|position| position == count);
        eventually(LIMIT, counted).await.with_context(|| format!("{count} are counted"))
    }

    async fn position(&self) -> Result<u64> {
        let server = self.side.counters.primary().await?;
        let next = server.command(&["HGET", &format!("posicion:{SALES}"), &PARTITION.to_string()]).await?;
        if next.is_empty() { Ok(0) } else { next.trim().parse().context("a position") }
    }

    /// What was counted, as the store tells it.
    async fn counted(&self) -> Result<String> {
        Ok(self.side.counters.primary().await?.command(&["HGETALL", "reportes:total"]).await?)
    }

    async fn ends(&self) -> Result<Watermarks> {
        let partition = TopicPartition::new(SALES, PARTITION);
        Ok(Admin::new(&self.side.log.config())?.watermarks(&partition).await?)
    }
}

/// In place of the topic that there is, one that RabbitMQ keeps small.
async fn make_small(log: &Log) -> Result<()> {
    log.delete_topic(SALES).await?;
    let spec = TopicSpec {
        name: SALES.to_owned(),
        partitions: 1,
        replication: 1,
        retention_bytes: Some(KEPT_BYTES),
        ..TopicSpec::default()
    };
    let made = async || {
        Ok::<_, anyhow::Error>(Admin::new(&log.config())?.create_topics(slice::from_ref(&spec)).await?)
    };
    eventually(LIMIT, async || made().await.is_ok()).await.context("a small topic")
}

fn shape() -> Shape {
    Shape { partitions: 1, ..Shape::default() }
}
