//! Connections that never begin to speak, and streams that never end: both are bounded.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_proto::ErrorCode;
use blackfriday_service::tls::ClientTls;
use blackfriday_stack::{Authority, eventually};
use blackfriday_telemetry::access::SettingFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::refusals::without_a_broker;
use crate::{LIMIT, Writer, sale};

/// The head of a TLS record that holds a `ClientHello` of 512 bytes.
const HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test]
async fn handshakes_that_do_not_end_take_limited_places_and_only_for_a_limited_time() -> Result<()> {
    let authority = Authority::new()?;
    let identity = authority.issue("writer")?;
    let (certificate, key) = (identity.certificate.to_string_lossy(), identity.key.to_string_lossy());
    let tls = ["--tls-certificate", &certificate, "--tls-key", &key, "--max-connections", "2"];
    let writer = without_a_broker(&tls)?;
    fill_and_be_sent_away(&writer, HELLO).await?;

    let ca = authority.ca();
    let client = ClientTls::new(SettingFile::new("ca", &ca), None, "writer")?;
    let mut stream = client.connect(TcpStream::connect(writer.address).await?).await?;
    stream.write_all(PREFACE).await?;
    let mut answer = [0; 9];
    timeout(LIMIT, stream.read_exact(&mut answer)).await?.context("who finishes the handshake is served")?;
    assert_eq!(answer[3], 4, "a SETTINGS frame (RFC 9113, section 6.5)");
    Ok(())
}

#[tokio::test]
async fn prefaces_that_do_not_end_take_limited_places_and_only_for_a_limited_time() -> Result<()> {
    let writer = without_a_broker(&["--max-connections", "2"])?;
    fill_and_be_sent_away(&writer, &PREFACE[..1]).await?;
    let served = writer.sales().await?.procesar_venta(sale("a")).await.expect_err("no broker");
    assert_eq!(served.code(), Code::Unavailable, "{served:?}");
    Ok(())
}

#[tokio::test]
async fn streams_of_a_connection_are_bounded() -> Result<()> {
    let writer = without_a_broker(&["--max-streams", "3"])?;
    let (client, connection) = h2::client::handshake(TcpStream::connect(writer.address).await?).await?;
    let client: h2::client::SendRequest<prost::bytes::Bytes> = client;
    tokio::spawn(connection);
    eventually(LIMIT, async || client.current_max_send_streams() == 3).await?;
    Ok(())
}

#[tokio::test]
async fn streams_without_an_end_are_bounded_and_keep_nobody_from_asking_for_health() -> Result<()> {
    let writer = without_a_broker(&["--max-connections", "2"])?;
    let mut client = HealthClient::new(writer.channel().await?);
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(client.watch(HealthCheckRequest::default()).await?);
    }
    let refused = client.watch(HealthCheckRequest::default()).await.expect_err("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(ErrorCode::of_writer(&refused), Some(ErrorCode::Overloaded));
    let checked = client.check(HealthCheckRequest::default()).await?;
    assert_eq!(checked.get_ref().status(), ServingStatus::NotServing, "the broker is away");
    held.pop();
    let has_room = async || client.clone().watch(HealthCheckRequest::default()).await.is_ok();
    eventually(LIMIT, has_room).await.context("who goes leaves room")
}

/// Two clients begin with `first` and go on, a byte at a time, as long as they can: they take both places, and lose them.
async fn fill_and_be_sent_away(writer: &Writer, first: &'static [u8]) -> Result<()> {
    let open = async |expected: f64| {
        let is = async || writer.metric("blackfriday_writer_connections") == Some(expected);
        eventually(LIMIT, is).await.with_context(|| format!("{expected} open"))
    };
    let slow: Vec<_> = (0..2).map(|_| tokio::spawn(drip(writer.address, first))).collect();
    open(2.0).await?;
    let mut third = TcpStream::connect(writer.address).await?;
    let closed = timeout(LIMIT, third.read(&mut [0; 1])).await?;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    for slow in slow {
        timeout(LIMIT, slow).await.context("sent away although it is never silent")???;
    }
    open(0.0).await
}

/// Sends what is a preface, a byte at a time, until the other side closes.
async fn drip(to: SocketAddr, first: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(first).await?;
    let (mut reader, mut writer) = stream.split();
    let mut pace = interval(Duration::from_millis(500));
    let drip = async {
        for byte in &PREFACE[1..] {
            pace.tick().await;
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
        panic!("a whole preface takes eleven seconds");
    };
    let mut received = Vec::new();
    tokio::select! {
        () = drip => {}
        _ = reader.read_to_end(&mut received) => {}
    }
    Ok(())
}
