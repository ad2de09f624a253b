use blackfriday_service::{Readiness, Shutdown, admin};
use blackfriday_telemetry::metrics::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::pipeline::Services;

/// Answers `/livez`, `/readyz` and `/metrics` until it is dropped: ready while every service is, the missing ones by name; the
/// metrics of all.
pub(super) struct Probes {
    _tasks: JoinSet<()>,
}

impl Probes {
    pub(super) fn serve(listener: TcpListener, services: &Services) -> Self {
        let (all, mut tasks) = (Readiness::new(), JoinSet::new());
        for (name, context) in services.contexts() {
            let (condition, mut ready) = (all.condition(name), context.readiness.watch());
            tasks.spawn(async move {
                loop {
                    condition.set(*ready.borrow_and_update());
                    if ready.changed().await.is_err() {
                        return;
                    }
                }
            });
        }
        let registries = services.contexts().map(|(_, context)| context.registry.clone()).collect();
        tasks.spawn(admin::serve(listener, Registry::new("up"), registries, all, Shutdown::new()));
        Self { _tasks: tasks }
    }
}
