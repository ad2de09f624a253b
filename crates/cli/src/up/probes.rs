use blackfriday_service::{Readiness, Shutdown, admin};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::pipeline::Services;

/// Answers `/livez` and `/readyz` until it is dropped: ready while every service is, the missing ones by name.
pub(super) struct Probes {
    _tasks: JoinSet<()>,
}

impl Probes {
    pub(super) fn serve(listener: TcpListener, services: &Services) -> Self {
        let (all, mut tasks) = (Readiness::new(), JoinSet::new());
        for (name, readiness) in services.readiness() {
            let (condition, mut ready) = (all.condition(name), readiness.watch());
            tasks.spawn(async move {
                loop {
                    condition.set(*ready.borrow_and_update());
                    if ready.changed().await.is_err() {
                        return;
                    }
                }
            });
        }
        tasks.spawn(admin::serve_probes(listener, all, Shutdown::new()));
        Self { _tasks: tasks }
    }
}
