use blackfriday_proto::DESCRIPTORS;
use blackfriday_proto::blackfriday::product_sale_service_server::ProductSaleServiceServer;
use blackfriday_proto::clima::weather_service_server::WeatherServiceServer;
use blackfriday_publish::Publisher;
use blackfriday_service::{Context, Shutdown};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tower::util::MapResponseLayer;

use crate::admission::Gate;
use crate::aside::Aside;
use crate::config::{Config, Limits};
use crate::connections::{PING_INTERVAL, PING_TIMEOUT, accept};
use crate::error::Error;
use crate::grpc::Calls;
use crate::health;
use crate::health::Health;
use crate::mark::marked;
use crate::secured::secured;

/// Serves gRPC until the shutdown begins, finishes the calls in flight, and flushes the producer.
///
/// # Errors
/// A setting is refused, or the server breaks. An unreachable broker is not an error here: calls are answered
/// `Unavailable`.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    config.publish.check_batch(config.limits.max_batch_sales).map_err(Error::Publisher)?;
    let tls = config.tls.server()?;
    context.readiness.locate("broker", config.publish.log.servers());
    let publisher = Publisher::new(&config.publish, &context.registry).map_err(Error::Publisher)?;
    let (reporter, health_service) = tonic_health::server::health_reporter();
    health::begin(&reporter).await;
    let health = Health::new(&context.readiness, publisher.signs(&context.registry));
    let _health = AbortOnDropHandle::new(tokio::spawn(health.follow(reporter, context.shutdown.clone())));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection_v1 = reflection().build_v1().map_err(Error::Reflection)?;
    // What tools of before 2023 ask for.
    let reflection_v1alpha = reflection().build_v1alpha().map_err(Error::Reflection)?;

    let limits = &config.limits;
    let calls = Calls::new(publisher.clone(), config.publish.log.log.name());
    let gate = Gate::new(limits, &context.registry);
    let aside = Aside::new(limits.max_connections);
    let sales =
        ProductSaleServiceServer::new(calls.clone()).max_decoding_message_size(limits.max_message_bytes);
    let weather = WeatherServiceServer::new(calls).max_decoding_message_size(limits.max_message_bytes);
    let server = Server::builder()
        .max_concurrent_streams(limits.max_streams)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .layer(MapResponseLayer::new(marked))
        .add_service(gate.before(sales))
        .add_service(gate.before(weather))
        .add_service(aside.bound(health_service))
        .add_service(aside.bound(reflection_v1))
        .add_service(aside.bound(reflection_v1alpha))
        .serve_with_incoming_shutdown(
            secured(accept(listener, limits.max_connections, &context.registry), tls),
            context.shutdown.begun(),
        );
    let served = drained(server, &context.shutdown, limits).await;
    if let Err(error) = publisher.flush(limits.drain_timeout()).await {
        tracing::warn!(%error, "records were still on their way at the drain limit");
    }
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
