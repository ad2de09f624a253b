//! HTTP and JSON as others speak them: what is understood, and by which name the rest is refused.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::sale;
use crate::test_writer::{LIMIT, TestWriter};
use crate::{Gateway, Relay};

const JSON: (&str, &str) = ("content-type", "application/json");
const REPORT: &str = r#"{"description":"d","country":"GT","weather":"Rainy"}"#;

#[tokio::test]
async fn other_encodings_are_refused_by_name() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &[])?;
    let utf16: Vec<u8> = REPORT.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (route, plain) in
        [("/venta", sale("a")), ("/ventas", format!("[{}]", sale("a"))), ("/input", REPORT.to_owned())]
    {
        let with = |before: &[u8]| [before, plain.as_bytes()].concat();
        for (field, body, status, named) in [
            (("content-encoding", "gzip"), with(b""), 415, "gzip"),
            (("content-encoding", "br"), with(b""), 415, "br"),
            (("accept", "*/*"), with(b"\x1f\x8b\x08\0"), 415, "gzip"),
            (("accept", "*/*"), with(b"\x28\xb5\x2f\xfd"), 415, "zstd"),
            (("accept", "*/*"), with(b"\xef\xbb\xbf"), 400, "byte order mark"),
            (("accept", "*/*"), with(b"\xff\xfe"), 400, "UTF-16"),
            (("accept", "*/*"), utf16.clone(), 400, "UTF-16"),
            (("accept", "*/*"), with(b"\"\xe9\""), 400, "UTF-8"),
        ] {
            let answer = gateway.http.send(route, &[JSON, field], body).await?;
            let detail = answer.json["detail"].as_str().context("a detail")?;
            assert_eq!(answer.status.as_u16(), status, "{route} {field:?}: {answer:?}");
            assert!(detail.contains(named), "{route} {field:?}: {detail}");
        }
        for charset in ["utf-16", "iso-8859-1"] {
            let value = format!("application/json; charset={charset}");
            let answer = gateway.http.send(route, &[("content-type", &value)], plain.clone()).await?;
            assert!(
                answer.status == 415 && answer.json["detail"].to_string().contains(charset),
                "{answer:?}"
            );
        }
        let utf8 = [("content-type", "application/json; charset=UTF-8"), ("content-encoding", "identity")];
        assert_eq!(gateway.http.send(route, &utf8, plain.clone()).await?.status, 202);
    }
    Ok(())
}

#[tokio::test]
async fn one_reader_judges_sales_and_weather_alike() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &[])?;
    let sale = |member: &str| format!(r#"{{"categoria":1,"producto_id":"a","precio":1,{member}}}"#);
    let report = |member: &str| format!(r#"{{"country":"GT",{member}}}"#);
    for (route, body, fields) in [
        ("/venta", sale(r#""cantidad_vendida":1,"cantidad_vendida":1"#), &["cantidad_vendida"][..]),
        ("/input", report(r#""weather":"a","weather":"a""#), &["weather"]),
        ("/input", report(r#""weather":"a","Weather":"a""#), &["weather"]),
        ("/venta", sale(r#""cantidad_vendida":1e999"#), &["cantidad_vendida"]),
        ("/input", report(r#""weather":1e999"#), &["weather"]),
        ("/venta", sale(r#""cantidad_vendida":1,"id":1,"id":2"#), &["id"]),
        ("/input", report(r#""weather":"a","id":1,"id":2"#), &["id"]),
        ("/venta", sale(r#""categoria":2,"cantidad_vendida":0"#), &["categoria", "cantidad_vendida"]),
        ("/input", report(r#""country":"SV","weather":"""#), &["country", "weather"]),
        (
            "/venta",
            r#"{"categoria":1.5,"producto_id":"a","precio":1,"cantidad_vendida":1}"#.into(),
            &["categoria"],
        ),
        ("/venta", "[]".into(), &["body"]),
        ("/input", "7".into(), &["body"]),
    ] {
        let answer = gateway.http.post(route, body.clone()).await?;
        assert_eq!((answer.status.as_u16(), answer.wrong_fields()), (422, fields.to_vec()), "{route} {body}");
    }
    for (route, body) in [
        ("/venta", r#"{"categoria":1.0,"producto_id":"a","precio":1,"cantidad_vendida":2.0,"x":1e999}"#),
        ("/input", r#"{"Country":"GT","Weather":"Rainy","Description":"d","x":1e999}"#),
        ("/input", r#"{"COUNTRY":"GT","weather":"Rainy"}"#),
    ] {
        let answer = gateway.http.post(route, body).await?;
        assert_eq!(answer.status, 202, "{route} {body}: {answer:?}");
    }
    assert_eq!(writer.seen.weather()[0].description, "d");
    Ok(())
}

#[tokio::test]
async fn missing_and_wrong_are_told_apart() -> Result<()> {
    let gateway = Gateway::start(&["--relay-url", "http://127.0.0.1:9"])?;
    for (route, body, missing) in [
        ("/venta", r#"{"categoria":9,"precio":null}"#, &[false, true, false, true][..]),
        ("/input", r#"{"country":7}"#, &[false, true]),
    ] {
        let answer = gateway.http.post(route, body).await?;
        let errors = answer.json["errors"].as_array().context("errors")?;
        let said: Vec<_> =
            errors.iter().map(|error| error["message"].to_string().contains("is missing")).collect();
        assert_eq!(said, missing, "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_head_alone_is_refused_without_its_body() -> Result<()> {
    let gateway = Gateway::start(&["--relay-url", "http://127.0.0.1:9"])?;
    for (fields, status) in [
        ("content-type: application/json\r\ncontent-length: 99999999", "413"),
        ("content-type: text/plain\r\ncontent-length: 80", "415"),
        ("content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 80", "415"),
        ("content-type: application/json; charset=utf-16\r\ncontent-length: 80", "415"),
    ] {
        let mut stream = TcpStream::connect(gateway.address).await?;
        let head = format!("POST /venta HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n{fields}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = [0; 4096];
        let read = timeout(LIMIT, stream.read(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{fields}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_half_closes_is_told_that_its_sale_is_counted() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &[])?;
    let body = sale("half");
    let mut stream = TcpStream::connect(gateway.address).await?;
    let head = "POST /venta HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length:";
    stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer)).await??;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    Ok(())
}
