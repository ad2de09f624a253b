//! The services of every path in this process, on free ports, each stopped in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use blackfriday_broker::EventLog;
use blackfriday_dashboard::Currency;
use blackfriday_service::{Context, bind};
use blackfriday_stack::eventually;
use blackfriday_verify::Topics;
use blackfriday_verify::create::WEATHER_PARTITIONS;
use blackfriday_workload::{Source, Workload};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::configured::configured;
use super::path::{Events, Path, StoreKind};
use super::servers::Servers;

const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The services, in this process.
pub(super) struct Services {
    pub(super) gateway: SocketAddr,
    pub(super) dashboard: SocketAddr,
    /// In the order in which they started.
    contexts: Vec<Context>,
    running: JoinSet<Result<()>>,
}

/// What the page is told of beside its stores.
pub(super) struct Page<'a> {
    pub(super) carnet: Option<&'a str>,
    pub(super) currency: Option<&'a Currency>,
    /// What is sold: its products' names are shown.
    pub(super) workload: &'a Workload,
}

impl Services {
    /// Starts the services of these paths, from back to front, and waits until each is ready.
    /// With `one_hop` the gateway writes into the log itself: there is neither relay nor writer, and one path.
    pub(super) async fn start(
        servers: &Servers,
        paths: &[Path],
        one_hop: bool,
        page: &Page<'_>,
    ) -> Result<Self> {
        let [gateway, dashboard] = [listener()?, listener()?];
        let mut services = Self {
            gateway: gateway.local_addr()?,
            dashboard: dashboard.local_addr()?,
            contexts: Vec::new(),
            running: JoinSet::new(),
        };
        let upstream = if one_hop {
            services.start_consumer(servers, paths[0], paths[0].topics())?;
            [servers.log_flags(paths[0].log), ["--upstream", "log"].map(str::to_owned).into()].concat()
        } else {
            services.start_hops(servers, paths)?
        };
        let config: blackfriday_gateway::Config = configured(&upstream)?;
        services.spawn("gateway", |context| async move {
            Ok(blackfriday_gateway::run(config, gateway, context).await?)
        });

        let mut config: blackfriday_dashboard::Config = configured(&shown(servers, paths, page))?;
        config.names.workload = Some(Source::Read(Arc::new(page.workload.clone())));
        services.spawn("dashboard", |context| async move {
            Ok(blackfriday_dashboard::run(config, dashboard, context).await?)
        });

        services.wait_ready().await?;
        Ok(services)
    }

    /// Writers and consumers of these paths, and the relay before them. The flags by which the gateway finds it.
    fn start_hops(&mut self, servers: &Servers, paths: &[Path]) -> Result<Vec<String>> {
        let relay = listener()?;
        let mut targets = Vec::new();
        let sells = paths.iter().any(|path| path.events == Events::Sales);
        for path in paths {
            // Where nobody is to sell, somebody may try: the first log takes it, and its store counts it.
            let takes_sales = !sells && *path == paths[0];
            let [flag, writers] = self.start_writers(servers, *path)?;
            targets.extend(takes_sales.then(|| format!("--writer-target={writers}")));
            targets.push(format!("{flag}={writers}"));
            let topics = if takes_sales { Topics::ALL } else { path.topics() };
            self.start_consumer(servers, *path, topics)?;
        }
        let config: blackfriday_relay::Config =
            configured(&[&["--trust-hops".to_owned()], &targets[..]].concat())?;
        let relay_url = format!("http://{}", relay.local_addr()?);
        self.spawn(
            "relay",
            |context| async move { Ok(blackfriday_relay::run(config, relay, context).await?) },
        );
        Ok(vec!["--relay-url".to_owned(), relay_url])
    }

    /// The writers of a path: two of sales, so that calls are balanced, one of weather. The flags by which the relay finds them.
    fn start_writers(&mut self, servers: &Servers, path: Path) -> Result<[String; 2]> {
        let (flag, names) = match (path.events, path.log) {
            (Events::Sales, _) => ("--writer-target", &["writer-a", "writer-b"][..]),
            (Events::Weather, EventLog::Kafka) => ("--weather-kafka-target", &["kafka-writer"][..]),
            (Events::Weather, EventLog::RabbitMq) => ("--weather-rabbitmq-target", &["rabbit-writer"][..]),
        };
        let mut arguments = servers.log_flags(path.log);
        let keyed = if path.log == EventLog::Kafka { WEATHER_PARTITIONS } else { 1 };
        arguments.extend(["--topic-weather-keyed-partitions".to_owned(), keyed.to_string()]);
        let mut addresses = Vec::new();
        for name in names {
            let listener = listener()?;
            addresses.push(listener.local_addr()?.to_string());
            let config: blackfriday_writer::Config = configured(&arguments)?;
            self.spawn(name, |context| async move {
                Ok(blackfriday_writer::run(config, listener, context).await?)
            });
        }
        Ok([flag.to_owned(), addresses.join(",")])
    }

