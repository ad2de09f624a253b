//! What the topics hold after a call, and what the call answered.

use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use blackfriday_event::{Category, EventId, IdempotencyKey, Timestamp};
use blackfriday_proto::blackfriday::product_sale_service_client::ProductSaleServiceClient;
use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest};
use blackfriday_proto::clima::WeatherReport;
use blackfriday_proto::{CONTENT_TYPE, ErrorCode};
use blackfriday_stack::{Kafka, Proxy, Wire, request_with};
use tonic::transport::Endpoint;

use crate::{Writer, accepted, errors, log, sale, sales};

#[tokio::test]
async fn an_accepted_event_is_in_its_topic_with_its_key_headers_and_content() -> Result<()> {
    let kafka = Kafka::start().await?;
    let writer = Writer::ready(&kafka, &[]).await?;
    single_sales(&kafka, &writer).await?;
    weather(&kafka, &writer).await?;
    batches(&kafka, &writer).await?;
    a_lost_answer(&kafka, &writer).await?;
    let sent = writer.metric("messaging_client_sent_messages_total");
    let held = log::read(&kafka, "ventas").await?.len() + log::read(&kafka, "clima").await?.len();
    assert_eq!(sent, Some(f64::from(u32::try_from(held)?)));
    assert_eq!(writer.metric("messaging_client_failed_messages_total"), Some(0.0));
    assert_eq!(writer.metric("blackfriday_publish_in_flight_records"), Some(0.0));
    Ok(())
}

async fn single_sales(kafka: &Kafka, writer: &Writer) -> Result<()> {
    let mut client = writer.sales().await?;
    let before = Timestamp::from(SystemTime::now());
    let plain = client.procesar_venta(sale("plain")).await?.into_inner();
    let after = Timestamp::from(SystemTime::now());
    assert_eq!(plain.estado, "OK");

    // The topic has four; by default one of them is for all keys.
    for (key, partition) in [("21", 0), ("foobar", 0)] {
        let idempotency_key = IdempotencyKey::new(key).expect("visible ASCII");
        let keyed = ProductSaleRequest { clave_idempotencia: key.to_owned(), ..sale(key) };
        let first = client.procesar_venta(keyed.clone()).await?.into_inner();
        let again = client.procesar_venta(keyed).await?.into_inner();
        assert_eq!(first.id, EventId::of_key(&idempotency_key).as_bytes());
        assert_eq!(first.id, again.id, "one key, one identity");
        let found = log::read(kafka, "ventas").await?;
        let of_key: Vec<_> =
            found.iter().filter(|found| found.record.key.as_deref() == Some(key.as_bytes())).collect();
        assert_eq!(of_key.len(), 2, "a repeated key is written again, and counted once");
        for found in of_key {
            assert_eq!((found.partition, found.header("traceparent")), (partition, None));
            assert_eq!(found.sale()?.idempotency_key, Some(idempotency_key.clone()));
        }
    }

    let found = log::read(kafka, "ventas").await?;
    let found = found.iter().find(|found| found.record.key.is_none()).context("without a key")?;
    let record = found.sale()?;
    assert_eq!(record.id.as_bytes().as_slice(), plain.id);
    assert_eq!(record.draft.category, Category::Electronica);
    assert_eq!((record.draft.product_id.as_str(), record.draft.price.to_f64()), ("plain", 499.99));
    assert_eq!(record.draft.quantity.units(), 2);
    assert!(before <= record.accepted_at && record.accepted_at <= after, "{:?}", record.accepted_at);
    assert!(found.record.appended, "the log's own time");
    assert_eq!(found.header("content-type"), Some(CONTENT_TYPE));
    assert_eq!(found.header("traceparent"), None);
    Ok(())
}

