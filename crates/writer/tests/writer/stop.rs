//! A stop under load: what was acknowledged is in the topic, what was in flight is answered.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_proto::blackfriday::product_sale_service_client::ProductSaleServiceClient;
use blackfriday_stack::{Kafka, Process, eventually, free_port};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::{LIMIT, SERVICES, Writer, accepted, health, log, sale, sales};

#[tokio::test]
async fn a_call_in_flight_is_answered_and_whoever_watches_is_let_go() -> Result<()> {
    let kafka = Kafka::start().await?;
    let writer = Writer::ready(&kafka, &[]).await?;
    let mut watcher = HealthClient::new(writer.channel().await?);
    let mut watched = Vec::new();
    for service in SERVICES {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut statuses = watcher.watch(request).await?.into_inner();
        let first = statuses.next().await.context("the present status")??;
        assert_eq!(first.status(), ServingStatus::Serving);
        watched.push(statuses);
    }
    let mut client = writer.sales().await?;
    client.procesar_venta(sale("before")).await?;

    kafka.pause()?;
    let in_flight = tokio::spawn(async move { client.procesar_ventas(sales(10)).await });
    let has_begun = async || writer.metric("blackfriday_publish_in_flight_records") == Some(10.0);
    eventually(LIMIT, has_begun).await?;
    writer.context.shutdown.begin();
    for statuses in &mut watched {
        let told = timeout(LIMIT, statuses.next()).await?.context("told before the end")??;
        assert_eq!(told.status(), ServingStatus::NotServing);
        assert!(timeout(LIMIT, statuses.next()).await?.is_none(), "then let go");
    }
    let is_closed = async || TcpStream::connect(writer.address).await.is_err();
    eventually(LIMIT, is_closed).await.context("nobody new is accepted")?;
    assert!(!in_flight.is_finished() && !writer.running.is_finished());

    kafka.resume()?;
    let answer = in_flight.await?.context("answered although the writer stops")?.into_inner();
    assert_eq!(accepted(&answer.resultados).len(), 10);
    timeout(LIMIT, writer.running).await???;
    assert_eq!(log::read(&kafka, "ventas").await?.len(), 11);
    Ok(())
}

#[tokio::test]
async fn sigterm_under_load_loses_nothing_that_was_acknowledged() -> Result<()> {
    let kafka = Kafka::start().await?;
    log::create_topics(&kafka).await?;
    let folder = tempfile::tempdir()?;
    let [listen, admin] = [free_port()?, free_port()?].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday-writer"));
    command.args(["--listen", &listen.to_string(), "--admin-listen", &admin.to_string()]);
    command.args(["--kafka-brokers", kafka.bootstrap()]);
    let writer = Process::spawn(command, folder.path().join("writer.log"))?;

    let serves = async || health(listen, "").await.is_ok_and(|found| found == ServingStatus::Serving);
    eventually(LIMIT, serves).await.with_context(|| writer.log_tail())?;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let count = || acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len();
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(load(listen, Arc::clone(&acknowledged)))).collect();
    let under_load = eventually(LIMIT, async || count() > 5_000).await;
    under_load.with_context(|| writer.log_tail())?;
    let before = count();
    let began = Instant::now();
    let ended = writer.terminate(Duration::from_secs(20)).await?;
    assert!(ended.success(), "{ended}:\n{}", writer.log_tail());
    assert!(began.elapsed() < Duration::from_secs(8), "before the drain limit: {:?}", began.elapsed());
    for client in clients {
        timeout(LIMIT, client).await??;
    }
    assert!(count() >= before);

    let mut found: Vec<_> = Vec::new();
    for record in log::read(&kafka, "ventas").await? {
        found.push(record.sale()?.id.as_bytes().to_vec());
    }
    found.sort_unstable();
    let acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
    let lost = acknowledged.iter().filter(|id| found.binary_search(id).is_err()).count();
    assert_eq!(lost, 0, "of {} acknowledged", acknowledged.len());
    Ok(())
}

/// Sends batches, one after the other on one connection, until the writer goes away.
async fn load(writer: SocketAddr, acknowledged: Arc<Mutex<Vec<Vec<u8>>>>) {
    let client = ProductSaleServiceClient::connect(format!("http://{writer}")).await;
    let mut client = client.expect("the writer is healthy");
    while let Ok(answer) = client.procesar_ventas(sales(50)).await {
        let accepted = accepted(&answer.get_ref().resultados);
        acknowledged.lock().unwrap_or_else(PoisonError::into_inner).extend(accepted);
    }
}
