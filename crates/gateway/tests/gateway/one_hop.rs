//! The gateway straight in front of a real log: what is accepted is in it, what is refused is not, and the rest is unknown.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use blackfriday_broker::LogConfig;
use blackfriday_gateway::{Config, Error, run};
use blackfriday_service::bind;
use blackfriday_stack::{Kafka, RabbitMq, eventually};
use clap::Parser;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::{Answer, sale, sales};
use crate::test_writer::TestWriter;
use crate::{Gateway, log, loopback};

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(60);
const REPORT: &str = r#"{"description":"Nubes","country":"GT","weather":"Nublado"}"#;

/// A real log.
enum Server {
    Kafka(Box<Kafka>),
    RabbitMq(Box<RabbitMq>),
}

impl Server {
    /// A Kafka with our topics.
    async fn kafka() -> Result<Self> {
        Self::Kafka(Box::new(Kafka::start().await?)).with_topics().await
    }

    /// A RabbitMQ with our topics.
    async fn rabbitmq() -> Result<Self> {
        Self::RabbitMq(Box::new(RabbitMq::start().await?)).with_topics().await
    }

    async fn with_topics(self) -> Result<Self> {
        log::create_topics_in(&self.config()).await?;
        Ok(self)
    }

    fn config(&self) -> LogConfig {
        match self {
            Self::Kafka(kafka) => LogConfig::kafka_at(kafka.bootstrap()),
            Self::RabbitMq(rabbitmq) => LogConfig::rabbitmq_at(rabbitmq.address()),
        }
    }

    /// A gateway that writes into it, once that is ready.
    async fn gateway(&self, settings: &[&str]) -> Result<Gateway> {
        let address = match self {
            Self::Kafka(kafka) => ["--kafka-brokers".to_owned(), kafka.bootstrap().to_owned()],
            Self::RabbitMq(rabbitmq) => ["--rabbitmq-servers".to_owned(), rabbitmq.address()],
        };
        let [flag, address] = &address;
        let log = ["--upstream", "log", "--log", self.config().log.name(), flag, address];
        let gateway = Gateway::start(&[&log, settings].concat())?;
        until_missing(&gateway, &[]).await?;
        Ok(gateway)
    }

    fn pause(&self) -> Result<()> {
        match self {
            Self::Kafka(kafka) => Ok(kafka.pause()?),
            Self::RabbitMq(rabbitmq) => Ok(rabbitmq.pause()?),
        }
    }

    fn resume(&self) -> Result<()> {
        match self {
            Self::Kafka(kafka) => Ok(kafka.resume()?),
            Self::RabbitMq(rabbitmq) => Ok(rabbitmq.resume()?),
        }
    }

    /// Takes it away: Kafka without a warning.
    async fn stop(&self) -> Result<()> {
        match self {
            Self::Kafka(kafka) => Ok(kafka.kill()?),
            Self::RabbitMq(rabbitmq) => Ok(rabbitmq.stop().await?),
        }
    }

    async fn restart(&self) -> Result<()> {
        match self {
            Self::Kafka(kafka) => Ok(kafka.restart().await?),
            Self::RabbitMq(rabbitmq) => Ok(rabbitmq.restart().await?),
        }
    }

    /// How often each sale is in the log, by its identity.
    async fn sales(&self) -> Result<HashMap<String, usize>> {
        let mut times = HashMap::new();
        for found in log::read_of(&self.config(), "ventas").await? {
            *times.entry(found.sale()?.id.to_string()).or_default() += 1;
        }
        Ok(times)
    }
}

/// Waits until these conditions of readiness, and no others, do not hold.
async fn until_missing(gateway: &Gateway, names: &[&str]) -> Result<()> {
    let readiness = &gateway.context.readiness;
    eventually(LIMIT, async || readiness.missing() == names)
        .await
        .with_context(|| format!("missing {:?} instead of {names:?}", readiness.missing()))
}

/// The identities of what was accepted, of one event or of a batch.
fn accepted(answer: &Answer) -> Vec<String> {
    let items =
        answer.json["resultados"].as_array().map_or(std::slice::from_ref(&answer.json), Vec::as_slice);
    let id = |item: &Value| item["id"].as_str().filter(|_| item["estado"] == "OK").map(str::to_owned);
    items.iter().filter_map(id).collect()
}

/// Whether the answer is a refusal that may be repeated.
fn is_away(answer: &Answer) -> bool {
    answer.status == 503 && answer.retry_after.is_some() && answer.problem() == "unavailable"
}

