//! Compares what clients were told with what is in the broker and what is counted.
//!
//! It reads every record from the beginning of the log to the stored positions, recomputes the whole store from them, and
//! compares every key. What must be counted is what lay in the log when it began. Records that come later do not disturb it
//! unless they are counted all the time: then no instant of the store can be read, and it gives up.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use blackfriday_broker::kafka::{Admin, KafkaConfig};
use blackfriday_event::Timestamp;
use blackfriday_receipts::Receipts;
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use blackfriday_terminal::output;

use crate::dead_letters;
use crate::log::{self, Log};
use crate::proof::Proof;
use crate::records::TOPICS;
use crate::wait;

/// Compares what was acknowledged with what is in the broker and what is counted.
#[derive(clap::Args, Debug)]
#[command(after_help = "The consumer may run, and has to, if it is not done yet; end the load first.\n\
    Exit code 0 if all is equal, 1 if anything differs or cannot be proved, 69 if Kafka or Valkey cannot be reached.\n\n\
    Example:\n  blackfriday verify --receipts run.receipts --kafka-brokers 127.0.0.1:9092 --valkey-url redis://127.0.0.1:6379")]
pub struct Arguments {
    /// What clients were told; may be given several times.
    #[arg(long)]
    receipts: Vec<PathBuf>,
    /// How long the consumer may take to count up to the log's end.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Differences of each kind that are shown.
    #[arg(long, default_value_t = 20)]
    show: usize,
    /// A record without a receipt is a difference, too: only these clients have sent anything.
    #[arg(long, requires = "receipts")]
    only_these: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    kafka: KafkaConfig,
    #[command(flatten)]
    valkey: ValkeyConfig,
    #[command(flatten)]
    store: StoreConfig,
}

/// Compares and prints the result; true if nothing differs.
///
/// # Errors
/// A receipts file is wrong, or Kafka or Valkey cannot be reached.
pub async fn run(arguments: Arguments) -> Result<bool> {
    let mut receipts = Receipts::default();
    for path in &arguments.receipts {
        receipts.read(path)?;
    }
    let with_receipts = !arguments.receipts.is_empty();
    let store = Store::new(&arguments.valkey, &arguments.store)?;
    let mut proof = prove(&arguments.kafka, &store, receipts, arguments.wait).await?;
    proof.only_these = arguments.only_these;
    proof.with_receipts = with_receipts;
    if arguments.json {
        output::line(proof.to_json(arguments.show));
    } else {
        proof.print(arguments.show);
    }
    Ok(proof.holds())
}

/// Waits for the consumer, reads the log, and compares.
///
/// # Errors
/// Kafka or Valkey cannot be reached, or the log does not go back to its beginning.
pub async fn prove(kafka: &KafkaConfig, store: &Store, receipts: Receipts, limit: Duration) -> Result<Proof> {
    let admin = Admin::new(kafka)?;
    let ends = wait::ends(&admin).await?;
    wait::until_counted(kafka, &admin, store, &ends, limit).await?;
    let (stored, dump) = wait::still_store(store, limit).await?;
    let spans = wait::spans(&admin, ends, &stored).await?;
    let log = log::read(kafka, &spans, Log::new(store.model(), stored)).await?;
    let buried = if log.belongs_to_the_dead_letters().next().is_none() {
        HashSet::new()
    } else {
        dead_letters::origins(kafka, &admin, &TOPICS).await?
    };
    let now = Timestamp::from(SystemTime::now()).millis();
    let differences = log.model.compare(&dump, now);
    let mut proof = Proof::new(receipts, log, &spans, &buried, &dump, differences);
    for topic in TOPICS {
        let policy = admin.setting(topic, "cleanup.policy").await?;
        if policy.is_some_and(|policy| policy.contains("compact")) {
            proof.is_compacted(topic);
        }
    }
    Ok(proof)
}
