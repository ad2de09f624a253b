//! Hostile input against the running pipeline: each gets its clear error or is closed, sales go on meanwhile,
//! memory stays flat, nothing panics.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{Pipeline, Service, post};
use blackfriday_stack::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SALE: &str = r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":1}"#;
const CONNECTIONS: usize = 10_000;
/// More than a gateway needs for its buffers, far less than what hostile input could make it hold.
const MAX_RESIDENT_BYTES: u64 = 400 << 20;

/// What is sent, and the status and words that must come back.
fn wrong_bodies() -> Vec<(String, u16, &'static [&'static str])> {
    let with = |field: &str, value: &str| {
        let member =
            |name: &str, good: &str| format!("\"{name}\":{}", if name == field { value } else { good });
        let members = [
            member("categoria", "\"Ropa\""),
            member("producto_id", "\"P-1\""),
            member("precio", "1.5"),
            member("cantidad_vendida", "1"),
        ];
        format!("{{{}}}", members.join(","))
    };
    let long_id = format!("\"{}\"", "x".repeat(200_000));
    vec![
        ("not json".into(), 400, &[]),
        ("{\"categoria\":".into(), 400, &[]),
        (with("precio", "NaN"), 400, &[]),
        (with("precio", "Infinity"), 400, &[]),
        (with("precio", "-0.01"), 422, &["precio"]),
        (with("precio", "1e400"), 422, &["precio"]),
        (with("precio", "\"10\""), 422, &["precio"]),
        (with("precio", "10000000.01"), 422, &["precio"]),
        (with("categoria", "\"Juguetes\""), 422, &["categoria"]),
        (with("categoria", "[]"), 422, &["categoria"]),
        (with("cantidad_vendida", "0"), 422, &["cantidad_vendida"]),
        (with("cantidad_vendida", "-1"), 422, &["cantidad_vendida"]),
        (with("cantidad_vendida", "2147483648"), 422, &["cantidad_vendida"]),
        (with("producto_id", "\"\""), 422, &["producto_id"]),
        (with("producto_id", &long_id), 422, &["producto_id"]),
        ("{}".into(), 422, &["categoria", "producto_id", "precio", "cantidad_vendida"]),
        ("x".repeat(10 << 20), 413, &[]),
    ]
}

async fn wrong_bodies_get_their_error(gateway: SocketAddr) -> Result<()> {
    for (body, status, fields) in wrong_bodies() {
        let shown: String = body.chars().take(80).collect();
        let answer = post(gateway, "/venta", body).await.with_context(|| shown.clone())?;
        ensure!(answer.status.as_u16() == status, "{shown}: {answer:?}");
        for field in fields {
            ensure!(
                answer.json["errors"].to_string().contains(field),
                "{shown}: {field} is named in {answer:?}"
            );
        }
    }
    Ok(())
}

/// Reads until the server closes, and returns what it said.
async fn read_to_close(stream: &mut TcpStream) -> Result<String> {
    let mut said = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await;
    match read.context("the server closes within 20 s")? {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error.into()),
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

async fn slow_clients_are_closed(gateway: SocketAddr) -> Result<()> {
    for half in [
        "POST /venta HT",
        "POST /venta HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"categ",
    ] {
        let mut stream = TcpStream::connect(gateway).await?;
        stream.write_all(half.as_bytes()).await?;
        read_to_close(&mut stream).await.with_context(|| half.to_owned())?;
    }
    let mut stream = TcpStream::connect(gateway).await?;
    let typed = format!(
        "POST /venta HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{SALE}",
        SALE.len()
    );
    stream.write_all(typed.as_bytes()).await?;
    let said = read_to_close(&mut stream).await?;
    ensure!(said.starts_with("HTTP/1.1 415"), "a wrong content type: {said}");
    Ok(())
}

/// Opens as many idle connections as asked for; those over the server's limit are closed by it.
async fn many_connections(gateway: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut open = Vec::with_capacity(CONNECTIONS);
    for at in 0..CONNECTIONS {
        let stream = TcpStream::connect(gateway).await.with_context(|| format!("connection {at}"))?;
        open.push(stream);
    }
    Ok(open)
}

fn resident_bytes(pid: u32) -> Result<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm.split(' ').nth(1).context("resident pages")?.parse()?;
    Ok(pages * 4096)
}

#[tokio::test]
async fn hostile_input_is_refused_while_sales_go_on() -> Result<()> {
    blackfriday_service::raise_fd_limit();
    let pipeline = Pipeline::start(&[
        ("BLACKFRIDAY_HTTP_HEADER_READ_TIMEOUT_MS", "2000"),
        ("BLACKFRIDAY_HTTP_REQUEST_TIMEOUT_MS", "3000"),
    ])
    .await?;
    let gateway = pipeline.address(Service::Gateway);
    let load = pipeline.load("load", &["--rate", "200", "--duration", "15s"])?;

    wrong_bodies_get_their_error(gateway).await?;
    slow_clients_are_closed(gateway).await?;
    let open = many_connections(gateway).await?;
    ensure!(resident_bytes(pipeline.pid(Service::Gateway)?)? < MAX_RESIDENT_BYTES, "memory stays flat");
    drop(open);
    let accepted = async || post(gateway, "/venta", SALE).await.is_ok_and(|answer| answer.status == 202);
    eventually(Duration::from_secs(30), accepted).await.context("sales go on after the crowd has left")?;

    load.finish(Duration::from_secs(60)).await?;
    pipeline.verify(&[&load]).await?;
    Ok(())
}
