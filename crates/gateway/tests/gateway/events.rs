//! The public routes, with a real relay behind them.

use anyhow::{Context, Result};
use blackfriday_event::{EventId, FieldErrors};
use blackfriday_proto::ErrorCode;
use hyper::Method;
use serde_json::json;

use crate::client::{sale, sales};
use crate::test_writer::TestWriter;
use crate::{Gateway, Relay};

const JSON: (&str, &str) = ("content-type", "application/json");
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn an_event_keeps_its_identity_and_key_all_the_way() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &[])?;

    let odd = "café \"molido\" \\ 500 g";
    let body = json!({"categoria": "BELLEZA", "producto": odd, "precio": 0.005, "cantidad_vendida": 100_000,
        "id": EventId::new_v7().to_string(), "traceparent": TRACE});
    let plain = gateway.http.post("/venta", body.to_string()).await?;
    assert_eq!((plain.status.as_u16(), &plain.json["estado"]), (202, &json!("OK")), "{plain:?}");
    let id: EventId = plain.json["id"].as_str().context("an id")?.parse().map_err(FieldErrors::from)?;
    let headers = [JSON, ("idempotency-key", "k-1"), ("traceparent", TRACE)];
    let keyed = gateway.http.send("/venta", &headers, sale("keyed")).await?;
    assert_eq!(keyed.status, 202);

    let seen = writer.seen.sales();
    assert_eq!((seen[0].producto_id.as_str(), seen[0].categoria, seen[0].precio), (odd, 4, 0.01));
    assert_eq!((seen[0].cantidad_vendida, seen[0].id.as_slice()), (100_000, &id.as_bytes()[..]));
    assert_eq!(
        (seen[0].clave_idempotencia.as_str(), seen[0].traceparent.as_str()),
        ("", ""),
        "not from outside"
    );
    assert_eq!(seen[1].clave_idempotencia, "k-1");
    assert_eq!(seen[1].traceparent, "", "a client does not decide what is recorded");
    let of_key = EventId::from_slice(&seen[1].id).map_err(FieldErrors::from)?;
    assert_eq!(keyed.json["id"], of_key.to_string());

    let report =
        json!({"description": "Llueve\nmucho", "country": "Guatemala", "weather": "Lluvioso"}).to_string();
    let weather = gateway.http.send("/input", &headers, report).await?;
    assert_eq!((weather.status.as_u16(), &weather.json["estado"]), (202, &json!("OK")));
    let seen = writer.seen.weather();
    assert_eq!((seen[0].description.as_str(), seen[0].clave_idempotencia.as_str()), ("Llueve\nmucho", "k-1"));
    assert_eq!(seen[0].traceparent, "");
    Ok(())
}

#[tokio::test]
async fn each_route_takes_its_own_kind_of_body() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &["--max-batch-sales", "1000"])?;
    let http = &gateway.http;

    let many = http.send("/ventas", &[JSON, ("idempotency-key", "b")], sales(1000)).await?;
    assert_eq!((many.status.as_u16(), &many.json["aceptadas"]), (202, &json!(1000)));
    let ids: Vec<_> = writer.seen.sales().iter().map(|sale| sale.id.clone()).collect();
    let answered = many.json["resultados"].as_array().context("results")?.iter();
    let answered: Vec<EventId> = answered
        .map(|result| result["id"].as_str().unwrap_or_default().parse().map_err(FieldErrors::from))
        .collect::<Result<_, _>>()?;
    assert!(answered.iter().map(|id| id.as_bytes().to_vec()).eq(ids), "in order");
    assert_eq!(http.post("/ventas", sales(1001)).await?.status, 413);

    let wrong = sale("x").replace("Ropa", "Juguetes");
    let mixed = http.send("/ventas", &[NDJSON], format!("{}\n{wrong}\n", sale("y"))).await?;
    assert_eq!((mixed.status.as_u16(), &mixed.json["rechazadas"]), (207, &json!(1)));
    assert_eq!(mixed.json["resultados"][1]["errores"][0]["field"], "categoria");

    assert_eq!(http.post("/venta", sales(2)).await?.wrong_fields(), ["body"]);
    assert_eq!(http.post("/ventas", sale("one")).await?.wrong_fields(), ["body"]);
    assert_eq!(http.send("/venta", &[NDJSON], sale("one")).await?.status, 415);
    assert_eq!(http.send("/ventas", &[("content-type", "text/csv")], sales(1)).await?.status, 415);
    assert_eq!(http.post("/input", "[]").await?.wrong_fields(), ["body"]);
    assert_eq!(http.post("/venta", vec![b'{'; 10 << 20]).await?.status, 413);
    assert_eq!(http.request(Method::GET, "/venta", &[], "").await?.status, 405);
    assert_eq!(http.request(Method::GET, "/", &[], "").await?.problem(), "not-found");
    let document = http.request(Method::GET, "/openapi.json", &[], "").await?;
    assert_eq!((document.status.as_u16(), document.content_type.as_str()), (200, "application/json"));
    assert!(document.json["paths"]["/venta"]["post"].is_object());
    Ok(())
}

