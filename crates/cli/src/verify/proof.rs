use std::collections::BTreeMap;

use blackfriday_store::{Difference, Value};
use serde_json::json;
use uuid::Uuid;

use super::log::{Log, Place};
use crate::output::{self, grouped};
use crate::receipts::Receipts;

/// What was compared, and where it differs.
pub(crate) struct Proof {
    pub(crate) accepted: u64,
    pub(crate) in_broker: u64,
    pub(crate) counted: u64,
    pub(crate) repeated: u64,
    undecodable: u64,
    unknown_written: u64,
    unknown_not_written: u64,
    unknown_unnamed: u64,
    without_receipt: u64,
    lost: Vec<Uuid>,
    doubled: Vec<Place>,
    uncounted: Vec<Place>,
    differences: Vec<Difference>,
    /// A record without a receipt is a difference.
    pub(crate) only_these: bool,
    /// There are receipts to compare with.
    pub(crate) with_receipts: bool,
}

impl Proof {
    pub(super) fn new(
        receipts: Receipts,
        log: Log,
        dump: &BTreeMap<String, Value>,
        differences: Vec<Difference>,
    ) -> Self {
        let lost = receipts.sales.iter().filter(|id| !log.sales.contains_key(*id));
        let lost = lost.chain(receipts.weather.iter().filter(|id| !log.weather.contains_key(*id)));
        let lost: Vec<_> = lost.copied().collect();
        let is_written = |id: &&Uuid| log.sales.contains_key(*id) || log.weather.contains_key(*id);
        let unknown_written = receipts.unknown.iter().filter(is_written).count() as u64;
        let accepted = (receipts.sales.len() + receipts.weather.len()) as u64;
        let events = (log.sales.len() + log.weather.len()) as u64;
        let known = accepted - lost.len() as u64 + unknown_written;
        Self {
            accepted,
            in_broker: log.sale_records + log.weather_records,
            counted: counted(dump),
            repeated: log.repeated,
            undecodable: log.undecodable,
            unknown_written,
            unknown_not_written: receipts.unknown.len() as u64 - unknown_written,
            unknown_unnamed: receipts.unnamed,
            without_receipt: events.saturating_sub(known),
            lost,
            doubled: log.doubled,
            uncounted: log.uncounted,
            differences,
            only_these: false,
            with_receipts: true,
        }
    }

    /// Nothing is lost, doubled, uncounted or different. A record without a receipt may be one whose outcome the client does
    /// not know.
    pub(crate) fn holds(&self) -> bool {
        let surplus = self.only_these && self.without_receipt > self.unknown_unnamed;
        self.lost.is_empty()
            && self.doubled.is_empty()
            && self.uncounted.is_empty()
            && self.differences.is_empty()
            && self.in_broker == self.counted + self.repeated
            && !surplus
    }

    pub(crate) fn to_json(&self, show: usize) -> serde_json::Value {
        let places = |places: &[Place]| {
            let place = |place: &Place| {
                json!({"id": place.id, "topic": &*place.partition.topic, "partition": place.partition.partition,
                       "offset": place.offset})
            };
            places.iter().take(show).map(place).collect::<Vec<_>>()
        };
        let difference = |difference: &Difference| {
            json!({"key": difference.key, "field": difference.field, "expected": difference.expected,
                   "found": difference.found})
        };
        json!({
            "holds": self.holds(),
            "accepted": self.accepted,
            "in_broker": self.in_broker,
            "counted": self.counted,
            "repeated_under_a_key": self.repeated,
            "undecodable": self.undecodable,
            "without_receipt": self.without_receipt,
            "unknown": {"written": self.unknown_written, "not_written": self.unknown_not_written,
                        "without_id": self.unknown_unnamed},
            "lost": {"count": self.lost.len(), "ids": self.lost.iter().take(show).collect::<Vec<_>>()},
            "doubled": {"count": self.doubled.len(), "records": places(&self.doubled)},
            "uncounted": {"count": self.uncounted.len(), "records": places(&self.uncounted)},
            "differences": {"count": self.differences.len(),
                            "keys": self.differences.iter().take(show).map(difference).collect::<Vec<_>>()},
        })
    }

