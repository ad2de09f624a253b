use blackfriday_event::{EventId, Money};
use blackfriday_proto::ErrorCode;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(body: &str) -> Result<SaleCommand, Refusal> {
    parse_sale(body.as_bytes(), None, false)
}

fn wrong_fields(body: &str) -> Vec<String> {
    let error = parse(body).expect_err(body);
    assert_eq!(error.code, ErrorCode::InvalidField, "{body}: {error:?}");
    error.fields.into_iter().map(|error| error.field.into_owned()).collect()
}

#[test]
fn a_sale_is_read_in_each_allowed_form() {
    let expected =
        parse(r#"{"categoria":"Electronica","producto_id":"P-17","precio":499.99,"cantidad_vendida":2}"#);
    let expected = expected.expect("valid").draft;
    for body in [
        r#"{"categoria":"ELECTR\u00d3NICA","producto":"P-17","precio":499.99,"cantidad_vendida":2}"#,
        r#"{"categoria":1,"producto_id":"P-17","precio":499.990,"cantidad_vendida":2.0}"#,
        r#"{"extra":{"a":[1,{}]},"categoria":"1","producto_id":"P\u002d17","precio":4.9999e2,"cantidad_vendida":2,"id":7}"#,
    ] {
        assert_eq!(parse(body).expect(body).draft, expected, "{body}");
    }
}

/// gRPC carries the number itself, JSON its text: both are the same price.
#[test]
fn a_price_of_many_digits_is_the_same_over_rest_as_over_grpc() {
    for (text, cents) in
        [("9.014999999999999", 901), ("0.46499999999999997", 46), ("1.005", 101), ("0.30000000000000004", 30)]
    {
        let body = format!(r#"{{"categoria":1,"producto_id":"P-17","precio":{text},"cantidad_vendida":1}}"#);
        let price = parse(&body).expect("valid").draft.price;
        assert_eq!(price.cents(), cents, "{text}");
        assert_eq!(Ok(price), Money::from_f64(text.parse().expect("a number")), "{text}");
    }
    for percent in [5_u32, 15, 25, 35, 45] {
        for cents in 1..2_000_u32 {
            let price = f64::from(cents) / 100.0 * (1.0 - f64::from(percent) / 100.0);
            let body =
                format!(r#"{{"categoria":1,"producto_id":"P-17","precio":{price},"cantidad_vendida":1}}"#);
            assert_eq!(Ok(parse(&body).expect("valid").draft.price), Money::from_f64(price), "{price}");
        }
    }
}

/// Also of a member that a hop alone may write, and next to a number that no `f64` holds.
#[test]
fn a_member_that_is_repeated_often_is_one_error() {
    for member in ["\"id\":0,", "\"traceparent\":0,", "\"precio\":1,", "\"precio\":1e999,"] {
        let body = format!(
            "{{{}\"categoria\":1,\"producto_id\":\"P-17\",\"precio\":1,\"cantidad_vendida\":1}}",
            member.repeat(10_000)
        );
        for trusted in [false, true] {
            let error = parse_sale(body.as_bytes(), None, trusted).expect_err(member);
            assert_eq!(error.fields.len(), 1, "{member}");
            assert!(error.message.len() < 200, "{member}");
        }
    }
}

#[test]
fn what_is_not_json_is_told_apart_from_wrong_fields() {
    for body in [
        "",
        "x",
        "{",
        "{\"precio\":NaN}",
        "{\"precio\":Infinity}",
        "{\"precio\":1e400",
        "{} {}",
        "\u{feff}{}",
    ] {
        assert_eq!(parse(body).expect_err(body).code, ErrorCode::NotJson, "{body}");
    }
    for body in ["[]", "null", "true", "1", "-1", "1.5", "\"sale\""] {
        assert_eq!(wrong_fields(body), ["body"], "{body}");
    }
}

#[test]
fn every_wrong_field_is_named() {
    let all = ["categoria", "producto_id", "precio", "cantidad_vendida"];
    assert_eq!(wrong_fields("{}"), all);
    let nulls = r#"{"categoria":null,"producto_id":null,"precio":null,"cantidad_vendida":null}"#;
    assert_eq!(wrong_fields(nulls), all);
    let types = r#"{"categoria":[],"producto_id":7,"precio":"10","cantidad_vendida":"2"}"#;
    assert_eq!(wrong_fields(types), all);
    let ranges = r#"{"categoria":0,"producto_id":"","precio":-0.01,"cantidad_vendida":2147483648}"#;
    assert_eq!(wrong_fields(ranges), all);
    let fraction = r#"{"categoria":1,"producto_id":"a","precio":1,"cantidad_vendida":1.5}"#;
    assert_eq!(wrong_fields(fraction), ["cantidad_vendida"]);
    let infinite =
        r#"{"categoria":1e400,"producto_id":"a","precio":-1e400,"cantidad_vendida":1e400,"x":1e400}"#;
    assert_eq!(wrong_fields(infinite), ["categoria", "precio", "cantidad_vendida"]);
    let long = format!(
        r#"{{"categoria":1,"producto_id":"{}","precio":1,"cantidad_vendida":1}}"#,
        "x".repeat(200_000)
    );
    assert_eq!(wrong_fields(&long), ["producto_id"]);
    let twice = r#"{"categoria":1,"producto_id":"a","producto":"b","precio":1,"cantidad_vendida":1}"#;
    assert_eq!(wrong_fields(twice), ["producto_id"]);
}

#[test]
fn identity_and_key_beside_a_sale_count_only_between_our_own_hops() {
    let id = EventId::new_v7();
    let body = format!(
        r#"{{"categoria":1,"producto_id":"a","precio":1,"cantidad_vendida":1,"id":"{id}","traceparent":"t"}}"#
    );
    let trusted = parse_sale(body.as_bytes(), None, true).expect("valid");
    assert_eq!((trusted.id, trusted.traceparent.as_deref()), (id, Some("t")));
    let outside = parse_sale(body.as_bytes(), None, false).expect("valid");
    assert!(outside.id != id && outside.traceparent.is_none());
}

#[test]
fn a_sales_key_is_its_member_or_the_header_and_never_two() {
    let key = |text: &str| IdempotencyKey::new(text).expect("a client's key");
    let beside = |member: &str| {
        format!(
            r#"{{"categoria":1,"producto_id":"a","precio":1,"cantidad_vendida":1,"idempotency_key":{member}}}"#
        )
    };
    for (member, header, expected) in [
        (r#""k-1""#, None, Some("k-1")),
        (r#""k-1""#, Some("k-1"), Some("k-1")),
        ("null", Some("k-2"), Some("k-2")),
        ("null", None, None),
    ] {
        let command = parse_sale(beside(member).as_bytes(), header.map(key), false).expect(member);
        assert_eq!(command.idempotency_key, expected.map(key), "{member}, {header:?}");
    }
    for (member, header) in
        [(r#""k-1""#, Some("k-2")), (r#""a b""#, None), (r#""""#, None), ("7", None), (r#""ñ""#, Some("k-1"))]
    {
        let error = parse_sale(beside(member).as_bytes(), header.map(key), false).expect_err(member);
        assert_eq!(error.fields[0].field, "idempotency_key", "{member}, {header:?}");
    }
}

fn anything() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<f64>().prop_map(|n| json!(n)),
        any::<i64>().prop_map(|n| json!(n)),
        ".{0,8}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..3).prop_map(|items| json!(items));
        let map = prop::collection::btree_map(".{0,4}", inner, 0..3).prop_map(|members| json!(members));
        prop_oneof![list, map]
    })
}

proptest! {
    #[test]
    fn a_valid_sale_survives_json(
        category in 1_i64..=4, product in "[ -~áéñ产]{1,40}", cents in 0..=Money::MAX_CENTS, units in 1_i64..=100_000,
        extra in anything(), pretty in any::<bool>(),
    ) {
        prop_assume!(product.trim() == product);
        let draft = SaleDraft {
            category: Category::from_number(category).expect("1 to 4"),
            product_id: ProductId::new(&product).expect("visible"),
            price: Money::from_cents(u64::from(cents)).expect("in range"),
            quantity: Quantity::new(units).expect("in range"),
        };
        let value = json!({
            "categoria": draft.category.name(), "producto_id": product, "precio": draft.price.to_f64(),
            "cantidad_vendida": units, "otro": extra,
        });
        let body = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert_eq!(parse(&body).expect("valid").draft, draft);
    }

    #[test]
    fn any_json_is_a_sale_or_has_its_wrong_fields_named(
        members in prop::collection::btree_map(
            prop::sample::select(vec!["categoria", "producto_id", "precio", "cantidad_vendida", "otro"]),
            anything(), 0..5,
        ),
    ) {
        match parse(&json!(members).to_string()) {
            Ok(command) => prop_assert!(command.draft.quantity.units() > 0),
            Err(error) => {
                prop_assert_eq!(error.code, ErrorCode::InvalidField);
                prop_assert!(!error.fields.is_empty());
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in 0_usize..70) {
        prop_assert!(parse_sale(&bytes, None, true).is_err());
        let sale = br#"{"categoria":"Ropa","producto_id":"a","precio":1e9,"cantidad_vendida":1}"#;
        prop_assert!(parse_sale(&sale[..cut.min(sale.len() - 1)], None, true).is_err());
    }
}
