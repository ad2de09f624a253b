//! The verdicts: what clients were told, against the logs and the stores, once everything is counted.
//!
//! The log is read as bytes and decoded here by hand ([`raw`]), and the store's keys are computed a second time by hand and read
//! by plain commands ([`naive`]): neither shares code with the services that are judged. `verify` says the same in its own way.

mod both;
mod naive;
mod protobuf;
mod raw;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::EventLog;
use blackfriday_receipts::{Content, Receipt, Receipts, Refusal};
use blackfriday_verify::{Topics, agree, prove};
use serde_json::{Value, json};

use self::raw::Raw;
use super::clients::draft_of;
use super::field::{Field, Side};
use super::ledger::{Entry, Ledger, Sent, Told};

/// How long counting may take to reach the log's end.
const COUNT_LIMIT: Duration = Duration::from_secs(90);
/// How long the last reports may be on their way to one of the logs. Where a clock is wrong, nothing else ends the wait.
const ON_ITS_WAY: Duration = Duration::from_secs(15);
/// Faults of a verdict that are named.
pub(crate) const SHOWN: usize = 10;

/// One of the verdicts.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) name: &'static str,
    /// How many were looked at.
    pub(crate) of: usize,
    /// What contradicts it.
    pub(crate) faults: Vec<String>,
}

/// Waits until all is counted, and judges.
pub(crate) async fn judge(field: &Field, ledger: &Ledger) -> Result<Vec<Verdict>> {
    let entries = ledger.entries();
    // The proofs wait for the consumers, so that what is read after them is still.
    let (main, second) = (&field.main, &field.second);
    let by_verify = proved(main, Topics::ALL, &entries).await?;
    let second_by_verify = proved(second, Topics::WEATHER, &entries).await?;
    let agree_by_verify = agreed([main, second], &entries).await?;
    let records = raw::read(&main.log.config()).await?;
    let second_records = raw::read(&second.log.config()).await?;
    let (log, second_log) = (by_name(&records), by_name(&second_records));
    let server = main.counters.primary().await?;
    let units = naive::units(&server).await?;
    let second_server = second.counters.primary().await?;
    let logs = match main.kind() {
        EventLog::Kafka => [&log, &second_log],
        EventLog::RabbitMq => [&second_log, &log],
    };
    Ok(vec![
        accepted_are_in_the_log(&entries, &log),
        refused_are_not(&entries, &log),
        counted_once(&entries, &units),
        by_verify.named("the store equals its log, by verify"),
        naive::agrees(&server, &records)
            .await?
            .named("the store equals its log, by a recomputation of its own"),
        no_strangers(&entries, &records).named("nothing else in the log can be counted"),
        both::agree(&entries, logs),
        agree_by_verify,
        second_by_verify.named("the other log's store equals it, by verify"),
        naive::agrees(&second_server, &second_records)
            .await?
            .named("the other log's store equals it, by a recomputation of its own"),
        no_strangers(&entries, &second_records).named("nothing else in the other log can be counted"),
    ])
}

impl Verdict {
    fn new(name: &'static str, of: usize) -> Self {
        Self { name, of, faults: Vec::new() }
    }

    fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(crate) fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        let faults: Vec<_> = self.faults.iter().take(SHOWN).collect();
        json!({"name": self.name, "holds": self.holds(), "of": self.of,
               "faults": {"count": self.faults.len(), "shown": faults}})
    }
}

fn by_name(records: &[Raw]) -> HashMap<&str, Vec<&Raw>> {
    let mut log: HashMap<_, Vec<_>> = HashMap::new();
    for record in records {
        log.entry(record.name()).or_default().push(record);
    }
    log
}

/// Each acknowledged event has a record with its identity and its content.
fn accepted_are_in_the_log(entries: &BTreeMap<String, Entry>, log: &HashMap<&str, Vec<&Raw>>) -> Verdict {
    let accepted: Vec<_> = entries.iter().filter(|(_, entry)| entry.known() == Told::Accepted).collect();
    let mut verdict = Verdict::new("every acknowledged event is in the log", accepted.len());
    for (name, entry) in accepted {
        let records = log.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let same =
            |record: &&&Raw| entry.id.is_none_or(|id| record.id == *id.as_bytes()) && record.is(&entry.sent);
        if records.iter().find(same).is_none() {
            verdict
                .faults
                .push(format!("{name} was acknowledged, and the log has {} others of it", records.len()));
        }
    }
    verdict
}

