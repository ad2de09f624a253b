use blackfriday_broker::{Record, TopicPartition};
use blackfriday_event::{EventId, IdempotencyKey, Timestamp, WeatherDraft, WeatherReport};
use blackfriday_proto::encode_record;
use blackfriday_receipts::{Content, Receipt, Receipts, Refusal};

use super::Agreement;
use super::pair::{ON_ITS_WAY_MS, Pair, SIDES};

const NOW_MS: u64 = 1_795_000_000_000;
const KAFKA: usize = 0;
const RABBITMQ: usize = 1;

/// Two logs and what clients were told: all of it right until a test spoils it.
#[derive(Default)]
struct Case {
    pair: Pair,
    written: [i64; 2],
    receipts: Receipts,
    only_these: bool,
}

impl Case {
    /// Four reports in both logs, each with its receipt.
    fn new() -> Self {
        let mut case = Self { only_these: true, ..Self::default() };
        for number in 0..4 {
            let report = report(&format!("new-{number}"));
            case.receipts.weather.push(receipt(&report));
            SIDES.into_iter().for_each(|side| case.write(side, &report));
        }
        case
    }

    fn write(&mut self, side: usize, report: &WeatherReport) {
        self.push(side, encode_record(report), report.accepted_at);
    }

    fn push(&mut self, side: usize, payload: Vec<u8>, at: Timestamp) {
        let partition = TopicPartition::new("clima", 0);
        let record = Record {
            offset: self.written[side],
            timestamp_ms: at.millis().try_into().expect("a time"),
            appended: true,
            key: None,
            payload,
            traceparent: None,
            headers: Vec::new(),
        };
        self.written[side] += 1;
        self.pair.add(side, &partition, &record);
        self.pair.ends[side].insert(partition, self.written[side]);
    }

    fn agreement(self) -> Agreement {
        let mut agreement = Agreement::new(["kafka", "rabbitmq"], &self.pair, self.receipts);
        agreement.only_these = self.only_these;
        agreement.with_receipts = true;
        assert_eq!(agreement.to_json(5)["holds"], agreement.holds());
        agreement
    }
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms).expect("a time")
}

fn report(key: &str) -> WeatherReport {
    let key = IdempotencyKey::new(key).expect("a key");
    WeatherReport {
        id: EventId::of_key(&key),
        accepted_at: at(NOW_MS),
        draft: WeatherDraft::new("Nubes bajas", "GT", "Nublado").expect("a report"),
        idempotency_key: Some(key),
    }
}

/// The same under the same key, of another country.
fn other(report: &WeatherReport) -> WeatherReport {
    let mut other = report.clone();
    other.draft.country = "MX".to_owned();
    other
}

fn receipt(report: &WeatherReport) -> Receipt {
    Receipt { id: report.id.as_uuid(), content: Some(Content::of_weather(&report.draft)) }
}

fn faults(agreement: &Agreement) -> Vec<(String, usize)> {
    agreement.faults().into_iter().filter(|(_, count)| *count > 0).collect()
}

fn one(name: &str) -> Vec<(String, usize)> {
    vec![(name.to_owned(), 1)]
}

#[test]
fn what_is_the_same_in_both_holds_however_often_it_was_tried() {
    let mut case = Case::new();
    let tried = report("new-2");
    case.write(RABBITMQ, &tried);
    case.write(RABBITMQ, &tried);
    let agreement = case.agreement();
    assert_eq!(faults(&agreement), []);
    assert_eq!((agreement.accepted(), agreement.in_both(), agreement.held), (4, 4, [4, 4]));
}

#[test]
fn an_acknowledged_event_that_one_log_lacks_is_lost_there() {
    for (side, name) in
        [(KAFKA, "acknowledged and not in rabbitmq"), (RABBITMQ, "acknowledged and not in kafka")]
    {
        let mut case = Case::new();
        let half = report("half");
        case.write(side, &half);
        case.receipts.weather.push(receipt(&half));
        let agreement = case.agreement();
        assert_eq!(faults(&agreement), one(name));
        assert_eq!(agreement.lost[1 - side], [half.id.as_uuid()]);
        assert_eq!(agreement.in_both(), 4);
    }
    let mut case = Case::new();
    case.receipts.weather.push(receipt(&report("nowhere")));
    assert_eq!(faults(&case.agreement()).len(), 2, "each log lacks it");
}

#[test]
fn what_only_one_log_has_is_named_unless_its_client_knows() {
    let half = report("half");
    let spoiled = || {
        let mut case = Case::new();
        case.only_these = false;
        case.write(KAFKA, &half);
        case
    };
    let agreement = spoiled().agreement();
    assert_eq!(faults(&agreement), one("only in kafka"));
    assert_eq!(agreement.only_here[KAFKA][0].place.offset, 4);
    // Answered with 504, with its identity or without.
    let mut case = spoiled();
    case.receipts.unknown.push(receipt(&half));
    let agreement = case.agreement();
    assert_eq!(faults(&agreement), []);
    assert_eq!(agreement.half[KAFKA][0].id, half.id.as_uuid());
    let mut case = spoiled();
    case.receipts.unnamed.push(receipt(&half).content);
    assert_eq!(faults(&case.agreement()), []);
    let mut case = spoiled();
    case.receipts.unnamed.push(receipt(&other(&half)).content);
    assert_eq!(faults(&case.agreement()), one("only in kafka"), "that was another event");
}

