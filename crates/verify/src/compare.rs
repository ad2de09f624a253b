//! Compares what clients were told with what is in the log and what is counted.
//!
//! It reads every record from the beginning of the log to the stored positions, recomputes from them what the store has of these
//! topics, and compares every key. What must be counted is what lay in the log when it began. Records that come later do not
//! disturb it unless they are counted all the time: then no instant of the store can be read, and it gives up.
//!
//! Where retention has taken the beginning of a log, the rest of it is held against the store (`blackfriday_store::model`), and
//! what is gone is named: a whole proof it is not any more.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use blackfriday_broker::{Admin, EventLog, LogConfig};
use blackfriday_event::Timestamp;
use blackfriday_receipts::Receipts;
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use blackfriday_terminal::output;
use blackfriday_terminal::progress::Steps;

use crate::between::agree;
use crate::dead_letters;
use crate::log::{self, Log, Shown};
use crate::proof::Proof;
use crate::reach;
use crate::records;
use crate::topics::Topics;
use crate::wait;

/// Compares what was acknowledged with what is in the log and what is counted.
#[derive(clap::Args, Debug)]
#[command(after_help = "The consumer may run, and has to, if it is not done yet; end the load first.\n\
    Exit code 0 if all is equal, 1 if anything differs or cannot be proved, 69 if an event log or the store cannot be reached.\n\
    Where retention has taken the beginning of a topic that --allow-retention names, 0 if the rest of it holds.\n\n\
    Examples:\n  blackfriday verify --receipts run.receipts --kafka-brokers 127.0.0.1:9092 --valkey-url redis://127.0.0.1:6379\n  \
    blackfriday verify --log rabbitmq --topics clima --allow-retention clima\n  \
    blackfriday verify --both-logs --receipts weather.receipts")]
pub struct Arguments {
    /// Topics that are compared, separated by commas. What else the store counts may be of another log. All of them without
    /// it; with `--both-logs`, those that are for both.
    #[arg(long, env = "BLACKFRIDAY_VERIFY_TOPICS", value_name = "TOPICS")]
    topics: Option<Topics>,
    /// Compare the two logs with each other, and not a log with the store.
    #[arg(long)]
    both_logs: bool,
    /// Topics whose beginning may be gone by retention: then it is enough that what is left holds. Of what is gone the store is
    /// believed, and the result says so.
    #[arg(long, value_name = "TOPICS", conflicts_with = "both_logs")]
    allow_retention: Option<Topics>,
    /// What clients were told; may be given several times.
    #[arg(long, value_name = "FILE")]
    receipts: Vec<PathBuf>,
    /// How long the consumer may take to count up to the log's end; with `--both-logs`, how long an event may be on its way.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Differences of each kind that are shown.
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,
    /// A record without a receipt is a difference, too: only these clients have sent anything.
    #[arg(long, requires = "receipts")]
    only_these: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogConfig,
    #[command(flatten)]
    valkey: ValkeyConfig,
    #[command(flatten)]
    store: StoreConfig,
}

/// Compares and prints the result; true if nothing differs and that is proved, as far as it was asked for.
///
/// # Errors
/// A receipts file is wrong, or a log or the store cannot be reached.
pub async fn run(arguments: Arguments) -> Result<bool> {
    let mut receipts = Receipts::default();
    for path in &arguments.receipts {
        receipts.read(path)?;
    }
    if arguments.both_logs {
        compare_logs(&arguments, receipts).await
    } else {
        compare_with_store(&arguments, receipts).await
    }
}

async fn compare_with_store(arguments: &Arguments, receipts: Receipts) -> Result<bool> {
    let store = reach::both(&arguments.log, &arguments.valkey, &arguments.store).await?;
    let topics = arguments.topics.unwrap_or(Topics::ALL);
    let mut proof = proved(&arguments.log, &store, topics, receipts, arguments.wait, Shown::Yes).await?;
    proof.retained_is_enough = arguments.allow_retention;
    proof.only_these = arguments.only_these;
    proof.with_receipts = !arguments.receipts.is_empty();
    if arguments.json {
        output::line(proof.to_json(arguments.show));
    } else {
        proof.print(arguments.show);
    }
    Ok(proof.is_enough())
}

async fn compare_logs(arguments: &Arguments, receipts: Receipts) -> Result<bool> {
    let [kafka, rabbitmq] =
        [EventLog::Kafka, EventLog::RabbitMq].map(|log| LogConfig { log, ..arguments.log.clone() });
    kafka.reach().await?;
    rabbitmq.reach().await?;
    let topics = arguments.topics.unwrap_or(Topics::WEATHER);
    let step = Steps::new("reading both logs");
    let agreement = agree([&kafka, &rabbitmq], topics, receipts, arguments.wait).await;
    drop(step);
    let mut agreement = agreement?;
    agreement.only_these = arguments.only_these;
    agreement.with_receipts = !arguments.receipts.is_empty();
    if arguments.json {
        output::line(agreement.to_json(arguments.show));
    } else {
        agreement.print(arguments.show);
    }
    Ok(agreement.holds())
}

/// Waits for the consumer, reads the log, and compares. What the store has of other topics is left out.
///
/// # Errors
/// The log or the store cannot be reached.
pub async fn prove(
    config: &LogConfig,
    store: &Store,
    topics: Topics,
    receipts: Receipts,
    limit: Duration,
) -> Result<Proof> {
    proved(config, store, topics, receipts, limit, Shown::No).await
}

async fn proved(
    config: &LogConfig,
    store: &Store,
    topics: Topics,
    mut receipts: Receipts,
    limit: Duration,
    shown: Shown,
) -> Result<Proof> {
    topics.keep(&mut receipts);
    let step = (shown == Shown::Yes).then(|| Steps::new("waiting until everything is counted"));
    let admin = Admin::new(config)?;
    let ends = wait::ends(&admin, topics).await?;
    wait::until_counted(config, &admin, store, topics, &ends, limit).await?;
    let (stored, dump) = wait::still_store(store, topics, limit).await?;
    drop(step);
    let dump = Arc::new(dump);
    let (spans, log) = records::uncut(async || {
        let spans = wait::spans(&admin, &ends, &stored).await?;
        let log = Log::new(store.model(), stored.clone(), &spans, &dump);
        let log = log::read(config, &spans, log, shown).await?;
        Ok((spans, log))
    })
    .await?;
    let buried = if log.belongs_to_the_dead_letters().next().is_none() {
        HashSet::new()
    } else {
        dead_letters::origins(config, &admin, topics).await?
    };
    let now = Timestamp::from(SystemTime::now()).millis();
    let differences = log.model.compare(&dump, now);
    let mut proof = Proof::new(receipts, log, &spans, &buried, &dump, differences);
    for topic in topics.names() {
        if wait::is_compacted(&admin, topic).await? {
            proof.is_compacted(topic);
        }
    }
    Ok(proof)
}
