//! Topics whose settings are not ours: what the writer answers, what its health says, and that it recovers by itself.

use anyhow::{Context, Result};
use blackfriday_broker::{TopicSpec, kafka};
use blackfriday_proto::ErrorCode;
use blackfriday_proto::blackfriday::ProductSaleRequest;
use blackfriday_proto::clima::WeatherReport;
use blackfriday_stack::{Kafka, eventually};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::{LIMIT, Writer, errors, log, sale, sales};

const SALES: &str = "blackfriday.ProductSaleService";
const WEATHER: &str = "clima.WeatherService";

#[tokio::test]
async fn a_topic_that_takes_no_sale_takes_sales_out_of_traffic_and_nothing_was_written() -> Result<()> {
    let kafka = Kafka::start().await?;
    let writer = Writer::ready(&kafka, &[]).await?;
    let mut client = writer.sales().await?;
    client.procesar_venta(sale("before")).await?;
    log::alter(&kafka, "ventas", "cleanup.policy", "compact").await?;
    let refused = client.procesar_venta(sale("without a key")).await.expect_err("it is compacted");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(ErrorCode::of_writer(&refused), Some(ErrorCode::Unavailable));
    let batch = client.procesar_ventas(sales(5)).await?.into_inner();
    for error in errors(batch.resultados) {
        assert_eq!(error.context("refused")?.code, ErrorCode::Unavailable);
    }
    assert_eq!(writer.health(SALES).await?, ServingStatus::NotServing);
    assert_eq!(writer.health("").await?, ServingStatus::Serving, "weather is taken");
    assert_eq!(writer.health(WEATHER).await?, ServingStatus::Serving, "its topic is well");
    let readiness = &writer.context.readiness;
    assert_eq!((readiness.is_ready(), readiness.missing()), (true, vec!["sales topic"]));
    assert_eq!(refusing(&writer, "ventas"), Some("1".to_owned()));
    writer.weather().await?.publicar(report()).await?;

    log::alter(&kafka, "ventas", "cleanup.policy", "delete").await?;
    let mut again = client.clone();
    eventually(LIMIT, async || again.procesar_venta(sale("after")).await.is_ok()).await?;
    writer.until_health(ServingStatus::Serving).await?;
    assert_eq!(log::read(&kafka, "ventas").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn weather_that_cannot_be_written_leaves_sales_in_traffic_and_both_together_leave_nothing() -> Result<()>
{
    let kafka = Kafka::start().await?;
    log::create_topics(&kafka).await?;
    // More partitions than the topic has.
    let writer = Writer::start(kafka.bootstrap(), &["--topic-weather-keyed-partitions", "99"])?;
    let until = async |expected: [bool; 3]| {
        for (service, serves) in [SALES, WEATHER, ""].into_iter().zip(expected) {
            let says = async || {
                writer.health(service).await.is_ok_and(|found| (found == ServingStatus::Serving) == serves)
            };
            eventually(LIMIT, says).await.with_context(|| format!("{service:?} serves: {serves}"))?;
        }
        anyhow::Ok(())
    };
    until([true, false, true]).await?;
    let refused = writer.weather().await?.publicar(report()).await.expect_err("its topic is too small");
    assert_eq!(ErrorCode::of_writer(&refused), Some(ErrorCode::Unavailable), "{refused:?}");
    assert_eq!(refusing(&writer, "clima"), Some("1".to_owned()));
    writer.sales().await?.procesar_venta(sale("a")).await?;

    log::alter(&kafka, "ventas", "cleanup.policy", "compact").await?;
    writer.sales().await?.procesar_venta(sale("b")).await.expect_err("it is compacted");
    until([false; 3]).await?;
    let readiness = &writer.context.readiness;
    assert_eq!((readiness.is_ready(), readiness.missing()), (false, vec!["sales topic", "weather topic"]));
    Ok(())
}

#[tokio::test]
async fn small_sales_are_taken_where_their_batch_does_not_fit() -> Result<()> {
    let kafka = Kafka::start().await?;
    let admin = kafka::Admin::new(&kafka::KafkaConfig::new(kafka.bootstrap()))?;
    let topic = |name: &str| TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        replication: 1,
        ..TopicSpec::default()
    };
    admin.create_topics_with(&[topic("ventas")], &[("max.message.bytes", "600")]).await?;
    let writer = Writer::ready(&kafka, &["--call-timeout-ms", "30000"]).await?;
    let answer = writer.sales().await?.procesar_ventas(sales(200)).await?.into_inner();
    let refused: Vec<_> = errors(answer.resultados).into_iter().flatten().collect();
    assert_eq!(refused, []);
    assert!(writer.context.readiness.is_ready());
    Ok(())
}

#[tokio::test]
async fn a_key_has_one_partition_however_many_the_topic_has() -> Result<()> {
    let kafka = Kafka::start().await?;
    let writer = Writer::ready(&kafka, &["--topic-sales-keyed-partitions", "4"]).await?;
    let mut client = writer.sales().await?;
    let keyed = |n: usize| ProductSaleRequest { clave_idempotencia: format!("grow-{n}"), ..sale("P-1") };
    for n in 0..20 {
        client.procesar_venta(keyed(n)).await?;
    }
    log::add_partitions(&kafka, "ventas", 7).await?;
    let mut fresh = Writer::start(kafka.bootstrap(), &["--topic-sales-keyed-partitions", "4"])?;
    fresh.until_health(ServingStatus::Serving).await?;
    let mut client = fresh.sales().await?;
    for n in 0..20 {
        client.procesar_venta(keyed(n)).await?;
    }
    let found = log::read(&kafka, "ventas").await?;
    let mut used = std::collections::BTreeSet::new();
    for n in 0..20 {
        let key = format!("grow-{n}").into_bytes();
        let of_key: Vec<_> = found.iter().filter(|found| found.record.key.as_ref() == Some(&key)).collect();
        assert_eq!(of_key.len(), 2);
        assert_eq!(of_key[0].partition, of_key[1].partition, "{n}");
        used.insert(of_key[0].partition);
    }
    assert!(used.len() > 1 && used.iter().all(|partition| *partition < 4), "{used:?}");

    fresh = Writer::start(kafka.bootstrap(), &["--topic-sales-keyed-partitions", "8"])?;
    let lacks = async || fresh.context.readiness.missing() == ["sales topic"];
    eventually(LIMIT, lacks).await.context("seven are too few")?;
    let refused = fresh.sales().await?.procesar_venta(sale("a")).await.expect_err("not ready");
    assert_eq!(refused.code(), Code::Unavailable);
    log::add_partitions(&kafka, "ventas", 8).await?;
    fresh.until_health(ServingStatus::Serving).await
}

fn report() -> WeatherReport {
    WeatherReport { country: "GT".to_owned(), weather: "Rainy".to_owned(), ..WeatherReport::default() }
}

/// What the metric says of a topic.
fn refusing(writer: &Writer, topic: &str) -> Option<String> {
    let text = writer.context.registry.encode();
    let of_topic =
        |line: &&str| line.starts_with("blackfriday_publish_refusing_topics{") && line.contains(topic);
    text.lines().find(of_topic)?.rsplit(' ').next().map(str::to_owned)
}
