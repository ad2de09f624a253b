use std::sync::Arc;

use blackfriday_proto::{ErrorCode, Refusal, WeatherCommand};
use blackfriday_telemetry::metrics::Registry;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::broken;
use crate::logs::Reported;
use crate::upstream::Upstream;

/// Weather reports under way. Each goes on to its end, which is its deadline at the latest, also when its client has gone:
/// what one log has the other one should get.
#[derive(Debug)]
pub(super) struct Reports {
    places: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Reports {
    /// At most so many at a time.
    pub(super) fn new(places: usize, registry: &Registry) -> Self {
        let most = places.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(most));
        let free = Arc::clone(&places);
        registry.limit("max-in-flight-reports", most, move || most - free.available_permits());
        Self { places, tasks: TaskTracker::new() }
    }

    /// Hands a report on and waits for its outcome.
    pub(super) async fn send<U: Upstream>(
        &self,
        upstream: &Arc<U>,
        command: WeatherCommand,
        deadline: Instant,
    ) -> Reported {
        let id = command.id;
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let full = Refusal::new(ErrorCode::Overloaded, "too many weather reports are under way");
            return Reported::of(Err(full.of(id)));
        };
        let upstream = Arc::clone(upstream);
        let task = self.tasks.spawn(async move {
            let _place = place;
            upstream.weather(command, deadline).await
        });
        task.await.unwrap_or_else(|_panic| {
            tracing::error!("an upstream call panicked");
            Reported::of(Err(broken().of(id)))
        })
    }

    /// Waits until none is under way. There must be no new ones.
    pub(super) async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use blackfriday_event::WeatherDraft;
    use blackfriday_proto::{EventOutcome, SaleCommand};
    use tokio::sync::watch;
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Answers a report once it is let go.
    struct Gate {
        asked: Semaphore,
        open: watch::Sender<bool>,
        answered: Semaphore,
    }

    impl Upstream for Gate {
        async fn sales(&self, _: Vec<SaleCommand>, _: Instant) -> Vec<EventOutcome> {
            panic!("as told")
        }

        async fn weather(&self, command: WeatherCommand, _: Instant) -> Reported {
            assert_ne!(command.draft.country, "panic", "as told");
            self.asked.add_permits(1);
            drop(self.open.subscribe().wait_for(|open| *open).await);
            self.answered.add_permits(1);
            Reported::of(Ok(command.id))
        }
    }

    fn gate() -> Arc<Gate> {
        let none = || Semaphore::new(0);
        Arc::new(Gate { asked: none(), open: watch::Sender::new(false), answered: none() })
    }

    fn report(country: &str) -> WeatherCommand {
        WeatherCommand::new(WeatherDraft::new("", country, "Rainy").expect("valid"), None)
    }

    fn deadline() -> Instant {
        Instant::now() + LIMIT
    }

    #[tokio::test]
    async fn a_report_whose_client_has_gone_goes_on_and_keeps_its_place_and_a_stop_waits_for_it() {
        let (gate, reports) = (gate(), Reports::new(1, &Registry::new("test")));
        let sent = reports.send(&gate, report("GT"), deadline());
        tokio::select! {
            _ = sent => panic!("it is not let go"),
            asked = gate.asked.acquire() => asked.expect("open").forget(),
        }
        let full = reports.send(&gate, report("GT"), deadline()).await;
        assert_eq!(full.outcome.expect_err("its place is taken").code, ErrorCode::Overloaded);
        assert!(timeout(Duration::from_millis(20), reports.settled()).await.is_err());
        gate.open.send_replace(true);
        timeout(LIMIT, reports.settled()).await.expect("it ends");
        assert_eq!(gate.answered.available_permits(), 1);
        let after = reports.send(&gate, report("GT"), deadline()).await;
        assert!(after.outcome.is_ok(), "its place is free again");
    }

    #[tokio::test]
    async fn a_defect_leaves_the_outcome_unknown() {
        let command = report("panic");
        let reports = Reports::new(1, &Registry::new("test"));
        let reported = reports.send(&gate(), command.clone(), deadline()).await;
        let error = reported.outcome.expect_err("it broke");
        assert_eq!((error.code, error.id), (ErrorCode::OutcomeUnknown, Some(command.id)));
    }
}