async fn what_is_accepted_is_in_the_log(server: Server) -> Result<()> {
    let gateway = server.gateway(&["--topic-sales-keyed-partitions", "4"]).await?;
    let one = gateway.http.post("/venta", sale("a")).await?;
    let many = gateway.http.post("/ventas", sales(20)).await?;
    assert_eq!((one.status.as_u16(), many.status.as_u16()), (202, 202), "{one:?} {many:?}");
    let mut expected: HashMap<_, _> =
        accepted(&one).into_iter().chain(accepted(&many)).map(|id| (id, 1)).collect();
    assert_eq!(expected.len(), 21);
    let keyed = json!({"categoria": 1, "producto_id": "k", "precio": 1, "cantidad_vendida": 1,
                       "idempotency_key": "order-4711"});
    for _ in 0..2 {
        let answer = gateway.http.post("/ventas", json!([keyed]).to_string()).await?;
        let [id] = &accepted(&answer)[..] else { bail!("{answer:?}") };
        *expected.entry(id.clone()).or_default() += 1;
    }
    assert_eq!(server.sales().await?, expected);
    let found = log::read_of(&server.config(), "ventas").await?;
    let mut of_key = found.iter().filter(|found| found.record.key.as_deref() == Some(b"order-4711"));
    let (first, second) = (of_key.next().context("the first")?, of_key.next().context("the second")?);
    assert_eq!(first.partition, second.partition, "the order of offsets says which came first");

    let report = gateway.http.post("/input", REPORT).await?;
    assert_eq!((report.status.as_u16(), &report.json["kafka"]), (202, &Value::Null), "there is one log");
    let found = log::read_of(&server.config(), "clima").await?;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].weather()?.id.to_string(), report.json["id"].as_str().context("an identity")?);
    let sent = "messaging_client_sent_messages_total{service=\"gateway\"} 24";
    assert!(gateway.context.registry.encode().contains(sent), "{}", gateway.context.registry.encode());
    Ok(())
}

#[tokio::test]
async fn what_is_accepted_is_in_kafka() -> Result<()> {
    what_is_accepted_is_in_the_log(Server::kafka().await?).await
}

#[tokio::test]
async fn what_is_accepted_is_in_rabbitmq() -> Result<()> {
    what_is_accepted_is_in_the_log(Server::rabbitmq().await?).await
}

async fn while_the_log_hangs_outcomes_are_unknown_in_time(server: Server) -> Result<()> {
    let settings = [
        "--http-request-timeout-ms",
        "900",
        "--max-in-flight-records",
        "7",
        "--max-batch-sales",
        "7",
        "--lane-batch-sales",
        "7",
    ];
    let gateway = server.gateway(&settings).await?;
    let before = accepted(&gateway.http.post("/venta", sale("before")).await?);
    server.pause()?;
    let began = Instant::now();
    let full = async {
        let in_flight = "blackfriday_publish_in_flight_records{service=\"gateway\"} 7";
        eventually(LIMIT, async || gateway.context.registry.encode().contains(in_flight)).await?;
        gateway.http.post("/venta", sale("no room")).await
    };
    let (one, many, full) = tokio::try_join!(
        gateway.http.post("/venta", sale("slow")),
        gateway.http.post("/ventas", sales(6)),
        full
    )?;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!((full.status.as_u16(), full.problem()), (429, "overloaded"), "{full:?}");
    assert_eq!((one.status.as_u16(), one.problem()), (504, "outcome-unknown"), "{one:?}");
    assert_eq!((many.status.as_u16(), many.problem()), (504, "outcome-unknown"), "{many:?}");
    let items = many.json["resultados"].as_array().context("results")?;
    let unknown: Vec<_> = items.iter().chain([&one.json]).filter_map(|item| item["id"].as_str()).collect();
    assert_eq!(unknown.len(), 7, "each has an identity to look for");

    server.resume()?;
    let mut known = before;
    eventually(LIMIT, async || {
        let answer = gateway.http.post("/venta", sale("after")).await;
        known.extend(answer.iter().flat_map(accepted));
        answer.is_ok_and(|answer| answer.status == 202)
    })
    .await?;
    let found = server.sales().await?;
    assert!(known.iter().all(|id| found.get(id) == Some(&1)), "{known:?} in {found:?}");
    assert!(found.values().all(|times| *times == 1), "nothing is sent again: {found:?}");
    Ok(())
}

#[tokio::test]
async fn while_kafka_hangs_outcomes_are_unknown_in_time() -> Result<()> {
    while_the_log_hangs_outcomes_are_unknown_in_time(Server::kafka().await?).await
}

#[tokio::test]
async fn while_rabbitmq_hangs_outcomes_are_unknown_in_time() -> Result<()> {
    while_the_log_hangs_outcomes_are_unknown_in_time(Server::rabbitmq().await?).await
}

async fn without_the_log_nothing_is_written_and_it_is_said(server: Server) -> Result<()> {
    let gateway = server.gateway(&[]).await?;
    let mut expected = accepted(&gateway.http.post("/ventas", sales(50)).await?);
    server.stop().await?;
    until_missing(&gateway, &["sales", "weather"]).await?;
    assert!(!gateway.context.readiness.is_ready(), "another gateway may have a way to the log");
    for (route, body) in [("/venta", sale("away")), ("/ventas", sales(3)), ("/input", REPORT.to_owned())] {
        let answer = timeout(Duration::from_secs(3), gateway.http.post(route, body)).await??;
        assert!(is_away(&answer), "{route}: {answer:?}");
    }
    server.restart().await?;
    until_missing(&gateway, &[]).await?;
    expected.extend(accepted(&gateway.http.post("/ventas", sales(50)).await?));
    assert_eq!(expected.len(), 100);
    let expected: HashMap<_, _> = expected.into_iter().map(|id| (id, 1)).collect();
    assert_eq!(server.sales().await?, expected, "what was refused was not written later");
    Ok(())
}

