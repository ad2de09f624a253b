//! What is refused before it reaches a broker, of which there is none here.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_event::{EventId, IdempotencyKey};
use blackfriday_proto::ErrorCode;
use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest};
use blackfriday_proto::clima::WeatherReport;
use blackfriday_stack::{eventually, free_port};
use flate2::Compression;
use flate2::write::GzEncoder;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::Request;
use prost::Message;
use prost::bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_stream::StreamExt;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha;

use crate::{LIMIT, SERVICES, Writer, errors, sale, sales, within};

pub(crate) fn without_a_broker(settings: &[&str]) -> Result<Writer> {
    Writer::start(&format!("127.0.0.1:{}", free_port()?), settings)
}

#[tokio::test]
async fn health_and_reflection_tell_what_is_served_and_that_the_broker_is_away() -> Result<()> {
    let writer = without_a_broker(&[])?;
    for service in SERVICES {
        assert_eq!(
            writer.health(service).await?,
            ServingStatus::NotServing,
            "{service:?}, from the first answer on"
        );
    }
    let nobody = writer.health("blackfriday.Nobody").await.expect_err("not served");
    assert_eq!(nobody.downcast::<Status>()?.code(), Code::NotFound);
    assert_eq!(writer.context.readiness.missing(), ["broker"]);
    let began = Instant::now();
    let away = writer.sales().await?.procesar_venta(sale("a")).await.expect_err("no broker");
    assert_eq!(away.code(), Code::Unavailable, "{away:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "at once, not at the deadline: {:?}", began.elapsed());

    let ask = |message| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        tokio_stream::iter([request])
    };
    let mut client = ServerReflectionClient::new(writer.channel().await?);
    let list = client.server_reflection_info(ask(MessageRequest::ListServices(String::new()))).await?;
    let answer = list.into_inner().next().await.context("an answer")??.message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: BTreeSet<_> = list.service.into_iter().map(|service| service.name).collect();
    let expected = [
        "blackfriday.ProductSaleService",
        "clima.WeatherService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names, BTreeSet::from(expected.map(str::to_owned)));
    let symbol = MessageRequest::FileContainingSymbol("blackfriday.ProductSaleRequest".to_owned());
    let file = client.server_reflection_info(ask(symbol)).await?;
    let answer = file.into_inner().next().await.context("an answer")??.message_response;
    assert!(matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn reflection_of_older_tools_is_served_too() -> Result<()> {
    let writer = without_a_broker(&[])?;
    let message_request =
        Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()));
    let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(writer.channel().await?);
    let list = client.server_reflection_info(tokio_stream::iter([request])).await?;
    let answer = list.into_inner().next().await.context("an answer")??.message_response;
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer
    else {
        panic!("{answer:?}")
    };
    assert!(list.service.iter().any(|service| service.name == "blackfriday.ProductSaleService"), "{list:?}");
    Ok(())
}

#[tokio::test]
async fn every_error_status_has_the_writers_mark() -> Result<()> {
    let writer = without_a_broker(&["--max-message-bytes", "1000"])?;
    let mut client = writer.sales().await?;
    let away = client.procesar_venta(sale("a")).await.expect_err("no broker");
    assert_eq!(ErrorCode::of_writer(&away), Some(ErrorCode::Unavailable), "{away:?}");
    assert!(away.metadata().get("id").is_some(), "{away:?}");
    let wrong = client.procesar_venta(sale("")).await.expect_err("a wrong field");
    assert_eq!(ErrorCode::of_writer(&wrong), Some(ErrorCode::InvalidField), "{wrong:?}");
    let large = client.procesar_venta(sale(&"x".repeat(2_000))).await.expect_err("the gate refuses it");
    assert_eq!(ErrorCode::of_writer(&large), Some(ErrorCode::TooLarge), "{large:?}");
    let nobody = writer.health("blackfriday.Nobody").await.expect_err("not served");
    assert!(ErrorCode::of_writer(&nobody.downcast()?).is_some(), "what the server itself answers, too");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_or_too_large_is_refused_with_its_limit_and_the_connection_lives_on() -> Result<()> {
    let writer = without_a_broker(&["--max-batch-sales", "100", "--max-message-bytes", "100000"])?;
    let mut client = writer.sales().await?;
    let wrong =
        ProductSaleRequest { precio: f64::INFINITY, clave_idempotencia: "a b".to_owned(), ..sale("") };
    let wrong = client.procesar_venta(wrong).await.expect_err("three wrong fields");
    assert_eq!(wrong.code(), Code::InvalidArgument);
    for field in ["producto_id", "precio", "idempotency_key"] {
        assert!(wrong.message().contains(field), "{field} in {}", wrong.message());
    }

    let too_many = client.procesar_ventas(sales(101)).await.expect_err("one too many");
    assert_eq!(too_many.code(), Code::OutOfRange);
    assert!(too_many.message().contains("at most 100"), "{too_many:?}");
    // 40,000 times two bytes, which would be over a hundred bytes each when decoded.
    let empty = ProductSaleBatchRequest { ventas: vec![ProductSaleRequest::default(); 40_000] };
    assert_eq!(client.procesar_ventas(empty).await.expect_err("too many").code(), Code::OutOfRange);
    for bytes in [200_000, 20_000_000] {
        let large = client.procesar_venta(sale(&"x".repeat(bytes))).await.expect_err("too large");
        assert_eq!(large.code(), Code::OutOfRange, "{large:?}");
        assert!(large.message().contains("100000"), "{large:?}");
    }
    let long = client.procesar_venta(sale(&"x".repeat(50_000))).await.expect_err("a wrong field");
    assert_eq!(long.code(), Code::InvalidArgument, "{long:?}");
    assert_eq!(client.procesar_ventas(sales(100)).await?.into_inner().resultados.len(), 100);

    let metrics = writer.context.registry.encode();
    for (method, code, calls) in [
        ("ProcesarVenta", 3, 2),
        ("ProcesarVenta", 11, 2),
        ("ProcesarVentas", 11, 2),
        ("ProcesarVentas", 0, 1),
    ] {
        let line = metrics.lines().find(|line| {
            line.starts_with("rpc_server_duration_seconds_count")
                && line.contains(&format!("rpc_method=\"{method}\""))
                && line.contains(&format!("rpc_grpc_status_code=\"{code}\""))
        });
        assert!(line.is_some_and(|line| line.ends_with(&format!(" {calls}"))), "{method} {code}: {line:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_cannot_write_the_key_of_a_batchs_item() -> Result<()> {
    let writer = without_a_broker(&[])?;
    let key = IdempotencyKey::of_item(&IdempotencyKey::new("cart-1").expect("a key"), [7; 8], 0);
    let keyed = |id: Vec<u8>| ProductSaleRequest { id, clave_idempotencia: key.to_string(), ..sale("a") };
    let report = |id: Vec<u8>| WeatherReport {
        country: "GT".to_owned(),
        weather: "lluvia".to_owned(),
        id,
        clave_idempotencia: key.to_string(),
        ..WeatherReport::default()
    };
    let (mut sales, mut weather) = (writer.sales().await?, writer.weather().await?);
    for id in [Vec::new(), EventId::new_v7().as_bytes().to_vec()] {
        let of_sale = sales.procesar_venta(keyed(id.clone())).await.expect_err("a client's");
        let of_report = weather.publicar(report(id.clone())).await.expect_err("a client's");
        for refused in [of_sale, of_report] {
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
            assert!(refused.message().contains("idempotency_key"), "{refused:?}");
        }
        let batch = ProductSaleBatchRequest { ventas: vec![keyed(id)] };
        let answer = sales.procesar_ventas(batch).await?.into_inner();
        let error = errors(answer.resultados).pop().flatten().context("refused")?;
        assert_eq!(
            (error.code, error.fields[0].field.as_ref()),
            (ErrorCode::InvalidField, "idempotency_key")
        );
    }
    let own = EventId::of_key(&key).as_bytes().to_vec();
    let of_sale = sales.procesar_venta(keyed(own.clone())).await.expect_err("no broker");
    let of_report = weather.publicar(report(own)).await.expect_err("no broker");
    assert_eq!((of_sale.code(), of_report.code()), (Code::Unavailable, Code::Unavailable), "a hop's");
    Ok(())
}

#[tokio::test]
async fn slow_clients_take_limited_room_and_only_for_a_limited_time() -> Result<()> {
    let settings = ["--max-messages-kib", "1024", "--max-calls", "3", "--call-timeout-ms", "20000"];
    let writer = without_a_broker(&settings)?;
    let mut client = writer.sales().await?;
    let codes = async |count: usize| {
        let [single, batch] = [sales(1), sales(count)];
        let single = client.clone().procesar_ventas(within(LIMIT, single)).await;
        let batch = client.clone().procesar_ventas(within(LIMIT, batch)).await;
        (code(&single), code(&batch))
    };
    assert_eq!(codes(2_000).await, (Code::Ok, Code::Ok));

    let began = Instant::now();
    // Eight megabytes are announced and never arrive: that takes no room.
    let (announced, _announced_body) = slow_call(&writer, 8 << 20, 0).await?;
    assert_eq!(codes(2_000).await, (Code::Ok, Code::Ok));
    // Most of a megabyte arrives, and then nothing more.
    let (first, _first_body) = slow_call(&writer, 1 << 20, 900_000).await?;
    let batches_are_kept_out = async || codes(2_000).await == (Code::Ok, Code::ResourceExhausted);
    eventually(Duration::from_secs(1), batches_are_kept_out).await.context("but single sales are not")?;
    let (second, _second_body) = slow_call(&writer, 100, 0).await?;
    let all_are_kept_out = async || codes(1).await.0 == Code::ResourceExhausted;
    eventually(Duration::from_secs(1), all_are_kept_out).await.context("when all places are taken")?;

    for slow in [announced, first, second] {
        let refused = status(slow).await?;
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        assert_eq!(ErrorCode::of_writer(&refused), Some(ErrorCode::Overloaded), "nothing was written");
        assert!(refused.message().contains("stalled"), "{refused:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "not at the call's time-out: {:?}", began.elapsed());
    assert_eq!(codes(2_000).await, (Code::Ok, Code::Ok), "the room is given back");
    assert_eq!(client.procesar_venta(sale("a")).await.expect_err("no broker").code(), Code::Unavailable);
    Ok(())
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_others_are_served() -> Result<()> {
    let writer = without_a_broker(&["--max-connections", "2"])?;
    let mut first = writer.sales().await?;
    let second = TcpStream::connect(writer.address).await?;
    let open = async |expected: f64| {
        eventually(LIMIT, async || writer.metric("blackfriday_writer_connections") == Some(expected)).await
    };
    open(2.0).await?;
    let mut third = TcpStream::connect(writer.address).await?;
    let closed = tokio::time::timeout(LIMIT, third.read(&mut [0; 1])).await?;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    assert_eq!(first.procesar_venta(sale("a")).await.expect_err("no broker").code(), Code::Unavailable);
    drop(second);
    open(1.0).await?;
    let mut again = writer.sales().await?;
    assert_eq!(again.procesar_venta(sale("a")).await.expect_err("no broker").code(), Code::Unavailable);
    Ok(())
}

#[tokio::test]
async fn a_compressed_message_is_read_under_the_limits_of_one_that_is_not() -> Result<()> {
    let writer = without_a_broker(&["--max-batch-sales", "100", "--max-message-bytes", "100000"])?;
    let call = async |encoding, batch: ProductSaleBatchRequest| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&batch.encode_to_vec())?;
        compressed_call(&writer, encoding, gzip.finish()?).await
    };
    assert_eq!(call("gzip", sales(100)).await?.code(), Code::Ok);
    let too_many = call("gzip", sales(101)).await?;
    assert_eq!(
        (too_many.code(), ErrorCode::of_writer(&too_many)),
        (Code::OutOfRange, Some(ErrorCode::TooLarge))
    );
    // Some hundred bytes on the wire, a megabyte when inflated.
    let bomb = ProductSaleBatchRequest { ventas: vec![sale(&"x".repeat(1_000_000))] };
    assert_eq!(call("gzip", bomb).await?.code(), Code::OutOfRange);
    let unknown = call("br", sales(1)).await?;
    assert_eq!(unknown.code(), Code::Unimplemented);
    let known = unknown.metadata().get("grpc-accept-encoding").context("what is known")?;
    assert_eq!(known.to_str()?, "identity,gzip");
    Ok(())
}

/// Sends one compressed message, and returns how the call ended.
async fn compressed_call(writer: &Writer, encoding: &str, message: Vec<u8>) -> Result<Status> {
    let (client, connection) = h2::client::handshake(TcpStream::connect(writer.address).await?).await?;
    tokio::spawn(connection);
    let request =
        Request::post(format!("http://{}/blackfriday.ProductSaleService/ProcesarVentas", writer.address))
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding)
            .header("te", "trailers")
            .body(())?;
    let (response, mut body) = client.ready().await?.send_request(request, false)?;
    let prefix = [&[1], &u32::try_from(message.len())?.to_be_bytes()[..]].concat();
    body.send_data(Bytes::from([prefix, message].concat()), true)?;
    let response = tokio::time::timeout(LIMIT, response).await??;
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Ok(status);
    }
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    let trailers = body.trailers().await?.context("an end")?;
    Status::from_header_map(&trailers).context("a status")
}

/// A batch call whose message is announced, but of which no more than `sent` bytes are sent.
async fn slow_call(
    writer: &Writer,
    announced: u32,
    sent: usize,
) -> Result<(ResponseFuture, SendStream<Bytes>)> {
    let (client, connection) = h2::client::handshake(TcpStream::connect(writer.address).await?).await?;
    tokio::spawn(connection);
    let request =
        Request::post(format!("http://{}/blackfriday.ProductSaleService/ProcesarVentas", writer.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
    let (response, mut body) = client.ready().await?.send_request(request, false)?;
    let prefix = [&[0], &announced.to_be_bytes()[..]].concat();
    body.send_data(Bytes::from([prefix, vec![0; sent]].concat()), false)?;
    Ok((response, body))
}

async fn status(response: ResponseFuture) -> Result<Status> {
    let response = tokio::time::timeout(LIMIT, response).await??;
    Status::from_header_map(response.headers()).context("a status without a body")
}

fn code<T>(answer: &Result<T, Status>) -> Code {
    answer.as_ref().err().map_or(Code::Ok, Status::code)
}