#[test]
fn a_refusal_says_that_neither_log_has_it() {
    let written = report("refused");
    let mut case = Case::new();
    case.only_these = false;
    SIDES.into_iter().for_each(|side| case.write(side, &written));
    case.receipts.refused.push(Refusal { receipt: receipt(&written), status: 503 });
    let agreement = case.agreement();
    assert_eq!(
        faults(&agreement),
        [("refused and in kafka".to_owned(), 1), ("refused and in rabbitmq".to_owned(), 1)]
    );

    let mut case = Case::new();
    let first = report("new-0");
    case.receipts.refused.push(Refusal { receipt: receipt(&first), status: 503 });
    case.receipts.refused.push(Refusal { receipt: receipt(&other(&first)), status: 422 });
    assert_eq!(
        faults(&case.agreement()),
        [],
        "another try was accepted, and the other report was never written"
    );
}

#[test]
fn one_identity_with_another_content_in_each_log_is_different() {
    let first = report("cart");
    let second = other(&first);
    // Each log has one of the two.
    let mut case = Case::new();
    case.only_these = false;
    case.write(KAFKA, &first);
    case.write(RABBITMQ, &second);
    let agreement = case.agreement();
    assert_eq!(faults(&agreement), one("different"));
    assert_eq!(agreement.different[0][RABBITMQ].place.offset, 4);
    // Both have both, and each counts another one.
    let mut case = Case::new();
    case.only_these = false;
    for (side, reports) in [(KAFKA, [&first, &second]), (RABBITMQ, [&second, &first])] {
        reports.into_iter().for_each(|report| case.write(side, report));
    }
    assert_eq!(faults(&case.agreement()), one("different"));
    // Both have both in the same order: one conflict, which each store's own proof names.
    let mut case = Case::new();
    for side in SIDES {
        [&first, &second].into_iter().for_each(|report| case.write(side, report));
    }
    case.receipts.weather.push(receipt(&first));
    assert_eq!(faults(&case.agreement()), []);
    // Acknowledged as it was not written.
    let mut case = Case::new();
    SIDES.into_iter().for_each(|side| case.write(side, &first));
    case.receipts.weather.push(receipt(&second));
    assert_eq!(
        faults(&case.agreement()),
        [("changed in kafka".to_owned(), 1), ("changed in rabbitmq".to_owned(), 1)]
    );
}

#[test]
fn an_event_without_a_receipt_matters_only_if_nobody_else_sends() {
    let mut case = Case::new();
    case.receipts.weather.pop();
    assert_eq!(faults(&case.agreement()), one("without a receipt"));
    let mut case = Case::new();
    case.receipts.weather.pop();
    case.only_these = false;
    assert_eq!(faults(&case.agreement()), []);
}

#[test]
fn what_is_gone_by_retention_or_came_meanwhile_is_not_compared() {
    let mut case = Case::new();
    case.only_these = false;
    let old = WeatherReport { accepted_at: at(NOW_MS - 10 * ON_ITS_WAY_MS), ..report("old") };
    case.write(KAFKA, &old);
    case.receipts.weather.push(receipt(&old));
    case.pair.begins_at[RABBITMQ] = Some(at(NOW_MS - 5 * ON_ITS_WAY_MS));
    let agreement = case.agreement();
    assert_eq!((faults(&agreement), agreement.not_compared), (vec![], 1));

    let mut case = Case::new();
    case.only_these = false;
    case.write(KAFKA, &report("late"));
    *case.pair.ends[KAFKA].get_mut(&TopicPartition::new("clima", 0)).expect("was written") -= 1;
    let agreement = case.agreement();
    assert_eq!((faults(&agreement), agreement.not_compared), (vec![], 1));
}

#[test]
fn it_waits_only_for_what_may_still_be_on_its_way() {
    let mut case = Case::new();
    assert!(!case.pair.is_on_its_way(at(NOW_MS)));
    case.write(RABBITMQ, &report("half"));
    assert!(case.pair.is_on_its_way(at(NOW_MS + ON_ITS_WAY_MS - 1)));
    assert!(!case.pair.is_on_its_way(at(NOW_MS + ON_ITS_WAY_MS)));
}

#[test]
fn a_record_without_an_event_is_said_and_is_no_difference() {
    let mut case = Case::new();
    case.push(RABBITMQ, b"\xff no event".to_vec(), at(NOW_MS));
    let agreement = case.agreement();
    assert_eq!((faults(&agreement), agreement.no_events), (vec![], [0, 1]));
}

#[test]
fn a_compacted_topic_proves_nothing() {
    let mut agreement = Case::new().agreement();
    agreement.is_compacted("kafka", "clima");
    assert!(!agreement.holds() && faults(&agreement).is_empty());
}
