use blackfriday_proto::{EventOutcome, SaleCommand, WeatherCommand};
use tokio::time::Instant;

use crate::logs::Reported;

/// Where events go from here.
pub trait Upstream: Send + Sync + 'static {
    /// Hands sales on together. The result has an outcome for each, in order, by `deadline` at the latest.
    fn sales(
        &self,
        commands: Vec<SaleCommand>,
        deadline: Instant,
    ) -> impl Future<Output = Vec<EventOutcome>> + Send;

    /// Hands a weather report on, to every log that it goes to. The answer is there by `deadline` at the latest.
    fn weather(&self, command: WeatherCommand, deadline: Instant) -> impl Future<Output = Reported> + Send;
}
