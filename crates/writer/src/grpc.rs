use std::time::Duration;

use blackfriday_broker::kafka::Producer;
use blackfriday_event::EventId;
use blackfriday_proto::blackfriday::product_sale_result::Resultado;
use blackfriday_proto::blackfriday::product_sale_service_server::{
    ProductSaleService, ProductSaleServiceServer,
};
use blackfriday_proto::blackfriday::{
    ProductSaleBatchRequest, ProductSaleBatchResponse, ProductSaleRequest, ProductSaleResponse,
    ProductSaleResult,
};
use blackfriday_proto::clima::weather_service_server::{WeatherService, WeatherServiceServer};
use blackfriday_proto::clima::{WeatherReport, WeatherResponse};
use blackfriday_proto::{DESCRIPTORS, SaleCommand, SaleError, WeatherCommand};
use blackfriday_service::{Context, Readiness, Shutdown};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_health::server::HealthReporter;

use crate::calls::{CallMetrics, deadline, traceparent};
use crate::config::Limits;
use crate::publish::Publisher;
use crate::{Config, Error};

const OK: &str = "OK";
/// A client that has gone silent is given up.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Calls {
    publisher: Publisher,
    limits: Limits,
    metrics: CallMetrics,
}

/// Serves gRPC until the shutdown begins, finishes the calls in flight, and flushes the producer.
///
/// # Errors
/// A setting is refused, or the server breaks. That the broker is away is none: calls are told so.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    let producer =
        Producer::new(&config.kafka, &config.producer, &config.topic_sales).map_err(Error::Producer)?;
    let (reporter, health) = tonic_health::server::health_reporter();
    let broker = context.readiness.condition("broker");
    let mut available = producer.availability().watch();
    let follow = tokio::spawn(async move {
        broker.set(*available.borrow_and_update());
        while available.changed().await.is_ok() {
            broker.set(*available.borrow_and_update());
        }
    });
    let report = tokio::spawn(report_health(reporter, context.readiness.clone()));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(Error::Reflection)?;

    let limits = config.limits.clone();
    let publisher = Publisher::new(producer.clone(), &config, &context.registry);
    let calls = Calls { publisher, limits: limits.clone(), metrics: CallMetrics::new(&context.registry) };
    let sales =
        ProductSaleServiceServer::new(calls.clone()).max_decoding_message_size(limits.max_message_bytes);
    let weather = WeatherServiceServer::new(calls).max_decoding_message_size(limits.max_message_bytes);
    let server = Server::builder()
        .max_concurrent_streams(limits.max_streams)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(sales)
        .add_service(weather)
        .add_service(health)
        .add_service(reflection)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            context.shutdown.begun(),
        );
    let served = drained(server, &context.shutdown, &limits).await;
    if let Err(error) = producer.flush(limits.drain_timeout()).await {
        tracing::warn!(%error, "records were still on their way at the drain limit");
    }
    follow.abort();
    report.abort();
    served
}

/// Runs the server; once the shutdown has begun, calls in flight have the drain timeout.
async fn drained(
    server: impl Future<Output = Result<(), tonic::transport::Error>>,
    shutdown: &Shutdown,
    limits: &Limits,
) -> Result<(), Error> {
    tokio::pin!(server);
    tokio::select! {
        served = &mut server => return served.map_err(Error::Serve),
        () = shutdown.begun() => {}
    }
    match timeout(limits.drain_timeout(), server).await {
        Ok(served) => served.map_err(Error::Serve),
        Err(_elapsed) => {
            tracing::warn!(
                limit_ms = limits.drain_timeout_ms,
                "calls were still in flight at the drain limit"
            );
            Ok(())
        }
    }
}

