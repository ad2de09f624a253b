use blackfriday_broker::{Record, TopicPartition};
use blackfriday_event::{
    Category, EventId, IdempotencyKey, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp, WeatherDraft,
    WeatherReport,
};
use blackfriday_proto::{encode_sale, encode_weather};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};

use super::*;
use crate::verify::wait::Offsets;

/// A log of records, receipts for them, and a store that has counted them: all of it right until a test spoils it.
struct Case {
    records: Vec<(TopicPartition, Record)>,
    positions: Offsets,
    receipts: Receipts,
    buried: HashSet<Place>,
    only_these: bool,
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
        };
        for number in 0..6 {
            case.sell(number % 2, &sale(None));
        }
        let report = report();
        case.push(&TopicPartition::new("clima", 0), encode_weather(&report));
        case.receipts.weather.push(report.id.as_uuid());
        case
    }

    fn sell(&mut self, partition: i32, sale: &Sale) {
        self.push(&TopicPartition::new("ventas", partition), encode_sale(sale));
        self.receipts.sales.push(sale.id.as_uuid());
    }

    /// Appends a record, and counts it.
    fn push(&mut self, partition: &TopicPartition, payload: Vec<u8>) {
        let position = self.positions.entry(partition.clone()).or_default();
        let record = Record {
            offset: *position,
            timestamp_ms: 0,
            appended: true,
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
        let mut log = Log::new(store.model(), self.positions.clone());
        self.records.iter().for_each(|(partition, record)| log.add(partition, record));
        let mut dump = log.model.expected();
        spoil(&mut dump);
        let differences = log.model.compare(&dump, 0);
        let spans = ends.into_iter().map(|(partition, end)| {
            let position = self.positions.get(&partition).copied().unwrap_or(0);
            Span { partition, end, high: end, position }
        });
        let spans: Vec<_> = spans.collect();
        let mut proof = Proof::new(self.receipts, log, &spans, &self.buried, &dump, differences);
        proof.only_these = self.only_these;
        proof
    }
}

fn sale(key: Option<&str>) -> Sale {
    let key = key.map(|key| IdempotencyKey::new(key).expect("a key"));
    Sale {
        id: key.as_ref().map_or_else(EventId::new_v7, EventId::of_key),
        accepted_at: Timestamp::from_millis(1_795_000_000_000).expect("a time"),
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
        accepted_at: Timestamp::from_millis(1_795_000_000_000).expect("a time"),
        draft: WeatherDraft::new("Nubes bajas", "GT", "Nublado").expect("a report"),
        idempotency_key: None,
    }
}

fn faults(proof: &Proof) -> Vec<(&'static str, usize)> {
    assert_eq!(proof.to_json(5)["holds"], proof.holds());
    proof.faults().into_iter().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn what_is_right_holds() {
    let proof = Case::new().proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.accepted, proof.in_broker, proof.counted), (7, 7, 7));
}

#[test]
fn a_lost_sale_is_named() {
    let mut case = Case::new();
    let id = Uuid::now_v7();
    case.receipts.sales.push(id);
    let proof = case.proof();
    assert_eq!(faults(&proof), [("lost", 1)]);
    assert_eq!(proof.lost, [id]);
}

#[test]
fn a_receipt_for_a_sale_is_none_for_a_report() {
    let mut case = Case::new();
    let id = case.receipts.weather.pop().expect("one report");
    case.receipts.sales.push(id);
    assert_eq!(faults(&case.proof()), [("lost", 1), ("without a receipt", 1)]);
}

#[test]
fn a_second_record_without_a_key_is_doubled_and_named() {
    let mut case = Case::new();
    let (partition, first) = case.records[1].clone();
    case.push(&partition, first.payload);
    let proof = case.proof();
    assert_eq!(faults(&proof), [("doubled", 1)]);
    assert_eq!(proof.doubled[0].place, Place { partition, offset: 3 });
}