    pub(crate) fn print(&self, show: usize) {
        let mut head = vec!["in the broker", "counted"];
        let mut row = vec![grouped(self.in_broker), grouped(self.counted)];
        if self.with_receipts {
            head.insert(0, "accepted");
            row.insert(0, grouped(self.accepted));
        }
        output::table(&head, [row]);
        self.print_notes();
        for id in self.lost.iter().take(show) {
            output::line(format!("lost: {id} was acknowledged and is not in the broker"));
        }
        for place in self.doubled.iter().take(show) {
            output::line(format!(
                "doubled: {} is in the broker again at {} offset {}",
                place.id, place.partition, place.offset
            ));
        }
        for place in self.uncounted.iter().take(show) {
            output::line(format!("uncounted: {} at {} offset {}", place.id, place.partition, place.offset));
        }
        for difference in self.differences.iter().take(show) {
            let field = difference.field.as_deref().map(|field| format!(" {field}")).unwrap_or_default();
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            let (expected, found) = (text(&difference.expected), text(&difference.found));
            output::line(format!(
                "differs: {}{field} holds {found}, and should hold {expected}",
                difference.key
            ));
        }
        output::line(if self.holds() {
            "holds: every accepted event is in the broker, and every key of the store is what they add up to"
                .to_owned()
        } else {
            format!(
                "DOES NOT HOLD: lost {}, doubled {}, uncounted {}, keys that differ {}",
                self.lost.len(),
                self.doubled.len(),
                self.uncounted.len(),
                self.differences.len()
            )
        });
    }

    fn print_notes(&self) {
        let notes = [
            (self.repeated, "records repeat an event under an idempotency key, and count once"),
            (self.undecodable, "records cannot be decoded, and belong to the dead letters"),
            (self.unknown_written, "events of unknown outcome were written"),
            (self.unknown_not_written, "events of unknown outcome were not written"),
            (self.unknown_unnamed, "requests have an unknown outcome and no identity"),
        ];
        for (count, note) in notes.into_iter().filter(|(count, _)| *count > 0) {
            output::line(format!("{} {note}", grouped(count)));
        }
        if self.with_receipts && self.without_receipt > 0 {
            output::line(format!(
                "{} events in the broker have no receipt here",
                grouped(self.without_receipt)
            ));
        }
    }
}

/// What the store itself says was counted: sales of all categories, and weather reports.
fn counted(dump: &BTreeMap<String, Value>) -> u64 {
    let number = |text: &String| text.parse::<u64>().unwrap_or(0);
    let ends = |name: &str| dump.iter().find(|(key, _)| key.ends_with(name)).map(|(_, value)| value);
    let sales = match ends("reportes:total") {
        Some(Value::Hash(fields)) => fields.values().map(number).sum(),
        _ => 0,
    };
    let reports = match ends("total_messages") {
        Some(Value::Text(text)) => number(text),
        _ => 0,
    };
    sales + reports
}

#[cfg(test)]
mod tests {
    use blackfriday_broker::TopicPartition;

    use super::*;

    fn proof() -> Proof {
        Proof {
            accepted: 3,
            in_broker: 3,
            counted: 3,
            repeated: 0,
            undecodable: 0,
            unknown_written: 0,
            unknown_not_written: 0,
            unknown_unnamed: 0,
            without_receipt: 0,
            lost: Vec::new(),
            doubled: Vec::new(),
            uncounted: Vec::new(),
            differences: Vec::new(),
            only_these: true,
            with_receipts: true,
        }
    }

    #[test]
    fn any_single_fault_breaks_the_proof() {
        assert!(proof().holds());
        let id = Uuid::now_v7();
        let place = || Place { id, partition: TopicPartition::new("ventas", 1), offset: 7 };
        let difference =
            Difference { key: "k".into(), field: None, expected: Some("1".into()), found: Some("2".into()) };
        for broken in [
            Proof { lost: vec![id], ..proof() },
            Proof { doubled: vec![place()], ..proof() },
            Proof { uncounted: vec![place()], ..proof() },
            Proof { differences: vec![difference], ..proof() },
            Proof { counted: 2, ..proof() },
            Proof { without_receipt: 1, ..proof() },
        ] {
            assert!(!broken.holds());
            assert_eq!(broken.to_json(5)["holds"], false);
        }
        assert!(Proof { without_receipt: 1, unknown_unnamed: 1, ..proof() }.holds());
        assert!(Proof { without_receipt: 1, only_these: false, ..proof() }.holds());
    }
}