#[tokio::test]
async fn without_kafka_nothing_is_written_and_it_is_said() -> Result<()> {
    without_the_log_nothing_is_written_and_it_is_said(Server::kafka().await?).await
}

#[tokio::test]
async fn without_rabbitmq_nothing_is_written_and_it_is_said() -> Result<()> {
    without_the_log_nothing_is_written_and_it_is_said(Server::rabbitmq().await?).await
}

#[tokio::test]
async fn a_topic_that_takes_no_sale_leaves_weather_in_traffic() -> Result<()> {
    let server = Server::kafka().await?;
    let Server::Kafka(kafka) = &server else { bail!("it is one") };
    let gateway = server.gateway(&[]).await?;
    log::alter(kafka, "ventas", "cleanup.policy", "compact").await?;
    for (route, body) in [("/venta", sale("without a key")), ("/ventas", sales(3))] {
        let answer = gateway.http.post(route, body).await?;
        assert!(is_away(&answer), "{route}: {answer:?}");
    }
    until_missing(&gateway, &["sales"]).await?;
    assert!(gateway.context.readiness.is_ready());
    let refusing = "messaging_destination_name=\"ventas\"} 1";
    assert!(gateway.context.registry.encode().contains(refusing));
    assert_eq!(gateway.http.post("/input", REPORT).await?.status, 202);

    log::alter(kafka, "ventas", "cleanup.policy", "delete").await?;
    let taken = async || gateway.http.post("/venta", sale("after")).await.is_ok_and(|a| a.status == 202);
    eventually(LIMIT, taken).await?;
    until_missing(&gateway, &[]).await?;
    assert_eq!(server.sales().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_stop_waits_for_what_is_on_its_way() -> Result<()> {
    let server = Server::kafka().await?;
    let gateway = server.gateway(&[]).await?;
    server.pause()?;
    let stop = async {
        let in_flight = "blackfriday_publish_in_flight_records{service=\"gateway\"} 2";
        eventually(LIMIT, async || gateway.context.registry.encode().contains(in_flight)).await?;
        gateway.context.shutdown.begin();
        server.resume()
    };
    let (sale, report, ()) = tokio::try_join!(
        gateway.http.post("/venta", sale("last")),
        gateway.http.post("/input", REPORT),
        stop
    )?;
    assert_eq!((sale.status.as_u16(), report.status.as_u16()), (202, 202), "{sale:?} {report:?}");
    timeout(LIMIT, gateway.running).await???;
    assert_eq!(server.sales().await?.into_keys().collect::<Vec<_>>(), accepted(&sale));
    Ok(())
}

#[tokio::test]
async fn a_batch_that_never_has_room_is_a_wrong_setting() -> Result<()> {
    let flags = ["gateway", "--upstream", "log", "--max-in-flight-records", "9", "--max-batch-sales"];
    let config = Config::try_parse_from([&flags[..], &["10"]].concat())?;
    let ended = run(config, bind(loopback())?, blackfriday_service::Context::new("gateway")).await;
    assert!(matches!(&ended, Err(Error::Publisher(cause)) if cause.is_configuration()), "{ended:?}");
    Ok(())
}

/// Where there are writers for weather, sales alone go straight into the log.
#[tokio::test]
async fn weather_goes_to_its_own_writers_where_there_are_any() -> Result<()> {
    let server = Server::kafka().await?;
    let (kafka, rabbitmq) = (TestWriter::start()?, TestWriter::start()?);
    kafka.seen.write_into("kafka");
    rabbitmq.seen.write_into("rabbitmq");
    let targets = [&kafka, &rabbitmq].map(|writer| writer.address.to_string());
    let settings = ["--weather-kafka-target", &targets[0], "--weather-rabbitmq-target", &targets[1]];
    let gateway = server.gateway(&settings).await?;
    assert_eq!(gateway.http.post("/venta", sale("a")).await?.status, 202);
    let report = gateway.http.post("/input", REPORT).await?;
    assert_eq!(report.status, 202);
    assert_eq!((&report.json["kafka"], &report.json["rabbitmq"]), (&json!("OK"), &json!("OK")));
    assert_eq!([&kafka, &rabbitmq].map(|writer| writer.seen.weather().len()), [1, 1]);
    assert_eq!(server.sales().await?.len(), 1);

    server.stop().await?;
    until_missing(&gateway, &["sales"]).await?;
    assert!(gateway.context.readiness.is_ready(), "reports are work enough");
    assert_eq!(gateway.http.post("/input", REPORT).await?.status, 202);
    assert!(is_away(&gateway.http.post("/venta", sale("b")).await?));
    Ok(())
}
