//! The writer over real sockets, before a real Kafka.

mod answers;
mod faults;
mod log;
mod openings;
mod records;
mod refusals;
mod settings;
mod stop;
mod traces;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use blackfriday_proto::Refusal;
use blackfriday_proto::blackfriday::product_sale_result::Resultado;
use blackfriday_proto::blackfriday::product_sale_service_client::ProductSaleServiceClient;
use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest, ProductSaleResult};
use blackfriday_proto::clima::weather_service_client::WeatherServiceClient;
use blackfriday_service::{Context, bind};
use blackfriday_stack::{Kafka, eventually};
use blackfriday_writer::{Config, Error, run};
use clap::Parser;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long a test waits for what must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Every name under which health is asked for.
pub(crate) const SERVICES: [&str; 3] = ["", "blackfriday.ProductSaleService", "clima.WeatherService"];

/// A writer in this process.
pub(crate) struct Writer {
    pub(crate) address: SocketAddr,
    pub(crate) context: Context,
    pub(crate) running: JoinHandle<Result<(), Error>>,
}

impl Writer {
    /// Starts one; `settings` are flags.
    pub(crate) fn start(brokers: &str, settings: &[&str]) -> Result<Self> {
        let flags = ["blackfriday-writer", "--kafka-brokers", brokers];
        let config = Config::try_parse_from(flags.iter().chain(settings))?;
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let context = Context::new("writer");
        let running = tokio::spawn(run(config, listener, context.clone()));
        Ok(Self { address, context, running })
    }

    /// Makes the topics, starts a writer and waits until it is healthy.
    pub(crate) async fn ready(kafka: &Kafka, settings: &[&str]) -> Result<Self> {
        log::create_topics(kafka).await?;
        let writer = Self::start(kafka.bootstrap(), settings)?;
        writer.until_health(ServingStatus::Serving).await?;
        Ok(writer)
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Result<Channel> {
        Ok(Endpoint::from_shared(format!("http://{}", self.address))?.connect().await?)
    }

    pub(crate) async fn sales(&self) -> Result<ProductSaleServiceClient<Channel>> {
        Ok(ProductSaleServiceClient::new(self.channel().await?))
    }

    pub(crate) async fn weather(&self) -> Result<WeatherServiceClient<Channel>> {
        Ok(WeatherServiceClient::new(self.channel().await?))
    }

    /// What `grpc.health.v1` says of a service.
    pub(crate) async fn health(&self, service: &str) -> Result<ServingStatus> {
        health(self.address, service).await
    }

    /// Waits until every service has this health.
    pub(crate) async fn until_health(&self, expected: ServingStatus) -> Result<()> {
        for service in SERVICES {
            eventually(LIMIT, async || self.health(service).await.is_ok_and(|found| found == expected))
                .await?;
        }
        Ok(())
    }

    /// The value of a metric without labels of its own.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let text = self.context.registry.encode();
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{service=\"writer\"}}")))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

/// What `grpc.health.v1` says there of a service.
pub(crate) async fn health(at: SocketAddr, service: &str) -> Result<ServingStatus> {
    let channel = Endpoint::from_shared(format!("http://{at}"))?.connect().await?;
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(HealthClient::new(channel).check(request).await?.get_ref().status())
}

/// A valid sale of that product, with nothing but the assignment's four fields.
pub(crate) fn sale(product: &str) -> ProductSaleRequest {
    ProductSaleRequest {
        categoria: 1,
        producto_id: product.to_owned(),
        precio: 499.99,
        cantidad_vendida: 2,
        ..ProductSaleRequest::default()
    }
}

/// That many valid sales.
pub(crate) fn sales(count: usize) -> ProductSaleBatchRequest {
    ProductSaleBatchRequest { ventas: (0..count).map(|at| sale(&format!("P-{at}"))).collect() }
}

/// A request that its client waits for only so long.
pub(crate) fn within<T>(limit: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

/// The identities of the accepted sales.
pub(crate) fn accepted(results: &[ProductSaleResult]) -> Vec<Vec<u8>> {
    let id = |result: &ProductSaleResult| match &result.resultado {
        Some(Resultado::Aceptada(response)) if response.estado == "OK" => Some(response.id.clone()),
        _ => None,
    };
    results.iter().filter_map(id).collect()
}

/// The errors, in order; nothing for what was accepted.
pub(crate) fn errors(results: Vec<ProductSaleResult>) -> Vec<Option<Refusal>> {
    let error = |result: ProductSaleResult| match result.resultado {
        Some(Resultado::Error(error)) => Some(error.into()),
        _ => None,
    };
    results.into_iter().map(error).collect()
}
