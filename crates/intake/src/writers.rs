//! The gRPC client: balanced over all writers that a name resolves to, which is asked again while running.
//!
//! A ClusterIP would pin one HTTP/2 connection to one pod; so the target is a headless name, and each address has a
//! connection of its own. A call goes to the usable writer with the fewest events in flight. A writer whose call fails
//! is left out for that service until its health check is good; one whose address disappears finishes what it has.
//!
//! Each target has a [`Pool`] of its own: one for sales, and for weather reports one for each log that has a target, else
//! that of sales.

mod endpoint;
mod everywhere;
mod gauges;
mod link;
mod pool;
mod send;
mod served;
mod targets;
mod tls;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use blackfriday_proto::{EventOutcome, SaleCommand, WeatherCommand};
use blackfriday_service::{Condition, Context};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub use self::targets::WritersError;
pub use self::tls::WritersTls;

use self::everywhere::{Everywhere, Way};
use self::gauges::Metrics;
use self::pool::{Pool, Shared};
use self::served::Served;
use crate::logs::{Log, Reported};
use crate::upstream::Upstream;

/// Where the writers are.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Writers")]
pub struct WritersConfig {
    /// The writers: `host:port`, several separated by commas; every address of each name is used.
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        env = "BLACKFRIDAY_WRITER_TARGET",
        default_value = "127.0.0.1:50051"
    )]
    pub writer_target: String,
    /// The writers into Kafka of weather reports, as above. With a target for weather, reports go there and not to the
    /// writers above; with both, each report goes to both logs and is accepted when both have it.
    #[arg(long, value_name = "HOST:PORT,…", env = "BLACKFRIDAY_WEATHER_KAFKA_TARGET")]
    pub weather_kafka_target: Option<String>,
    /// The writers into RabbitMQ of weather reports, likewise.
    #[arg(long, value_name = "HOST:PORT,…", env = "BLACKFRIDAY_WEATHER_RABBITMQ_TARGET")]
    pub weather_rabbitmq_target: Option<String>,
    /// Milliseconds between two look-ups of the names, and between two health checks of a writer.
    #[arg(long, value_name = "MS", env = "BLACKFRIDAY_WRITER_RESOLVE_INTERVAL_MS", default_value_t = 2_000)]
    pub writer_resolve_interval_ms: u64,
    /// Milliseconds for a connection to a writer, or for its health check.
    #[arg(long, value_name = "MS", env = "BLACKFRIDAY_WRITER_CONNECT_TIMEOUT_MS", default_value_t = 1_000)]
    pub writer_connect_timeout_ms: u64,
    /// Events in flight to one writer; when every writer has as many, more are answered with 429.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_WRITER_MAX_IN_FLIGHT_EVENTS", default_value_t = 65_536)]
    pub writer_max_in_flight_events: usize,
    /// TLS.
    #[command(flatten)]
    pub tls: WritersTls,
}

/// Hands events to the writers. Clones share the connections; the last one closes them.
#[derive(Clone)]
pub struct Writers {
    sales: Pool,
    weather: Everywhere,
    _report: Arc<AbortOnDropHandle<()>>,
}

/// Hands weather reports alone to writers, for who has another way for sales.
pub struct WeatherWriters {
    weather: Everywhere,
    _report: AbortOnDropHandle<()>,
}

/// What the process can do with the writers that it has.
struct Ready {
    sales: Option<(Pool, Condition)>,
    weather: Option<(Everywhere, Condition)>,
}

/// Makes the pools of one process, which tell of their changes together.
struct Pools<'a> {
    config: &'a WritersConfig,
    metrics: Metrics,
    changed: Arc<Notify>,
    started: Started,
}

/// The pools that were started, as long as there are any.
type Started = Arc<Mutex<Vec<Weak<Shared>>>>;

impl WritersConfig {
    /// Says where the writers should be, by the names of the conditions that wait for them.
    fn locate(&self, context: &Context) {
        context.readiness.locate("writer", self.writer_target.clone());
        let of_weather = [&self.weather_kafka_target, &self.weather_rabbitmq_target];
        let of_weather: Vec<_> = of_weather.into_iter().flatten().map(String::as_str).collect();
        if !of_weather.is_empty() {
            context.readiness.locate("weather", of_weather.join(" and "));
        }
    }
}