fn refused_are_not(entries: &BTreeMap<String, Entry>, log: &HashMap<&str, Vec<&Raw>>) -> Verdict {
    let refused: Vec<_> = entries.iter().filter(|(_, entry)| entry.known() == Told::Refused).collect();
    let mut verdict = Verdict::new("no refused event is in the log", refused.len());
    for (name, _) in refused {
        if let Some(records) = log.get(name.as_str()) {
            let places: Vec<_> = records.iter().map(|record| record.place()).collect();
            verdict.faults.push(format!("{name} was refused, and is at {}", places.join(", ")));
        }
    }
    verdict
}

/// By the units of each sale's own product, in the store: all of them once if it was acknowledged, none if it was refused.
fn counted_once(entries: &BTreeMap<String, Entry>, units: &HashMap<String, u64>) -> Verdict {
    let mut verdict = Verdict::new("every event and every key is counted at most once", 0);
    for (name, entry) in entries {
        let Sent::Sale { units: sent, .. } = entry.sent else { continue };
        verdict.of += 1;
        let (sent, counted) = (u64::from(sent), units.get(name).copied().unwrap_or(0));
        let right = match entry.known() {
            Told::Accepted => counted == sent,
            Told::Refused => counted == 0,
            Told::Unknown => counted == 0 || counted == sent,
        };
        if !right {
            let told = entry.known();
            verdict
                .faults
                .push(format!("{name} was told {told:?} with {sent} units, and {counted} are counted"));
        }
    }
    verdict
}

/// Whatever can be counted was sent by one of the clients, with this content.
fn no_strangers(entries: &BTreeMap<String, Entry>, records: &[Raw]) -> Verdict {
    let mut verdict = Verdict::new("no strangers", records.len());
    for record in records.iter().filter(|record| record.can_be_counted()) {
        if !entries.get(record.name()).is_some_and(|entry| record.is(&entry.sent)) {
            verdict.faults.push(format!("{} at {} was never sent so", record.name(), record.place()));
        }
    }
    verdict
}

/// The proof of `verify` with receipts from the ledger.
async fn proved(side: &Side, topics: Topics, entries: &BTreeMap<String, Entry>) -> Result<Verdict> {
    let store = side.store()?;
    let receipts = receipts(entries);
    let proof = prove(&side.log.config(), &store, topics, receipts, COUNT_LIMIT).await.context("verify")?;
    let mut verdict = Verdict::new("by verify", usize::try_from(proof.in_log())?);
    if !proof.holds() {
        let json = proof.to_json(SHOWN);
        let members = json.as_object().into_iter().flatten();
        let faults = members.filter(|(name, value)| is_fault(name, value));
        verdict.faults.extend(faults.map(|(name, value)| format!("{name}: {value}")));
    }
    Ok(verdict)
}

/// The comparison of both logs by `verify`, with receipts from the ledger.
async fn agreed(sides: [&Side; 2], entries: &BTreeMap<String, Entry>) -> Result<Verdict> {
    let logs = sides.map(|side| side.log.config());
    let receipts = receipts(entries);
    let agreement = agree([&logs[0], &logs[1]], Topics::WEATHER, receipts, ON_ITS_WAY).await;
    let agreement = agreement.context("verify both logs")?;
    let in_both = usize::try_from(agreement.in_both())?;
    let mut verdict = Verdict::new("the two logs agree, by verify", in_both);
    if !agreement.holds() {
        verdict.faults.push(agreement.to_json(SHOWN).to_string());
    }
    Ok(verdict)
}

/// Of the proof's members, those with lists that are not empty. Records without a receipt are looked at by their names.
fn is_fault(name: &str, value: &Value) -> bool {
    let is_list = value["count"].as_u64().is_some_and(|count| count > 0);
    let is_unproved = name == "unproved" && value.as_array().is_some_and(|unproved| !unproved.is_empty());
    (is_list && name != "without_receipt" && name != "refused_without_id_and_written") || is_unproved
}

fn receipts(entries: &BTreeMap<String, Entry>) -> Receipts {
    let mut receipts = Receipts::default();
    for (name, entry) in entries {
        let content = draft_of(name, &entry.sent).map(|draft| Content::of_sale(&draft));
        let receipt = entry.identity().map(|id| Receipt { id, content });
        match (entry.known(), receipt) {
            (Told::Accepted, Some(receipt)) if matches!(entry.sent, Sent::Sale { .. }) => {
                receipts.sales.push(receipt);
            }
            (Told::Accepted, Some(receipt)) => receipts.weather.push(receipt),
            (Told::Unknown, Some(receipt)) => receipts.unknown.push(receipt),
            (Told::Refused, Some(receipt)) => receipts.refused.push(Refusal { receipt, status: 503 }),
            // By its name it is looked for above.
            (_, None) => {}
        }
    }
    receipts
}
