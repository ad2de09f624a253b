use blackfriday_broker::{Record, TopicPartition};
use blackfriday_event::{
    Category, EventId, IdempotencyKey, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp, WeatherDraft,
    WeatherReport,
};
use blackfriday_proto::encode_record;
use blackfriday_store::{LastRecord, Store, StoreConfig, StoredPartition, ValkeyConfig};

use super::*;
use crate::wait::Offsets;

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
        let stored = self.positions.iter().map(stored).collect();
        let mut log = Log::new(store.model(), stored);
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
    case.receipts.sales.push(bare(id));
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
    case.push(&TopicPartition::new("ventas", 0), encode_record(&keyed));
    let proof = case.proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.repeated, proof.in_broker, proof.counted), (1, 8, 8));

    let mut case = Case::new();
    case.sell(0, &keyed);
    case.push(&TopicPartition::new("ventas", 1), encode_record(&keyed));
    assert_eq!(faults(&case.proof()), [("doubled", 1)], "both partitions count it");
}

#[test]
fn two_receipts_of_one_record_are_named_unless_it_has_a_key() {
    let mut case = Case::new();
    let told = case.receipts.sales[2];
    case.receipts.sales.push(told);
    let proof = case.proof();
    assert_eq!(faults(&proof), [("acknowledged twice", 1)]);
    assert_eq!(proof.told_twice, [told.id]);

    let mut case = Case::new();
    let keyed = sale(Some("order-17"));
    case.sell(0, &keyed);
    case.receipts.sales.push(receipt(&keyed));
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
    case.receipts.unnamed = vec![None];
    assert_eq!(faults(&case.proof()), [], "it may be the one whose outcome is not known");
}

#[test]
fn unknown_outcomes_are_told_apart() {
    let mut case = Case::new();
    let written = case.receipts.sales.pop().expect("six sales");
    case.receipts.unknown = vec![written, bare(Uuid::now_v7())];
    let proof = case.proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.unknown_written, proof.unknown_not_written), (1, 1));
}

/// A sale whose field was changed on the way: price, units, category, product.
#[test]
fn another_content_than_was_sent_is_changed_and_named() {
    let right = sale(None);
    let changes: [fn(&mut SaleDraft); 4] = [
        |draft| draft.price = Money::from_cents(8_998).expect("a price"),
        |draft| draft.quantity = Quantity::new(3).expect("units"),
        |draft| draft.category = Category::Hogar,
        |draft| draft.product_id = ProductId::new("R-002").expect("an id"),
    ];
    for change in changes {
        let mut case = Case::new();
        let mut written = right.clone();
        change(&mut written.draft);
        case.push(&TopicPartition::new("ventas", 0), encode_record(&written));
        case.receipts.sales.push(receipt(&right));
        let proof = case.proof();
        assert_eq!(faults(&proof), [("changed", 1)], "{written:?}");
        assert_eq!(proof.changed[0].place, Place { partition: TopicPartition::new("ventas", 0), offset: 3 });
    }
    let mut case = Case::new();
    let mut written = report();
    case.push(&TopicPartition::new("clima", 0), encode_record(&written));
    written.draft.country = "MX".to_owned();
    let content = Some(Content::of_weather(&written.draft));
    case.receipts.weather.push(Receipt { id: written.id.as_uuid(), content });
    assert_eq!(faults(&case.proof()), [("changed", 1)]);
    // A receipt of the first version does not say what was sent.
    let mut case = Case::new();
    let id = case.receipts.sales[0].id;
    case.receipts.sales[0] = bare(id);
    assert_eq!(faults(&case.proof()), []);
}

/// Two sales under one key, both acknowledged: the second is in the dead letters, and its client was told otherwise.
#[test]
fn two_sales_under_one_key_are_in_conflict_and_named() {
    let first = sale(Some("cart-1"));
    let mut second = first.clone();
    second.draft.quantity = Quantity::new(7).expect("units");
    let conflict = Place { partition: TopicPartition::new("ventas", 0), offset: 4 };
    let mut case = Case::new();
    case.sell(0, &first);
    case.sell(0, &second);
    case.buried.insert(conflict.clone());
    let proof = case.proof();
    assert_eq!(faults(&proof), [("acknowledged in conflict", 1)]);
    assert_eq!(proof.told_in_conflict, [first.id.as_uuid()]);
    assert_eq!((proof.conflicts[0].place.clone(), proof.in_broker, proof.counted), (conflict.clone(), 8, 8));

    // Without a dead letter nobody would know of it, and without a receipt nobody was told anything wrong.
    let mut case = Case::new();
    case.sell(0, &first);
    case.push(&conflict.partition, encode_record(&second));
    assert_eq!(faults(&case.proof()), [("dropped", 1)]);
}