impl Writers {
    /// Reads the targets and begins to look their names up. While neither sales nor weather reports can be taken, the
    /// service is not ready.
    ///
    /// # Errors
    /// A target is not a list of `host:port`, or a file of TLS cannot be used.
    pub fn start(config: &WritersConfig, context: &Context) -> Result<Self, WritersError> {
        config.locate(context);
        let pools = Pools::new(config, context);
        let ways = pools.of_weather()?;
        let own = !ways.is_empty();
        let services: &'static [Served] = if own { &[Served::Sales] } else { &Served::ALL };
        let sales = pools.start("writer", &config.writer_target, services)?;
        let ways = if own { ways } else { vec![Way::new(None, sales.clone())] };
        let weather = Everywhere::new(ways, &context.registry);
        let ready = Ready::new(&sales, own.then_some(&weather), context);
        let report = Arc::new(AbortOnDropHandle::new(tokio::spawn(ready.report(pools.changed))));
        Ok(Self { sales, weather, _report: report })
    }
}

impl WeatherWriters {
    /// Reads the targets for weather and begins to look their names up; without any there is nothing to start. `condition`
    /// is kept true while every log has a writer that takes reports.
    ///
    /// # Errors
    /// As [`Writers::start`].
    pub fn start(
        config: &WritersConfig,
        context: &Context,
        condition: Condition,
    ) -> Result<Option<Self>, WritersError> {
        config.locate(context);
        let pools = Pools::new(config, context);
        let ways = pools.of_weather()?;
        if ways.is_empty() {
            return Ok(None);
        }
        let weather = Everywhere::new(ways, &context.registry);
        let ready = Ready { sales: None, weather: Some((weather.clone(), condition)) };
        let report = AbortOnDropHandle::new(tokio::spawn(ready.report(pools.changed)));
        Ok(Some(Self { weather, _report: report }))
    }

    /// Publishes a report to every log, by `deadline` at the latest.
    pub async fn publish(&self, command: WeatherCommand, deadline: Instant) -> Reported {
        self.weather.publish(command, deadline).await
    }
}

impl<'a> Pools<'a> {
    fn new(config: &'a WritersConfig, context: &Context) -> Self {
        let started = Started::default();
        let pools = Arc::clone(&started);
        // Of each writer: the one that is fullest tells.
        let fullest = move || {
            let pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.iter().filter_map(Weak::upgrade).map(|pool| pool.fullest()).max().unwrap_or(0)
        };
        let most = config.writer_max_in_flight_events.max(1);
        context.registry.limit("writer-max-in-flight-events", most, fullest);
        Self { config, metrics: Metrics::new(&context.registry), changed: Arc::new(Notify::new()), started }
    }

    fn start(
        &self,
        name: &'static str,
        target: &str,
        services: &'static [Served],
    ) -> Result<Pool, WritersError> {
        let metrics = self.metrics.of(name, services, Arc::clone(&self.changed));
        let pool = Pool::start(target, services, self.config, metrics)?;
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(pool.downgrade());
        Ok(pool)
    }

    /// A way into each log that has a target for weather.
    fn of_weather(&self) -> Result<Vec<Way>, WritersError> {
        let logs = [
            (Log::Kafka, "weather-kafka", &self.config.weather_kafka_target),
            (Log::RabbitMq, "weather-rabbitmq", &self.config.weather_rabbitmq_target),
        ];
        let way = |(log, name, target): (Log, _, &Option<String>)| {
            let pool = self.start(name, target.as_deref()?, &[Served::Weather]);
            Some(pool.map(|pool| Way::new(Some(log), pool)))
        };
        logs.into_iter().filter_map(way).collect()
    }
}

impl Upstream for Writers {
    async fn sales(&self, commands: Vec<SaleCommand>, deadline: Instant) -> Vec<EventOutcome> {
        self.sales.sales(commands, deadline).await
    }

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> Reported {
        self.weather.publish(command, deadline).await
    }
}

impl Ready {
    /// One condition where all writers take both; else one for sales and one for weather, of which one is enough.
    fn new(sales: &Pool, weather: Option<&Everywhere>, context: &Context) -> Self {
        let Some(weather) = weather else {
            let writer = context.readiness.condition("writer");
            return Self { sales: Some((sales.clone(), writer)), weather: None };
        };
        let [writer, reports] = context.readiness.alternatives(["writer", "weather"]);
        Self { sales: Some((sales.clone(), writer)), weather: Some((weather.clone(), reports)) }
    }

    /// Keeps the conditions true while there are writers that take events.
    async fn report(self, changed: Arc<Notify>) {
        loop {
            if let Some((sales, condition)) = &self.sales {
                condition.set(sales.is_usable());
            }
            if let Some((weather, condition)) = &self.weather {
                condition.set(weather.is_usable());
            }
            changed.notified().await;
        }
    }
}
