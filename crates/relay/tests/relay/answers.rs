//! Every route's answers: what is accepted, and each kind of bad input.

use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_event::{EventId, FieldErrors};
use blackfriday_proto::ErrorCode;
use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Relay;
use crate::client::{Answer, Http, sale, sales};
use crate::test_writer::{LIMIT, TestWriter};

const JSON: (&str, &str) = ("content-type", "application/json");
/// What our own hop before it always sends.
const HOP: (&str, &str) = ("x-deadline-ms", "4000");
const TRUSTING: &[&str] = &["--trust-hops"];
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

#[tokio::test]
async fn an_event_is_accepted_with_what_stands_beside_it() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], TRUSTING).await?;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    let plain = relay.http.post("/procesar", sale("plain")).await?;
    assert_eq!((plain.status.as_u16(), plain.content_type.as_str()), (202, "application/json"));
    let id: EventId = plain.json["id"].as_str().context("an id")?.parse().map_err(FieldErrors::from)?;
    assert_eq!(plain.json, json!({"estado": "OK", "id": id.to_string()}));

    let headers = [JSON, HOP, ("idempotency-key", "\"k-1\""), ("traceparent", trace)];
    let keyed = relay.http.send("/procesar", &headers, sale("keyed")).await?;
    let again = relay.http.send("/procesar", &headers, sale("keyed")).await?;
    assert_eq!((keyed.status.as_u16(), &keyed.json), (202, &again.json), "one key, one identity");

    let inner_id = EventId::new_v7();
    let inner = json!({"categoria": 1, "producto_id": "inner", "precio": 1, "cantidad_vendida": 1,
        "id": inner_id.to_string(), "traceparent": trace});
    let inner = relay.http.send("/procesar", &[JSON, HOP], inner.to_string()).await?;
    assert_eq!(inner.json["id"], inner_id.to_string());

    let seen = writer.seen.sales();
    let of = |product: &str| seen.iter().find(|sale| sale.producto_id == product).context("it arrived");
    assert_eq!(of("plain")?.id, id.as_bytes());
    assert_eq!((of("plain")?.clave_idempotencia.as_str(), of("plain")?.traceparent.as_str()), ("", ""));
    assert_eq!((of("keyed")?.clave_idempotencia.as_str(), of("keyed")?.traceparent.as_str()), ("k-1", trace));
    assert_eq!(
        (of("inner")?.id.as_slice(), of("inner")?.traceparent.as_str()),
        (&inner_id.as_bytes()[..], trace)
    );
    assert_eq!((of("plain")?.precio, of("plain")?.cantidad_vendida), (9.99, 2));

    let report = r#"{"description":"Llueve","country":"GT","weather":"Rainy"}"#;
    let weather = relay.http.send("/publicar", &[JSON, ("idempotency-key", "w-1")], report).await?;
    assert_eq!((weather.status.as_u16(), &weather.json["estado"]), (202, &json!("OK")));
    let seen = writer.seen.weather();
    assert_eq!((seen[0].country.as_str(), seen[0].clave_idempotencia.as_str()), ("GT", "w-1"));
    Ok(())
}

/// What only our own hops send is ignored from others: identity, trace context, decision about sampling, deadline. The
/// header of a hop does not make a client one.
#[tokio::test]
async fn what_only_a_hop_may_say_is_ignored_from_outside() -> Result<()> {
    let writer = TestWriter::start()?;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let id = EventId::new_v7().to_string();
    let beside = json!({"categoria": 1, "producto_id": "a", "precio": 1, "cantidad_vendida": 1, "id": id,
        "traceparent": trace, "country": "GT", "weather": "Rainy"});
    let bodies = [
        ("/procesar", beside.to_string()),
        ("/procesar", json!([beside]).to_string()),
        ("/publicar", beside.to_string()),
    ];
    let trusting = Relay::ready(&[writer.address], TRUSTING).await?;
    let open = Relay::ready(&[writer.address], &[]).await?;
    let outside: [(&Relay, &[_]); 4] = [
        (&trusting, &[]),
        (&open, &[]),
        (&open, &[HOP]),
        // From a hop it would be too late.
        (&open, &[("x-deadline-ms", "0")]),
    ];
    for (relay, hop) in outside {
        for (path, body) in &bodies {
            let headers = [&[JSON, ("traceparent", trace)], hop].concat();
            let answer = relay.http.send(path, &headers, body.clone()).await?;
            assert_eq!(answer.status, 202, "{answer:?}");
            let results = &answer.json["resultados"];
            let given = if results.is_array() { &results[0]["id"] } else { &answer.json["id"] };
            assert!(given.is_string() && *given != json!(id), "{path}: {answer:?}");
        }
    }
    assert!(writer.seen.sales().iter().all(|sale| sale.traceparent.is_empty()));
    assert!(writer.seen.weather().iter().all(|report| report.traceparent.is_empty()));
    for (path, body) in bodies {
        let answer = trusting.http.send(path, &[JSON, HOP], body).await?;
        let results = &answer.json["resultados"];
        let given = if results.is_array() { &results[0]["id"] } else { &answer.json["id"] };
        assert_eq!((answer.status.as_u16(), given), (202, &json!(id)), "{path}");
    }
    Ok(())
}