#[test]
fn a_second_record_under_a_key_counts_once_in_its_partition_only() {
    let mut case = Case::new();
    let keyed = sale(Some("order-17"));
    case.sell(0, &keyed);
    case.push(&TopicPartition::new("ventas", 0), encode_sale(&keyed));
    let proof = case.proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.repeated, proof.in_broker, proof.counted), (1, 8, 8));

    let mut case = Case::new();
    case.sell(0, &keyed);
    case.push(&TopicPartition::new("ventas", 1), encode_sale(&keyed));
    assert_eq!(faults(&case.proof()), [("doubled", 1)], "both partitions count it");
}

#[test]
fn two_receipts_of_one_record_are_named_unless_it_has_a_key() {
    let mut case = Case::new();
    let id = case.receipts.sales[2];
    case.receipts.sales.push(id);
    let proof = case.proof();
    assert_eq!(faults(&proof), [("acknowledged twice", 1)]);
    assert_eq!(proof.told_twice, [id]);

    let mut case = Case::new();
    let keyed = sale(Some("order-17"));
    case.sell(0, &keyed);
    case.receipts.sales.push(keyed.id.as_uuid());
    assert_eq!(faults(&case.proof()), []);
}

#[test]
fn what_lies_beyond_the_position_is_uncounted_and_named() {
    let mut case = Case::new();
    let ventas = TopicPartition::new("ventas", 1);
    *case.positions.get_mut(&ventas).expect("was counted") -= 1;
    let proof = case.proof();
    assert_eq!(faults(&proof), [("uncounted", 1)]);
    assert_eq!(proof.uncounted[0].place, Place { partition: ventas, offset: 2 });
    assert_eq!((proof.in_broker, proof.counted), (7, 6));
}

#[test]
fn a_position_past_the_end_is_named() {
    let mut case = Case::new();
    *case.positions.get_mut(&TopicPartition::new("ventas", 0)).expect("was counted") += 5;
    let proof = case.proof();
    assert_eq!(faults(&proof), [("positions past the log's end", 1)]);
    assert_eq!(proof.past_end[0].offset, 8);
}

#[test]
fn a_record_that_is_none_must_lie_in_the_dead_letters() {
    let (ventas, spoiled) = (TopicPartition::new("ventas", 0), b"\xff\xff no event".to_vec());
    let mut case = Case::new();
    case.push(&ventas, spoiled.clone());
    let proof = case.proof();
    assert_eq!(faults(&proof), [("dropped", 1)]);
    assert_eq!(proof.dropped, [Place { partition: ventas.clone(), offset: 3 }]);

    let mut case = Case::new();
    case.push(&ventas, spoiled);
    case.buried.insert(Place { partition: ventas, offset: 3 });
    let proof = case.proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.undecodable, proof.in_broker, proof.counted), (1, 7, 7));
}

#[test]
fn a_counter_that_was_changed_is_named() {
    let spoil = |dump: &mut BTreeMap<String, Value>| {
        dump.insert("reportes:total:Ropa".to_owned(), Value::Text("7".to_owned()));
    };
    let proof = Case::new().proof_of(spoil);
    assert_eq!(faults(&proof), [("keys that differ", 1)]);
    let Difference { key, expected, found, .. } = &proof.differences[0];
    assert_eq!(
        (key.as_str(), expected.as_deref(), found.as_deref()),
        ("reportes:total:Ropa", Some("6"), Some("7"))
    );
}

#[test]
fn a_record_without_a_receipt_matters_only_if_nobody_else_sends() {
    let mut case = Case::new();
    case.receipts.sales.pop();
    let proof = case.proof();
    assert_eq!(faults(&proof), [("without a receipt", 1)]);
    assert_eq!(proof.untold[0].place, Place { partition: TopicPartition::new("ventas", 1), offset: 2 });

    let mut case = Case::new();
    case.receipts.sales.pop();
    case.only_these = false;
    assert_eq!(faults(&case.proof()), []);

    let mut case = Case::new();
    case.receipts.sales.pop();
    case.receipts.unnamed = 1;
    assert_eq!(faults(&case.proof()), [], "it may be the one whose outcome is not known");
}

#[test]
fn unknown_outcomes_are_told_apart() {
    let mut case = Case::new();
    let written = case.receipts.sales.pop().expect("six sales");
    case.receipts.unknown = vec![written, Uuid::now_v7()];
    let proof = case.proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.unknown_written, proof.unknown_not_written), (1, 1));
}
