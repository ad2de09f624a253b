use std::sync::Arc;

use blackfriday_broker::{Record, TopicPartition};
use blackfriday_event::{
    Category, EventId, IdempotencyKey, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp, WeatherDraft,
    WeatherReport,
};
use blackfriday_proto::encode_record;
use blackfriday_receipts::{Content, Receipt, Refusal};
use blackfriday_store::{LastRecord, Store, StoreConfig, StoredPartition, ValkeyConfig};

use super::*;
use crate::wait::{Offsets, Stored};

mod log;
mod receipts;
mod retention;

const NOW_MS: u64 = 1_795_000_000_000;

/// A log of records, receipts for them, and a store that has counted them: all of it right until a test spoils it.
struct Case {
    records: Vec<(TopicPartition, Record)>,
    positions: Offsets,
    receipts: Receipts,
    buried: HashSet<Place>,
    only_these: bool,
    /// Whether the log's clock stamps records.
    appended: bool,
    /// Last counted records of another log.
    last: BTreeMap<TopicPartition, LastRecord>,
    stopped: BTreeMap<TopicPartition, String>,
    /// What retention has left begins here.
    lows: Offsets,
}

impl Case {
    /// Six sales in two partitions and a weather report, each with its receipt.
    fn new() -> Self {
        let mut case = Self {
            records: Vec::new(),
            positions: Offsets::new(),
            receipts: Receipts::default(),
            buried: HashSet::new(),
            only_these: true,
            appended: true,
            last: BTreeMap::new(),
            stopped: BTreeMap::new(),
            lows: Offsets::new(),
        };
        for number in 0..6 {
            case.sell(number % 2, &sale(None));
        }
        let report = report();
        case.push(&TopicPartition::new("clima", 0), encode_record(&report));
        let content = Some(Content::of_weather(&report.draft));
        case.receipts.weather.push(Receipt { id: report.id.as_uuid(), content });
        case
    }

    fn sell(&mut self, partition: i32, sale: &Sale) {
        self.push_at(&TopicPartition::new("ventas", partition), encode_record(sale), sale.accepted_at);
        self.receipts.sales.push(receipt(sale));
    }

    /// Appends a record, and counts it.
    fn push(&mut self, partition: &TopicPartition, payload: Vec<u8>) {
        self.push_at(partition, payload, Timestamp::from_millis(NOW_MS).expect("a time"));
    }

    fn push_at(&mut self, partition: &TopicPartition, payload: Vec<u8>, at: Timestamp) {
        let position = self.positions.entry(partition.clone()).or_default();
        let record = Record {
            offset: *position,
            timestamp_ms: at.millis().try_into().expect("a time"),
            appended: self.appended,
            key: None,
            payload,
            traceparent: None,
            headers: Vec::new(),
        };
        *position += 1;
        self.records.push((partition.clone(), record));
    }

    fn proof(self) -> Proof {
        self.proof_of(|_| ())
    }

    /// The proof, with a store that holds what it must but for what `spoil` does to it.
    fn proof_of(self, spoil: impl FnOnce(&mut BTreeMap<String, Value>)) -> Proof {
        let valkey = ValkeyConfig::new("redis://127.0.0.1:1").expect("a URL");
        let store = Store::new(&valkey, &StoreConfig::default()).expect("does not connect");
        let mut ends = Offsets::new();
        for (partition, record) in &self.records {
            ends.insert(partition.clone(), record.offset + 1);
        }
        let stored = |(partition, next): (&TopicPartition, &i64)| {
            let of_it = |(at, record): &&(TopicPartition, Record)| at == partition && record.offset < *next;
            let last = self.records.iter().rev().find(of_it);
            let last = last.map(|(_, record)| LastRecord { offset: record.offset, digest: record.digest() });
            let last = self.last.get(partition).copied().or(last);
            let stopped = self.stopped.get(partition).cloned();
            (partition.clone(), StoredPartition { next: *next, last, stopped })
        };
        let stored: Stored = self.positions.iter().map(stored).collect();
        let mut whole = Log::new(store.model(), stored.clone(), &[], &Arc::default());
        self.records.iter().for_each(|(partition, record)| whole.add(partition, record));
        let mut dump = whole.model.expected();
        spoil(&mut dump);
        let dump = Arc::new(dump);
        let low = |partition: &TopicPartition| self.lows.get(partition).copied().unwrap_or(0);
        let spans = ends.into_iter().map(|(partition, end)| {
            let position = self.positions.get(&partition).copied().unwrap_or(0);
            Span { low: low(&partition), partition, end, high: end, position }
        });
        let spans: Vec<_> = spans.collect();
        let mut log = Log::new(store.model(), stored, &spans, &dump);
        let left = self.records.iter().filter(|(partition, record)| record.offset >= low(partition));
        left.for_each(|(partition, record)| log.add(partition, record));
        let differences = log.model.compare(&dump, 0);
        let mut proof = Proof::new(self.receipts, log, &spans, &self.buried, &dump, differences);
        proof.only_these = self.only_these;
        proof
    }
}

fn receipt(sale: &Sale) -> Receipt {
    Receipt { id: sale.id.as_uuid(), content: Some(Content::of_sale(&sale.draft)) }
}

fn bare(id: Uuid) -> Receipt {
    Receipt { id, content: None }
}

fn sale(key: Option<&str>) -> Sale {
    let key = key.map(|key| IdempotencyKey::new(key).expect("a key"));
    Sale {
        id: key.as_ref().map_or_else(EventId::new_v7, EventId::of_key),
        accepted_at: Timestamp::from_millis(NOW_MS).expect("a time"),
        draft: SaleDraft {
            category: Category::Ropa,
            product_id: ProductId::new("R-001").expect("an id"),
            price: Money::from_cents(8_999).expect("a price"),
            quantity: Quantity::new(2).expect("units"),
        },
        idempotency_key: key,
    }
}

fn report() -> WeatherReport {
    WeatherReport {
        id: EventId::new_v7(),
        accepted_at: Timestamp::from_millis(NOW_MS).expect("a time"),
        draft: WeatherDraft::new("Nubes bajas", "GT", "Nublado").expect("a report"),
        idempotency_key: None,
    }
}

fn faults(proof: &Proof) -> Vec<(&'static str, usize)> {
    assert_eq!(proof.to_json(5)["holds"], proof.holds());
    proof.faults().into_iter().filter(|(_, count)| *count > 0).collect()
}
