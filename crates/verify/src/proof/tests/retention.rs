//! A log whose beginning is gone: the rest of it is proved, and no more than that is said.

use super::*;

const SALES_0: (&str, i32) = ("ventas", 0);

/// The first two of the three sales in partition 0 are gone. Identities are as old as their records.
fn cut() -> Case {
    let mut case = Case::new();
    case.records.clear();
    (case.positions, case.receipts) = (Offsets::new(), Receipts::default());
    for number in 0..6 {
        case.sell(number % 2, &old_sale());
    }
    case.lows.insert(TopicPartition::new(SALES_0.0, SALES_0.1), 2);
    case
}

fn old_sale() -> Sale {
    Sale { id: id_of(NOW_MS), ..sale(None) }
}

fn id_of(millis: u64) -> EventId {
    let made_at = uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, 0);
    EventId::from_slice(Uuid::new_v7(made_at).as_bytes()).expect("16 bytes")
}

#[test]
fn the_rest_holds_and_is_not_taken_for_a_whole_proof() {
    let mut proof = cut().proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.verdict(), proof.is_enough()), (Verdict::NotProved, false));
    proof.retained_is_enough = Some(Topics::WEATHER);
    assert_eq!(proof.verdict(), Verdict::NotProved, "of sales it is not enough");
    proof.retained_is_enough = Some(Topics::SALES);
    assert_eq!((proof.verdict(), proof.is_enough(), proof.holds()), (Verdict::RetainedOnly, true, false));
    let json = proof.to_json(5);
    assert_eq!((&json["verdict"], &json["holds"]), (&"retained only".into(), &false.into()));
    let begins_at = &json["begins_at"]["records"][0];
    assert_eq!((&begins_at["partition"], &begins_at["offset"]), (&0.into(), &2.into()));
    assert_eq!((proof.in_broker, proof.counted, proof.not_compared), (4, 6, 2));
}

#[test]
fn what_is_accepted_changes_nothing_for_a_whole_log() {
    let mut proof = Case::new().proof();
    proof.retained_is_enough = Some(Topics::ALL);
    assert_eq!((proof.verdict(), proof.holds()), (Verdict::Holds, true));
}

#[test]
fn a_lie_about_the_rest_is_a_fault_all_the_same() {
    let spoil = |dump: &mut BTreeMap<String, Value>| {
        dump.insert("ventas:global:precio_max".to_owned(), Value::Text("89.98".to_owned()));
    };
    let mut proof = cut().proof_of(spoil);
    proof.retained_is_enough = Some(Topics::ALL);
    assert_eq!(faults(&proof), [("keys that differ", 1)]);
    assert!(!proof.is_enough());
    let mut case = cut();
    *case.positions.get_mut(&TopicPartition::new("ventas", 1)).expect("was counted") -= 1;
    assert_eq!(faults(&case.proof()), [("uncounted", 1)]);
}

#[test]
fn what_was_not_counted_before_it_was_gone_is_named() {
    let mut case = cut();
    let ventas = TopicPartition::new("ventas", 0);
    case.positions.insert(ventas.clone(), 1);
    let proof = case.proof();
    assert_eq!(faults(&proof), [("uncounted", 1), ("gone before they were counted", 1)]);
    assert_eq!(proof.gone_uncounted, [Place { partition: ventas, offset: 1 }]);
}

#[test]
fn an_acknowledgement_is_lost_if_it_is_younger_than_what_is_gone() {
    let mut case = cut();
    let younger = bare(id_of(NOW_MS + 120_000).as_uuid());
    case.receipts.sales.extend([younger, bare(id_of(NOW_MS - 1_000).as_uuid())]);
    // The time of a key's identity nobody knows; a report's record is in a log that has its beginning.
    let keyed = EventId::of_key(&IdempotencyKey::new("cart-1").expect("a key")).as_uuid();
    let of_weather = bare(id_of(NOW_MS - 1_000).as_uuid());
    case.receipts.sales.push(bare(keyed));
    case.receipts.unknown.push(bare(id_of(NOW_MS - 2_000).as_uuid()));
    case.receipts.weather.push(of_weather);
    let proof = case.proof();
    assert_eq!(proof.lost, [younger.id, of_weather.id]);
    // Two of the records that are gone, an older one, the key's, and one of unknown outcome.
    assert_eq!((faults(&proof), proof.not_compared), (vec![("lost", 2)], 5));
}

#[test]
fn a_record_under_the_key_of_a_lost_one_is_what_the_store_says_of_the_key() {
    let first =
        Sale { id: EventId::of_key(&IdempotencyKey::new("cart-1").expect("a key")), ..sale(Some("cart-1")) };
    let mut other = first.clone();
    other.draft.quantity = Quantity::new(7).expect("units");
    let conflict = Place { partition: TopicPartition::new("ventas", 0), offset: 5 };
    let case = || {
        let mut case = cut();
        case.only_these = false;
        for sale in [&first, &first, &other] {
            case.sell(0, sale);
        }
        // The key's first record is gone, and the store remembers it.
        case.lows.insert(conflict.partition.clone(), 4);
        case
    };
    let proof = case().proof();
    assert_eq!(faults(&proof), [("acknowledged in conflict", 1), ("dropped", 1)]);
    assert_eq!((proof.dropped.clone(), proof.repeated, proof.undecided), (vec![conflict.clone()], 1, 0));

    // The repetition is gone, too: all that is left of the key is the conflict.
    let mut case = case();
    case.lows.insert(conflict.partition.clone(), 5);
    case.buried.insert(conflict);
    let proof = case.proof();
    assert_eq!(faults(&proof), [("acknowledged in conflict", 1)]);
}