/// The window's rule is by the newest time of a partition: what it lets through within 24 hours of itself is seen.
#[test]
fn a_key_that_was_counted_twice_within_24_hours_is_doubled() {
    let hours = |hours: u64| Timestamp::from_millis(NOW_MS + hours * 3_600_000).expect("a time");
    let at = |key: &str, accepted_at| Sale { accepted_at, ..sale(Some(key)) };
    let mut case = Case::new();
    for sale in [at("a", hours(0)), at("b", hours(30)), at("a", hours(1))] {
        case.sell(0, &sale);
    }
    let proof = case.proof();
    assert_eq!(faults(&proof), [("doubled", 1)]);
    assert_eq!(proof.doubled[0].place.offset, 5);

    let mut case = Case::new();
    for sale in [at("a", hours(0)), at("a", hours(25))] {
        case.sell(0, &sale);
    }
    assert_eq!(faults(&case.proof()), [], "after 24 hours a key is free, as was promised");
}

#[test]
fn a_key_of_a_sale_and_of_a_report_gives_two_events() {
    let (keyed, mut weather) = (sale(Some("order-17")), report());
    (weather.id, weather.idempotency_key) = (keyed.id, keyed.idempotency_key.clone());
    let mut case = Case::new();
    case.sell(0, &keyed);
    case.push(&TopicPartition::new("clima", 0), encode_record(&weather));
    case.receipts.weather.push(bare(weather.id.as_uuid()));
    let proof = case.proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.in_broker, proof.counted), (9, 9));
}

#[test]
fn what_was_refused_and_is_in_the_log_is_named_with_its_status() {
    let refusal = |receipt, status| Refusal { receipt, status };
    let mut case = Case::new();
    let written = case.receipts.sales.pop().expect("six sales");
    case.receipts.refused = vec![refusal(written, 503), refusal(bare(Uuid::now_v7()), 429)];
    let proof = case.proof();
    assert_eq!(faults(&proof), [("refused and written", 1)]);
    let (found, status) = &proof.refused_and_written[0];
    assert_eq!((found.id, found.place.offset, *status), (written.id, 2, 503));

    let mut case = Case::new();
    let report = case.receipts.weather.pop().expect("one report");
    case.receipts.refused = vec![refusal(report, 503)];
    assert_eq!(faults(&case.proof()), [("refused and written", 1)], "reports, too");

    // Another try was accepted, or its outcome is not known.
    let mut case = Case::new();
    let unknown = case.receipts.sales.pop().expect("six sales");
    case.receipts.unknown = vec![unknown];
    case.receipts.refused = vec![refusal(unknown, 503), refusal(case.receipts.sales[0], 503)];
    assert_eq!(faults(&case.proof()), []);
}

/// One key, and another content under it that was never written: whatever its client was told is right.
#[test]
fn what_was_not_written_under_the_key_of_another_event_is_no_fault() {
    let first = sale(Some("cart-1"));
    let mut second = first.clone();
    second.draft.quantity = Quantity::new(7).expect("units");
    let refusal = |sale: &Sale| Refusal { receipt: receipt(sale), status: 503 };
    let not_written: [fn(&mut Receipts, Receipt, Refusal); 3] = [
        |receipts, unknown, _| receipts.unknown.push(unknown),
        |receipts, _, refusal| receipts.refused.push(refusal),
        |receipts, unknown, refusal| {
            receipts.unknown.push(unknown);
            receipts.refused.push(refusal);
        },
    ];
    for tell in not_written {
        let mut case = Case::new();
        case.sell(0, &first);
        tell(&mut case.receipts, receipt(&second), refusal(&second));
        let unknown = case.receipts.unknown.len() as u64;
        let proof = case.proof();
        assert_eq!(faults(&proof), []);
        assert_eq!((proof.unknown_written, proof.unknown_not_written), (0, unknown));
    }
    // Neither was acknowledged, and the first was written: in whatever order they were sent.
    for swap in [false, true] {
        let mut case = Case::new();
        case.push(&TopicPartition::new("ventas", 0), encode_record(&first));
        case.receipts.unknown = vec![receipt(&first), receipt(&second)];
        if swap {
            case.receipts.unknown.reverse();
        }
        let proof = case.proof();
        assert_eq!(faults(&proof), [], "swapped: {swap}");
        assert_eq!((proof.unknown_written, proof.unknown_not_written), (1, 1));
    }
    // Nobody sent what the log has: it was changed on the way.
    let mut case = Case::new();
    case.push(&TopicPartition::new("ventas", 0), encode_record(&first));
    case.receipts.unknown = vec![receipt(&second)];
    assert_eq!(faults(&case.proof()), [("changed", 1)]);
}

/// The first was acknowledged; the second was refused, and is in the log, whether it conflicts or counts by then.
#[test]
fn what_was_refused_and_written_under_the_key_of_another_event_is_named() {
    let first = sale(Some("cart-1"));
    let mut second = first.clone();
    second.draft.quantity = Quantity::new(7).expect("units");
    let refused = Refusal { receipt: receipt(&second), status: 503 };
    for hours in [1, 25] {
        let spoiled = || {
            let mut case = Case::new();
            case.sell(0, &first);
            let later = Timestamp::from_millis(NOW_MS + hours * 3_600_000).expect("a time");
            case.push_at(&TopicPartition::new("ventas", 0), encode_record(&second), later);
            case.buried.insert(Place { partition: TopicPartition::new("ventas", 0), offset: 4 });
            case.receipts.refused.push(refused);
            case
        };
        assert_eq!(faults(&spoiled().proof()), [("refused and written", 1)], "after {hours} h");
        // Another try of it had an outcome that is not known.
        let mut case = spoiled();
        case.receipts.unknown.push(receipt(&second));
        assert_eq!(faults(&case.proof()), [], "after {hours} h");
    }
}