    fn start_consumer(&mut self, servers: &Servers, path: Path, topics: Topics) -> Result<()> {
        let name = match (path.events, path.log) {
            (Events::Sales, _) => "consumer",
            (Events::Weather, EventLog::Kafka) => "kafka-consumer",
            (Events::Weather, EventLog::RabbitMq) => "rabbit-consumer",
        };
        let mut arguments = servers.log_flags(path.log);
        arguments.extend(servers.store_flags(path.store));
        arguments.extend(["--group", name, "--topics", &topics.to_string()].map(str::to_owned));
        let config: blackfriday_consumer::Config = configured(&arguments)?;
        self.spawn(name, |context| async move { Ok(blackfriday_consumer::run(config, context).await?) });
        Ok(())
    }

    /// Waits until one of them ends, which none does by itself, and says why.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        match self.running.join_next().await {
            Some(Ok(Ok(()))) => anyhow::anyhow!("a service ended by itself"),
            Some(Ok(Err(error))) => error.context("a service failed"),
            Some(Err(error)) => anyhow::Error::from(error).context("a service died"),
            // All have been told of.
            None => std::future::pending().await,
        }
    }

    /// Stops the services from front to back, each with its drain.
    pub(super) async fn stop(mut self) {
        for context in self.contexts.iter().rev() {
            context.shutdown.begin();
        }
        let all = async {
            while let Some(ended) = self.running.join_next().await {
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!("a service failed: {error:#}"),
                    Err(error) => tracing::error!(%error, "a service died"),
                }
            }
        };
        if timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!("a service did not stop in time");
        }
    }

    fn spawn<R>(&mut self, name: &'static str, service: impl FnOnce(Context) -> R + 'static)
    where
        R: Future<Output = Result<()>> + Send + 'static,
    {
        let context = Context::new(name);
        self.running.spawn(context.run(service));
        self.contexts.push(context);
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let contexts = self.contexts.clone();
        let ready =
            eventually(READY_LIMIT, async || contexts.iter().all(|context| context.readiness.is_ready()));
        tokio::select! {
            ready = ready => {
                let missing: Vec<_> = contexts.iter().flat_map(|context| context.readiness.missing()).collect();
                ready.with_context(|| format!("services are not ready: {}", missing.join(", ")))
            }
            Some(ended) = self.running.join_next() => {
                ended.context("a service died")?.and(Err(anyhow::anyhow!("a service ended at its start")))
            }
        }
    }
}

fn listener() -> Result<TcpListener> {
    Ok(bind(SocketAddr::from(([127, 0, 0, 1], 0)))?)
}

/// What the page shows: the store of sales, or Valkey. Next to Valkey's weather that of Redis, where there is any.
fn shown(servers: &Servers, paths: &[Path], page: &Page<'_>) -> Vec<String> {
    let of_sales = paths.iter().find(|path| path.events == Events::Sales);
    let store = of_sales.map_or(StoreKind::Valkey, |path| path.store);
    let mut arguments = servers.store_flags(store).to_vec();
    if store == StoreKind::Valkey && paths.iter().any(|path| path.store == StoreKind::Redis) {
        arguments.extend(["--weather-redis-url".to_owned(), servers.url(StoreKind::Redis).to_owned()]);
    }
    let given = [
        ("--carnet", page.carnet.map(str::to_owned)),
        ("--currency", page.currency.map(Currency::to_string)),
    ];
    for (flag, value) in given {
        arguments.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_ends_is_told_of_at_once_and_once() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut services =
            Services { gateway: nowhere, dashboard: nowhere, contexts: Vec::new(), running: JoinSet::new() };
        services.running.spawn(std::future::pending());
        services.running.spawn(async { Err(anyhow::anyhow!("on purpose")) });
        assert_eq!(format!("{:#}", services.failed().await), "a service failed: on purpose");
        services.running.spawn(async { Ok(()) });
        assert_eq!(services.failed().await.to_string(), "a service ended by itself");
        services.running.abort_all();
        assert_eq!(services.failed().await.to_string(), "a service died");
        timeout(Duration::from_millis(50), services.failed()).await.expect_err("no more is told");
    }
}
