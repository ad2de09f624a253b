use blackfriday_service::{Readiness, Shutdown};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// Every name that health is told of; "" is the whole server.
const SERVICES: [&str; 3] = ["", "blackfriday.ProductSaleService", "clima.WeatherService"];

/// Says of every service whether it serves.
pub(crate) async fn report(reporter: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for name in SERVICES {
        reporter.set_service_status(name, status).await;
    }
}

/// `grpc.health.v1` says what readiness says, until the shutdown. Then whoever watches is told so and let go, because an
/// open stream would hold up the drain.
pub(crate) async fn follow(mut reporter: HealthReporter, readiness: Readiness, shutdown: Shutdown) {
    let mut ready = readiness.watch();
    while !shutdown.is_begun() {
        let serving = *ready.borrow_and_update();
        report(&reporter, serving).await;
        tokio::select! {
            changed = ready.changed() => changed.expect("readiness is held by this function"),
            () = shutdown.begun() => {}
        }
    }
    report(&reporter, false).await;
    for name in SERVICES {
        reporter.clear_service_status(name).await;
    }
}
