//! The log against the store, and against itself.

use super::*;

#[test]
fn what_is_right_holds() {
    let proof = Case::new().proof();
    assert_eq!(faults(&proof), []);
    assert_eq!((proof.accepted, proof.in_broker, proof.counted), (7, 7, 7));
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
fn prices_of_a_second_that_were_changed_are_named() {
    let (key, second) = ("serie:precio:Ropa", (NOW_MS / 1000).to_string());
    let spoil = |dump: &mut BTreeMap<String, Value>| {
        let Some(Value::Hash(prices)) = dump.get_mut(key) else { panic!("{dump:?}") };
        prices.insert(second.clone(), "6:539.94:89.98:89.99".to_owned());
    };
    let proof = Case::new().proof_of(spoil);
    assert_eq!(faults(&proof), [("keys that differ", 1)]);
    let found = &proof.differences[0];
    assert_eq!((found.key.as_str(), found.field.as_deref()), (key, Some(second.as_str())));
    assert_eq!(found.expected.as_deref(), Some("6:539.94:89.99:89.99"));
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

    // Without a dead letter the conflict would be unknown, and without a receipt no client got a wrong answer.
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
fn a_stopped_partition_is_named_once_with_its_reason() {
    let ventas = TopicPartition::new("ventas", 1);
    let mut case = Case::new();
    let reason = "offsets 3 to 9 are lost".to_owned();
    case.stopped.insert(ventas, reason.clone());
    // As the store itself holds it.
    let stopped = Value::Hash(BTreeMap::from([("1".to_owned(), reason)]));
    let proof = case.proof_of(|dump| {
        dump.insert("detenido:ventas".to_owned(), stopped);
    });
    assert_eq!(faults(&proof), [("stopped", 1)], "and not as a key that differs");
    let stopped = &proof.to_json(5)["stopped"]["partitions"][0];
    assert_eq!((&stopped["partition"], &stopped["reason"]), (&1.into(), &"offsets 3 to 9 are lost".into()));
}