#[test]
fn what_was_refused_without_an_identity_is_known_by_its_content() {
    let spoiled = |receipts: fn(&mut Receipts, Content)| {
        let mut case = Case::new();
        let mut written = sale(None);
        written.draft.quantity = Quantity::new(7).expect("units");
        case.push(&TopicPartition::new("ventas", 0), encode_record(&written));
        receipts(&mut case.receipts, Content::of_sale(&written.draft));
        case
    };
    let refused = |receipts: &mut Receipts, content| receipts.refused_unnamed = vec![Some(content)];
    let proof = spoiled(refused).proof();
    assert_eq!(faults(&proof), [("refused without an identity and written", 1)]);
    assert_eq!(proof.like_refused[0].place.offset, 3);
    // Somebody else may have sent the same.
    let mut case = spoiled(refused);
    case.only_these = false;
    assert_eq!(faults(&case.proof()), []);
    // An outcome that is not known explains the record, but only one with its content.
    let case = spoiled(|receipts, content| {
        receipts.unnamed = vec![Some(content)];
        receipts.refused_unnamed = vec![Some(content)];
    });
    assert_eq!(faults(&case.proof()), []);
    let case = spoiled(|receipts, _| receipts.unnamed = vec![Some(Content::of_sale(&sale(None).draft))]);
    assert_eq!(faults(&case.proof()), [("without a receipt", 1)]);
}

/// The consumer buries an event of another topic, and verify has the same rule.
#[test]
fn an_event_of_another_topic_belongs_to_the_dead_letters() {
    let ventas = TopicPartition::new("ventas", 0);
    let mut case = Case::new();
    case.push(&ventas, encode_record(&report()));
    case.push(&TopicPartition::new("clima", 0), encode_record(&sale(None)));
    case.buried.insert(Place { partition: ventas.clone(), offset: 3 });
    case.buried.insert(Place { partition: TopicPartition::new("clima", 0), offset: 1 });
    let proof = case.proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.misplaced, proof.in_broker, proof.counted), (2, 7, 7));

    let mut case = Case::new();
    case.push(&ventas, encode_record(&report()));
    assert_eq!(faults(&case.proof()), [("dropped", 1)]);
}

/// With the producers' times nothing shows whether a key was counted once in 24 hours, and verify does not say that it was.
#[test]
fn what_rests_on_the_producers_clocks_is_not_said_to_hold() {
    let case = |key: Option<&str>| {
        let mut case = Case::new();
        case.appended = false;
        case.sell(0, &sale(key));
        case.proof()
    };
    let proof = case(Some("order-17"));
    assert_eq!(faults(&proof), []);
    assert!(
        !proof.holds() && proof.unproved[0].starts_with("ventas keeps the producers' times"),
        "{proof:?}"
    );
    assert!(case(None).holds(), "without a key no time decides what counts");
    let mut compacted = Case::new().proof();
    compacted.is_compacted("clima");
    assert!(!compacted.holds() && compacted.to_json(1)["unproved"][0].as_str().is_some());
}

/// A topic that was deleted and made again: its totals may be equal, and mean nothing.
#[test]
fn what_was_counted_from_another_log_is_named_and_its_total_is_not_shown() {
    let ventas = TopicPartition::new("ventas", 1);
    let mut case = Case::new();
    case.last.insert(ventas.clone(), LastRecord { offset: 2, digest: [7; 8] });
    let proof = case.proof();
    assert!(faults(&proof).contains(&("counted from another log", 1)), "{:?}", faults(&proof));
    assert_eq!(proof.replaced, [Place { partition: ventas, offset: 2 }]);
    assert!(proof.to_json(5)["counted"].is_null());
    let mut case = Case::new();
    *case.positions.get_mut(&TopicPartition::new("ventas", 0)).expect("was counted") += 5;
    assert!(case.proof().to_json(5)["counted"].is_null(), "past the end it is as well");
}

#[test]
fn a_stopped_partition_is_named_with_its_reason() {
    let ventas = TopicPartition::new("ventas", 1);
    let mut case = Case::new();
    case.stopped.insert(ventas, "offsets 3 to 9 are lost".to_owned());
    let proof = case.proof();
    assert_eq!(faults(&proof), [("stopped", 1)]);
    let stopped = &proof.to_json(5)["stopped"]["partitions"][0];
    assert_eq!((&stopped["partition"], &stopped["reason"]), (&1.into(), &"offsets 3 to 9 are lost".into()));
}
