//! Reports go to two logs: what their clients were told of each, against what each holds.

use std::collections::{BTreeMap, HashMap};

use super::Verdict;
use super::raw::Raw;
use crate::chaos::ledger::{Entry, Sent, Told};

/// Kafka and RabbitMQ.
const NAMES: [&str; 2] = ["Kafka", "RabbitMQ"];

/// Where a log was said to have a report it has it, with its content and its identity; where it was said not to have it, it has
/// not; and what both have is the same event.
pub(super) fn agree(entries: &BTreeMap<String, Entry>, logs: [&HashMap<&str, Vec<&Raw>>; 2]) -> Verdict {
    let mut verdict = Verdict::new("the two logs have what was said of each, and agree", 0);
    for (name, entry) in entries.iter().filter(|(_, entry)| matches!(entry.sent, Sent::Weather { .. })) {
        verdict.of += 1;
        let held = logs.map(|log| log.get(name.as_str()).map(Vec::as_slice).unwrap_or_default());
        let told = entry.logs.unwrap_or([Told::Unknown; 2]);
        for ((log, held), told) in NAMES.into_iter().zip(held).zip(told) {
            if let Some(fault) = contradiction(entry, told, held) {
                verdict.faults.push(format!("{name} was told {told:?} in {log}, {fault}"));
            }
        }
        if let [[first, ..], [second, ..]] = held
            && first.id != second.id
        {
            verdict.faults.push(format!("{name} is two events: {} and {}", first.place(), second.place()));
        }
    }
    verdict
}

fn contradiction(entry: &Entry, told: Told, held: &[&Raw]) -> Option<String> {
    let is_it = |record: &&Raw| {
        entry.identity().is_none_or(|id| record.id == *id.as_bytes()) && record.is(&entry.sent)
    };
    match (told, held) {
        (Told::Accepted, held) if !held.iter().any(is_it) => {
            Some(format!("which has {} others of it", held.len()))
        }
        (Told::Refused, [first, ..]) => Some(format!("which has it at {}", first.place())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use blackfriday_broker::WEATHER;
    use uuid::Uuid;

    use super::super::raw::Event;
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn record(id: Uuid, country: &str) -> Raw {
        let (country, weather) = (country.to_owned(), "Nublado".to_owned());
        let event = Event::Weather { description: "w".to_owned(), country, weather };
        let id = id.as_bytes().to_vec();
        Raw { topic: WEATHER, partition: 0, offset: 3, time_ms: 5_000, id, key: String::new(), event }
    }

    fn faults(told: [Told; 2], held: [&[&Raw]; 2]) -> Vec<String> {
        let sent = Sent::Weather { country: "GT", weather: "Nublado" };
        let entry = Entry { sent, key: None, told: Some(Told::Unknown), id: Some(ID), logs: Some(told) };
        let [kafka, rabbitmq] = held.map(|records| HashMap::from([("w", records.to_vec())]));
        agree(&BTreeMap::from([("w".to_owned(), entry)]), [&kafka, &rabbitmq]).faults
    }

    #[test]
    fn what_was_said_of_a_log_is_held_against_it() {
        use Told::{Accepted, Refused, Unknown};
        let (it, other, foreign) = (record(ID, "GT"), record(Uuid::max(), "GT"), record(ID, "MX"));
        assert!(faults([Accepted, Refused], [&[&it], &[]]).is_empty());
        assert!(faults([Unknown, Unknown], [&[&it], &[]]).is_empty());
        assert!(faults([Accepted, Accepted], [&[&it], &[&it]]).is_empty());
        assert_eq!(faults([Accepted, Accepted], [&[&it], &[]]).len(), 1);
        assert_eq!(faults([Accepted, Refused], [&[&it], &[&it]]).len(), 1);
        assert_eq!(faults([Accepted, Accepted], [&[&it], &[&foreign]]).len(), 1);
        assert_eq!(faults([Unknown, Unknown], [&[&it], &[&other]]).len(), 1);
    }
}
