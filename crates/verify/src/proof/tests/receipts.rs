//! Receipts against the log.

use super::*;

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