/// As an item of a batch has between our own hops, and no client can write.
#[tokio::test]
async fn an_items_key_is_taken_from_a_hop_alone() -> Result<()> {
    let writer = TestWriter::start()?;
    let key = "order ab010203040506ff 0";
    let item = json!({"categoria": 1, "producto_id": "a", "precio": 1, "cantidad_vendida": 1,
        "idempotency_key": key});
    let open = Relay::ready(&[writer.address], &[]).await?;
    for headers in [&[JSON][..], &[JSON, HOP]] {
        let refused = open.http.send("/procesar", headers, item.to_string()).await?;
        assert_eq!((refused.status.as_u16(), refused.wrong_fields()), (422, vec!["idempotency_key"]));
    }
    let trusting = Relay::ready(&[writer.address], TRUSTING).await?;
    assert_eq!(trusting.http.send("/procesar", &[JSON], item.to_string()).await?.status, 422);
    assert_eq!(trusting.http.send("/procesar", &[JSON, HOP], item.to_string()).await?.status, 202);
    assert_eq!(writer.seen.sales().pop().map(|sale| sale.clave_idempotencia).as_deref(), Some(key));
    Ok(())
}

#[tokio::test]
async fn bad_input_gets_its_own_clear_answer_and_is_never_sent_on() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], TRUSTING).await?;
    let field = |name: &str, value: Value| {
        let mut sale = json!({"categoria": "Ropa", "producto_id": "a", "precio": 1, "cantidad_vendida": 1});
        sale[name] = value;
        sale.to_string()
    };
    let raw = |name: &str, literal: &str| field(name, json!("@")).replace("\"@\"", literal);
    let all = ["categoria", "producto_id", "precio", "cantidad_vendida"];
    let cases: Vec<(String, u16, &[&str])> = vec![
        (String::new(), 400, &[]),
        ("not json".into(), 400, &[]),
        ("{\"precio\":".into(), 400, &[]),
        (raw("precio", "NaN"), 400, &[]),
        (raw("precio", "Infinity"), 400, &[]),
        ("{}".into(), 422, &all),
        ("null".into(), 422, &["body"]),
        ("7".into(), 422, &["body"]),
        ("[]".into(), 422, &["body"]),
        (field("categoria", json!("Juguetes")), 422, &["categoria"]),
        (field("categoria", json!(0)), 422, &["categoria"]),
        (field("categoria", json!({})), 422, &["categoria"]),
        (field("producto_id", json!("")), 422, &["producto_id"]),
        (field("producto_id", json!(7)), 422, &["producto_id"]),
        (field("producto_id", json!("x".repeat(200_000))), 422, &["producto_id"]),
        (field("precio", json!(-0.01)), 422, &["precio"]),
        (field("precio", json!("9.99")), 422, &["precio"]),
        (field("precio", json!(null)), 422, &["precio"]),
        (raw("precio", "1e999"), 422, &["precio"]),
        (raw("precio", "-1e999"), 422, &["precio"]),
        (field("cantidad_vendida", json!(0)), 422, &["cantidad_vendida"]),
        (field("cantidad_vendida", json!(-1)), 422, &["cantidad_vendida"]),
        (field("cantidad_vendida", json!(1_i64 << 31)), 422, &["cantidad_vendida"]),
        (field("cantidad_vendida", json!(1.5)), 422, &["cantidad_vendida"]),
        (raw("cantidad_vendida", "99999999999999999999999"), 422, &["cantidad_vendida"]),
        (field("idempotency_key", json!(7)), 422, &["idempotency_key"]),
        (field("idempotency_key", json!("k ab010203040506ff 0")), 422, &["idempotency_key"]),
    ];
    for (body, status, fields) in cases {
        let shown: String = body.chars().take(100).collect();
        let answer = relay.http.post("/procesar", body).await?;
        assert_eq!((answer.status.as_u16(), answer.wrong_fields().as_slice()), (status, fields), "{shown}");
        assert_problem(&answer, if status == 400 { "not-json" } else { "invalid-field" });
    }
    for (name, value) in [("id", json!("no uuid")), ("idempotency_key", json!(7))] {
        let hop = relay.http.send("/procesar", &[JSON, HOP], field(name, value)).await?;
        assert_eq!((hop.status.as_u16(), hop.wrong_fields().as_slice()), (422, &[name][..]));
    }
    let report = relay.http.post("/publicar", r#"{"description":"ok","country":"","weather":7}"#).await?;
    assert_eq!(
        (report.status.as_u16(), report.wrong_fields().as_slice()),
        (422, &["country", "weather"][..])
    );
    assert_eq!((writer.seen.count(), writer.seen.weather().len()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn wrong_heads_and_broken_bodies_are_told_apart() -> Result<()> {
    let writer = TestWriter::start()?;
    let settings = ["--http-request-timeout-ms", "400"];
    let relay = Relay::ready(&[writer.address], &settings).await?;
    for (headers, status, problem) in [
        (vec![], 415, "unsupported-media-type"),
        (vec![("content-type", "text/plain")], 415, "unsupported-media-type"),
        (vec![("content-type", "application/x-www-form-urlencoded")], 415, "unsupported-media-type"),
        (vec![JSON, ("idempotency-key", "a b")], 422, "invalid-field"),
        (vec![JSON, ("idempotency-key", "")], 422, "invalid-field"),
        (vec![JSON, ("idempotency-key", "k"), ("idempotency-key", "k")], 422, "invalid-field"),
    ] {
        let answer = relay.http.send("/procesar", &headers, sale("a")).await?;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
        assert_problem(&answer, problem);
    }
    for media in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.sale+json"] {
        assert_eq!(
            relay.http.send("/procesar", &[("content-type", media)], sale("a")).await?.status,
            202,
            "{media}"
        );
    }
    let huge = relay.http.post("/procesar", vec![b' '; 10 << 20]).await?;
    assert_eq!(huge.status, 413);
    assert_problem(&huge, "too-large");
    assert_eq!(relay.http.request(Method::GET, "/procesar", &[], "").await?.status, 405);
    let nowhere = relay.http.post("/venta", sale("a")).await?;
    assert_eq!((nowhere.status.as_u16(), nowhere.problem()), (404, "not-found"));

    let head = "POST /procesar HTTP/1.1\r\nhost: relay\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    let mut late = TcpStream::connect(relay.address).await?;
    late.write_all(format!("{head}{{\"cat").as_bytes()).await?;
    let mut answer = vec![0; 16];
    timeout(LIMIT, late.read_exact(&mut answer)).await??;
    assert_eq!(std::str::from_utf8(&answer)?, "HTTP/1.1 408 Req");
    let mut gone = TcpStream::connect(relay.address).await?;
    gone.write_all(format!("{head}{{\"cat").as_bytes()).await?;
    gone.shutdown().await?;
    timeout(LIMIT, gone.read_to_end(&mut answer)).await??;
    assert_eq!(relay.http.post("/procesar", sale("after")).await?.status, 202, "it still serves");
    Ok(())
}

#[tokio::test]
async fn a_batch_has_a_result_for_each_item() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], &["--max-batch-sales", "5"]).await?;

    let whole = relay.http.send("/procesar", &[JSON, ("idempotency-key", "b")], sales(3)).await?;
    assert_eq!(whole.status, 202);
    assert_eq!((&whole.json["aceptadas"], &whole.json["rechazadas"]), (&json!(3), &json!(0)));
    let keys: Vec<_> = writer.seen.sales().into_iter().map(|sale| sale.clave_idempotencia).collect();
    assert!(keys.iter().all(|key| key.starts_with("b ")), "{keys:?}");
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    let part = format!("[{}]", sale("P-1"));
    assert_eq!(relay.http.send("/procesar", &[JSON, ("idempotency-key", "b")], part).await?.status, 202);
    assert_eq!(writer.seen.sales()[3].clave_idempotencia, keys[1], "a part of the batch again");
    assert_eq!(writer.seen.count(), 2);

    let wrong = sale("x").replace("9.99", "-1");
    let mixed =
        relay.http.send("/procesar", &[NDJSON], format!("{}\n{wrong}\nnot json\n", sale("y"))).await?;
    assert_eq!((mixed.status.as_u16(), mixed.content_type.as_str()), (207, "application/json"));
    let results = mixed.json["resultados"].as_array().context("results")?;
    assert_eq!(results[0]["estado"], "OK");
    assert_eq!((&results[1]["estado"], &results[1]["status"]), (&json!("ERROR"), &json!(422)));
    assert_eq!(
        (&results[1]["codigo"], &results[1]["errores"][0]["field"]),
        (&json!("invalid-field"), &json!("precio"))
    );
    assert_eq!((&results[2]["status"], &results[2]["codigo"]), (&json!(400), &json!("not-json")));

    let refused = relay.http.post("/procesar", format!("[{wrong},{wrong}]")).await?;
    assert_eq!((refused.status.as_u16(), &refused.json["rechazadas"]), (422, &json!(2)));
    assert_problem(&refused, "invalid-field");
    let many = relay.http.post("/procesar", sales(6)).await?;
    assert_eq!(many.status, 413);
    assert_problem(&many, "too-large");
    assert!(many.json["detail"].as_str().is_some_and(|detail| detail.contains("at most 5")));

    writer.seen.refuse(Some(ErrorCode::Unavailable));
    let away = relay.http.post("/procesar", sales(2)).await?;
    assert_eq!((away.status.as_u16(), away.retry_after.as_deref()), (503, Some("1")));
    assert_problem(&away, "unavailable");
    assert!(away.json["resultados"][1]["id"].is_string());
    Ok(())
}