/// The client gets what the writer says of an event, over any number of hops.
#[tokio::test]
async fn a_refusal_arrives_as_it_was_said() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &[])?;
    for code in ErrorCode::ALL {
        writer.seen.refuse(Some(code));
        let answer = gateway.http.post("/venta", sale("a")).await?;
        assert_eq!((answer.status.as_u16(), answer.problem()), (code.http_status(), code.name()));
        assert_eq!(answer.retry_after.is_some(), code.retry_is_safe(), "{code:?}");
        assert!(answer.json["id"].is_string(), "{code:?}");
        let batch = gateway.http.post("/ventas", sales(2)).await?;
        assert_eq!((batch.status.as_u16(), batch.problem()), (code.http_status(), code.name()));
        assert_eq!(batch.json["resultados"][1]["codigo"], code.name());
    }
    writer.seen.refuse(Some(ErrorCode::Unavailable));
    let report = r#"{"country":"GT","weather":"Rainy"}"#;
    let weather = gateway.http.post("/input", report).await?;
    assert_eq!((weather.status.as_u16(), weather.retry_after.as_deref()), (503, Some("1")));
    Ok(())
}

/// Keys go the whole way, whichever form they have: the header's, an item's own, one made for an item.
#[tokio::test]
async fn every_item_of_a_batch_keeps_its_key_over_all_hops() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &[])?;
    let http = &gateway.http;
    let own = sale("own").replace('}', r#","idempotency_key":"mine"}"#);
    let body = format!("[{},{own},{},{}]", sale("a"), sale("a"), sale("b"));
    let batch = [JSON, ("idempotency-key", "b-1")];
    let first = http.send("/ventas", &batch, body).await?;
    assert_eq!(first.status, 202, "{first:?}");
    let keys: Vec<_> = writer.seen.sales().into_iter().map(|sale| sale.clave_idempotencia).collect();
    assert_eq!(keys[1], "mine");
    let made: std::collections::BTreeSet<_> = [&keys[0], &keys[2], &keys[3]].into();
    assert!(made.len() == 3 && made.iter().all(|key| key.starts_with("b-1 ")), "{keys:?}");

    // Of a batch, only what failed is sent again: it keeps its key, and its identity.
    let part = http.send("/ventas", &batch, format!("[{},{own}]", sale("b"))).await?;
    let results = |answer: &crate::client::Answer| answer.json["resultados"].clone();
    assert_eq!(results(&part)[0]["id"], results(&first)[3]["id"]);
    assert_eq!(results(&part)[1]["id"], results(&first)[1]["id"]);

    // A single sale under the text of another's key is another sale.
    let single = http.send("/venta", &[JSON, ("idempotency-key", "b-1/0")], sale("a")).await?;
    let ids = results(&first);
    assert!(ids.as_array().context("results")?.iter().all(|result| result["id"] != single.json["id"]));
    let member = http.post("/venta", own.clone()).await?;
    assert_eq!(member.json["id"], results(&first)[1]["id"]);
    let both = http.send("/venta", &[JSON, ("idempotency-key", "other")], own).await?;
    assert_eq!((both.status.as_u16(), both.wrong_fields()), (422, vec!["idempotency_key"]));
    let twice = [JSON, ("idempotency-key", "k-1"), ("idempotency-key", "k-2")];
    for (path, body) in [("/venta", sale("a")), ("/ventas", sales(2))] {
        let twice = http.send(path, &twice, body).await?;
        assert_eq!((twice.status.as_u16(), twice.wrong_fields()), (422, vec!["Idempotency-Key"]), "{path}");
    }

    // Two items under one key are the client's affair: the log decides.
    let same = [sale("x"), sale("x")].map(|sale| sale.replace('}', r#","idempotency_key":"same"}"#));
    let same = http.post("/ventas", format!("[{}]", same.join(","))).await?;
    assert_eq!((same.status.as_u16(), &results(&same)[0]["id"]), (202, &results(&same)[1]["id"]));
    Ok(())
}