/// `grpc.health.v1` says what readiness says.
async fn report_health(reporter: HealthReporter, readiness: Readiness) {
    let mut ready = readiness.watch();
    loop {
        let serving = *ready.borrow_and_update();
        let status = if serving {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        for name in ["", "blackfriday.ProductSaleService", "clima.WeatherService"] {
            reporter.set_service_status(name, status).await;
        }
        if ready.changed().await.is_err() {
            return;
        }
    }
}

#[tonic::async_trait]
impl ProductSaleService for Calls {
    async fn procesar_venta(
        &self,
        request: Request<ProductSaleRequest>,
    ) -> Result<Response<ProductSaleResponse>, Status> {
        let call = self.metrics.begin("blackfriday.ProductSaleService", "ProcesarVenta");
        let deadline = deadline(&request, self.limits.call_timeout());
        let metadata_trace = traceparent(&request);
        let answered = async {
            let mut command = SaleCommand::try_from(request.into_inner()).map_err(SaleError::from)?;
            command.traceparent = command.traceparent.or(metadata_trace);
            let id = command.id;
            let unknown =
                || Err(SaleError::new(blackfriday_proto::ErrorCode::OutcomeUnknown, "no outcome").of(id));
            self.publisher.sales(vec![command], deadline).await.pop().unwrap_or_else(unknown)
        };
        let answered = answered.await.map(accepted).map_err(Status::from);
        call.end(answered.as_ref().err());
        answered.map(Response::new)
    }

    async fn procesar_ventas(
        &self,
        request: Request<ProductSaleBatchRequest>,
    ) -> Result<Response<ProductSaleBatchResponse>, Status> {
        let call = self.metrics.begin("blackfriday.ProductSaleService", "ProcesarVentas");
        let deadline = deadline(&request, self.limits.call_timeout());
        let answered = self.batch(request.into_inner().ventas, deadline).await;
        call.end(answered.as_ref().err());
        answered.map(|resultados| Response::new(ProductSaleBatchResponse { resultados }))
    }
}

#[tonic::async_trait]
impl WeatherService for Calls {
    async fn publicar(&self, request: Request<WeatherReport>) -> Result<Response<WeatherResponse>, Status> {
        let call = self.metrics.begin("clima.WeatherService", "Publicar");
        let deadline = deadline(&request, self.limits.call_timeout());
        let metadata_trace = traceparent(&request);
        let answered = async {
            let mut command = WeatherCommand::try_from(request.into_inner()).map_err(SaleError::from)?;
            command.traceparent = command.traceparent.or(metadata_trace);
            self.publisher.weather(command, deadline).await
        };
        let answered = answered.await.map_err(Status::from);
        call.end(answered.as_ref().err());
        answered
            .map(|id| Response::new(WeatherResponse { estado: OK.to_owned(), id: id.as_bytes().to_vec() }))
    }
}

impl Calls {
    /// A result for each sale, in order: the valid ones are published together.
    async fn batch(
        &self,
        requests: Vec<ProductSaleRequest>,
        deadline: Instant,
    ) -> Result<Vec<ProductSaleResult>, Status> {
        let limit = self.limits.max_batch_sales;
        if requests.len() > limit {
            return Err(Status::out_of_range(format!("a batch holds at most {limit} sales")));
        }
        let mut valid = Vec::with_capacity(requests.len());
        let convert = |request| match SaleCommand::try_from(request) {
            Ok(command) => {
                valid.push(command);
                None
            }
            Err(errors) => Some(result(Err(SaleError::from(errors)))),
        };
        let refused: Vec<_> = requests.into_iter().map(convert).collect();
        let mut outcomes = self.publisher.sales(valid, deadline).await.into_iter().map(result);
        let results = refused.into_iter().filter_map(|refused| refused.or_else(|| outcomes.next())).collect();
        Ok(results)
    }
}

fn accepted(id: EventId) -> ProductSaleResponse {
    ProductSaleResponse { estado: OK.to_owned(), id: id.as_bytes().to_vec() }
}

fn result(outcome: Result<EventId, SaleError>) -> ProductSaleResult {
    let resultado = match outcome {
        Ok(id) => Resultado::Aceptada(accepted(id)),
        Err(error) => Resultado::Error(error.into()),
    };
    ProductSaleResult { resultado: Some(resultado) }
}