async fn weather(kafka: &Kafka, writer: &Writer) -> Result<()> {
    let mut client = writer.weather().await?;
    let id = EventId::new_v7();
    let report = WeatherReport {
        description: "Llueve\nmucho".to_owned(),
        country: "GT".to_owned(),
        weather: "Rainy".to_owned(),
        id: id.as_bytes().to_vec(),
        ..WeatherReport::default()
    };
    let answer = client.publicar(report).await?.into_inner();
    assert_eq!((answer.estado.as_str(), answer.id.as_slice()), ("OK", &id.as_bytes()[..]));
    let found = log::read(kafka, "clima").await?;
    let record = found.first().context("it is there")?.weather()?;
    assert_eq!((record.id, record.draft.country.as_str(), found.len()), (id, "GT", 1));
    assert_eq!(record.draft.description, "Llueve\nmucho");

    let wrong = client.publicar(WeatherReport::default()).await.expect_err("nothing in it");
    assert_eq!(wrong.code(), tonic::Code::InvalidArgument);
    assert!(wrong.message().contains("country") && wrong.message().contains("weather"), "{wrong:?}");
    Ok(())
}

async fn batches(kafka: &Kafka, writer: &Writer) -> Result<()> {
    let mut client = writer.sales().await?;
    let before = log::read(kafka, "ventas").await?.len();
    let id = EventId::new_v7();
    let ventas = vec![
        ProductSaleRequest { id: id.as_bytes().to_vec(), ..sale("first") },
        ProductSaleRequest { categoria: 9, precio: f64::NAN, cantidad_vendida: -1, ..sale("") },
        ProductSaleRequest { precio: -0.01, ..sale("cheap") },
        sale("last"),
    ];
    let answer = client.procesar_ventas(ProductSaleBatchRequest { ventas }).await?.into_inner();
    let ids = accepted(&answer.resultados);
    assert_eq!(ids.first().map(Vec::as_slice), Some(&id.as_bytes()[..]));
    let errors = errors(answer.resultados);
    let fields: Vec<Option<Vec<String>>> = errors
        .into_iter()
        .map(|error| error.filter(|error| error.code == ErrorCode::InvalidField))
        .map(|error| {
            error.map(|error| error.fields.into_iter().map(|error| error.field.into_owned()).collect())
        })
        .collect();
    let wrong = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let all = wrong(&["categoria", "producto_id", "precio", "cantidad_vendida"]);
    assert_eq!(fields, [None, all, wrong(&["precio"]), None]);

    let empty = client.procesar_ventas(ProductSaleBatchRequest::default()).await?.into_inner();
    assert!(empty.resultados.is_empty());
    let full = client.procesar_ventas(sales(10_000)).await?.into_inner();
    let mut ids_in_log: Vec<_> = log::read(kafka, "ventas")
        .await?
        .iter()
        .map(|found| found.sale().map(|sale| sale.id.as_bytes().to_vec()))
        .collect::<Result<_>>()?;
    ids_in_log.sort_unstable();
    let full = accepted(&full.resultados);
    assert_eq!((full.len(), ids_in_log.len()), (10_000, before + 2 + 10_000));
    let missing = ids.iter().chain(&full).filter(|id| ids_in_log.binary_search(id).is_err()).count();
    assert_eq!(missing, 0, "each acknowledged sale is in the topic");
    Ok(())
}

/// A connection that breaks exactly between commit and answer: the sale is there, and its client does not know.
async fn a_lost_answer(kafka: &Kafka, writer: &Writer) -> Result<()> {
    let proxy = Proxy::speaking(Wire::Http2, writer.address).await?;
    proxy.cut_answers_to(1, request_with("lost"));
    let channel = Endpoint::from_shared(format!("http://{}", proxy.address()))?.connect().await?;
    let mut client = ProductSaleServiceClient::new(channel);
    assert_eq!(client.procesar_venta(sale("kept")).await?.into_inner().estado, "OK");
    client.procesar_venta(sale("lost")).await.expect_err("its connection breaks");
    assert_eq!(proxy.answers_cut(), 1);
    for found in log::read(kafka, "ventas").await? {
        if found.sale()?.draft.product_id.as_str() == "lost" {
            return Ok(());
        }
    }
    bail!("the answer was cut before its sale was written")
}
