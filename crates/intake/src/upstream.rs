use blackfriday_proto::{EventOutcome, SaleCommand, WeatherCommand};
use tokio::time::Instant;

/// Where events go from here.
pub trait Upstream: Send + Sync + 'static {
    /// Hands sales on together. The result has an outcome for each, in order, by `deadline` at the latest.
    fn sales(
        &self,
        commands: Vec<SaleCommand>,
        deadline: Instant,
    ) -> impl Future<Output = Vec<EventOutcome>> + Send;

    /// Hands a weather report on.
    fn weather(
        &self,
        command: WeatherCommand,
        deadline: Instant,
    ) -> impl Future<Output = EventOutcome> + Send;
}