#[tokio::test]
async fn the_writers_refusal_is_the_answer() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], &[]).await?;
    for code in ErrorCode::ALL {
        writer.seen.refuse(Some(code));
        let answer = relay.http.post("/procesar", sale("a")).await?;
        assert_eq!(answer.status.as_u16(), code.http_status());
        assert_problem(&answer, code.name());
        assert_eq!(answer.retry_after.is_some(), code.retry_is_safe(), "{code:?}");
        assert!(answer.json["id"].is_string(), "{code:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_writer_it_says_so_at_once_and_is_not_ready() -> Result<()> {
    let nobody = ([127, 0, 0, 1], blackfriday_stack::free_port()?).into();
    let relay = Relay::start(&[nobody], &[])?;
    let answer = timeout(Duration::from_secs(2), relay.http.post("/procesar", sale("a"))).await??;
    assert_eq!((answer.status.as_u16(), answer.retry_after.as_deref()), (503, Some("1")));
    assert_problem(&answer, "unavailable");
    assert_eq!(relay.context.readiness.missing(), ["writer"]);
    assert_eq!(relay.http.post("/publicar", r#"{"country":"GT","weather":"Rainy"}"#).await?.status, 503);
    Ok(())
}

fn assert_problem(answer: &Answer, name: &str) {
    assert_eq!(answer.content_type, "application/problem+json", "{answer:?}");
    assert_eq!(answer.problem(), name, "{answer:?}");
    assert_eq!(answer.json["status"], answer.status.as_u16(), "{answer:?}");
    assert!(answer.json["title"].is_string() && answer.json["detail"].is_string(), "{answer:?}");
}

/// Idle clients cost connections, not answers; one over the limit gets 503.
#[tokio::test]
async fn idle_clients_do_not_keep_others_out_below_the_limit() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], &["--http-max-connections", "50"]).await?;
    let mut idle = Vec::new();
    for _ in 0..49 {
        idle.push(TcpStream::connect(relay.address).await?);
    }
    assert_eq!(relay.http.post("/procesar", sale("a")).await?.status, 202);
    let one_more = Http::to(relay.address);
    let refused = one_more.post("/procesar", sale("a")).await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status == 503));
    Ok(())
}
