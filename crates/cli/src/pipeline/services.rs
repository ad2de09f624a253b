//! The services of every path in this process, each stopped in order.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use blackfriday_broker::EventLog;
use blackfriday_service::{Context, bind};
use blackfriday_stack::eventually;
use blackfriday_verify::Topics;
use blackfriday_verify::create::WEATHER_PARTITIONS;
use blackfriday_workload::Source;
use tokio::net::TcpListener;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::addresses::default_store;
use super::configured::Environment;
use super::path::{Events, Path, StoreKind};
use super::servers::Servers;

/// For all of them together.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The services, in this process.
pub(crate) struct Services {
    pub(crate) gateway: SocketAddr,
    pub(crate) dashboard: SocketAddr,
    environment: Environment,
    /// In the order in which they started.
    started: Vec<Started>,
    running: JoinSet<Result<()>>,
    ended: HashSet<task::Id>,
}

struct Started {
    name: &'static str,
    context: Context,
    task: task::Id,
}

/// What is asked of them.
pub(crate) struct Shape {
    /// The gateway writes into the log itself: there is neither relay nor writer, and one path.
    pub(crate) one_hop: bool,
    /// Whether settings that are not given here come from the environment.
    pub(crate) environment: Environment,
    /// Where the gateway is to serve.
    pub(crate) gateway: TcpListener,
    /// Where the page is to be served.
    pub(crate) dashboard: TcpListener,
    /// More flags of the dashboard.
    pub(crate) of_dashboard: Vec<String>,
    /// Where the page finds the products' names, unless its own settings say so.
    pub(crate) names: Option<Source>,
}

impl Services {
    /// Starts the services of these paths, from back to front.
    pub(crate) fn start(servers: &Servers, paths: &[Path], shape: Shape) -> Result<Self> {
        let mut services = Self {
            gateway: shape.gateway.local_addr()?,
            dashboard: shape.dashboard.local_addr()?,
            environment: shape.environment,
            started: Vec::new(),
            running: JoinSet::new(),
            ended: HashSet::new(),
        };
        let upstream = if shape.one_hop {
            // Reports go into the same log.
            services.start_consumer(servers, paths[0], Topics::ALL)?;
            ["--upstream", "log"].map(str::to_owned)
        } else {
            services.start_hops(servers, paths)?
        };
        let mut config: blackfriday_gateway::Config = services.environment.configured(&upstream)?;
        config.publish.log = servers.log(paths[0].log);
        services.spawn("gateway", |context| async move {
            Ok(blackfriday_gateway::run(config, shape.gateway, context).await?)
        });

        let (store, more) = shown(servers, paths);
        let flags = [more, shape.of_dashboard].concat();
        let mut config: blackfriday_dashboard::Config = services.environment.configured(&flags)?;
        config.valkey = servers.valkey(store)?;
        config.names.workload = shape.names.or(config.names.workload);
        services.spawn("dashboard", |context| async move {
            Ok(blackfriday_dashboard::run(config, shape.dashboard, context).await?)
        });
        Ok(services)
    }

    /// Writers and consumers of these paths, and the relay before them. The flags by which the gateway finds it.
    fn start_hops(&mut self, servers: &Servers, paths: &[Path]) -> Result<[String; 2]> {
        let relay = listener()?;
        let mut flags = vec!["--trust-hops".to_owned()];
        let sells = paths.iter().any(|path| path.events == Events::Sales);
        for path in paths {
            // Where nobody is to sell, somebody may try: the first log takes it, and its store counts it.
            let takes_sales = !sells && *path == paths[0];
            let [flag, writers] = self.start_writers(servers, *path)?;
            flags.extend(takes_sales.then(|| format!("--writer-target={writers}")));
            flags.push(format!("{flag}={writers}"));
            let topics = if takes_sales { Topics::ALL } else { path.topics() };
            self.start_consumer(servers, *path, topics)?;
        }
        let config: blackfriday_relay::Config = self.environment.configured(&flags)?;
        let relay_url = format!("http://{}", relay.local_addr()?);
        self.spawn(
            "relay",
            |context| async move { Ok(blackfriday_relay::run(config, relay, context).await?) },
        );
        Ok([format!("--relay-url={relay_url}"), "--upstream=relay".to_owned()])
    }

    /// The writers of a path: two of sales, so that calls are balanced, one of weather. The flags by which the relay finds them.
    fn start_writers(&mut self, servers: &Servers, path: Path) -> Result<[String; 2]> {
        let (flag, names) = match (path.events, path.log) {
            (Events::Sales, _) => ("--writer-target", &["writer-a", "writer-b"][..]),
            (Events::Weather, EventLog::Kafka) => ("--weather-kafka-target", &["kafka-writer"][..]),
            (Events::Weather, EventLog::RabbitMq) => ("--weather-rabbitmq-target", &["rabbit-writer"][..]),
        };
        let keyed = if path.log == EventLog::Kafka { WEATHER_PARTITIONS } else { 1 };
        let flags = ["--topic-weather-keyed-partitions".to_owned(), keyed.to_string()];
        let mut addresses = Vec::new();
        for name in names {
            let listener = listener()?;
            addresses.push(listener.local_addr()?.to_string());
            let mut config: blackfriday_writer::Config = self.environment.configured(&flags)?;
            config.publish.log = servers.log(path.log);
            self.spawn(name, |context| async move {
                Ok(blackfriday_writer::run(config, listener, context).await?)
            });
        }
        Ok([flag.to_owned(), addresses.join(",")])
    }

    fn start_consumer(&mut self, servers: &Servers, path: Path, topics: Topics) -> Result<()> {
        let (name, group) = match (path.events, path.log) {
            (Events::Sales, _) => ("consumer", None),
            (Events::Weather, EventLog::Kafka) => ("kafka-consumer", Some("--group=kafka-consumer")),
            (Events::Weather, EventLog::RabbitMq) => ("rabbit-consumer", Some("--group=rabbit-consumer")),
        };
        let flags: Vec<_> =
            group.into_iter().map(str::to_owned).chain([format!("--topics={topics}")]).collect();
        let mut config: blackfriday_consumer::Config = self.environment.configured(&flags)?;
        config.log = servers.log(path.log);
        config.valkey = servers.valkey(path.store)?;
        self.spawn(name, |context| async move { Ok(blackfriday_consumer::run(config, context).await?) });
        Ok(())
    }

    /// Waits until one of them ends, which none does by itself, and says why.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.next().await {
            Some(Ok(())) => anyhow::anyhow!("a service ended by itself"),
            Some(Err(error)) => error,
            // All have been told of.
            None => std::future::pending().await,
        }
    }

    /// Each by its name: its metrics, and whether it is ready.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = (&'static str, &Context)> {
        self.started.iter().map(|service| (service.name, &service.context))
    }

    /// Waits until each is ready, or one has ended.
    pub(crate) async fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        let contexts: Vec<_> = self.started.iter().map(|service| service.context.clone()).collect();
        let ready = eventually(limit, async || contexts.iter().all(|context| context.readiness.is_ready()));
        tokio::select! {
            ready = ready => ready.with_context(|| format!("services are not ready: {}", self.missing())),
            Some(ended) = self.next() => ended.and(Err(anyhow::anyhow!("a service ended at its start"))),
        }
    }

    /// What those that are not ready wait for; empty when there is nothing.
    pub(crate) fn missing(&self) -> String {
        let waiting = self.started.iter().filter(|service| !service.context.readiness.is_ready());
        let told = |service: &Started| {
            format!("{} waits for {}", service.name, service.context.readiness.missing().join(" and "))
        };
        waiting.map(told).collect::<Vec<_>>().join(", ")
    }

    /// Stops the services from front to back, each when the one before it has drained; whether all ended well and in time.
    pub(crate) async fn stop(mut self) -> bool {
        let deadline = Instant::now() + STOP_LIMIT;
        let mut all_well = true;
        for Started { name, context, task } in std::mem::take(&mut self.started).into_iter().rev() {
            context.shutdown.begin();
            match timeout_at(deadline, self.has_ended(task)).await {
                Ok(well) => all_well &= well,
                Err(_) => {
                    tracing::warn!("{name} did not stop in time");
                    all_well = false;
                }
            }
        }
        all_well
    }

    /// Waits until this one has ended; whether it, and others that ended meanwhile, did so well.
    async fn has_ended(&mut self, task: task::Id) -> bool {
        let mut all_well = true;
        while !self.ended.contains(&task)
            && let Some(ended) = self.next().await
        {
            if let Err(error) = ended {
                tracing::error!("{error:#}");
                all_well = false;
            }
        }
        all_well
    }

    /// The next that ends.
    async fn next(&mut self) -> Option<Result<()>> {
        let (task, ended) = match self.running.join_next_with_id().await? {
            Ok((task, ended)) => (task, ended.context("a service failed")),
            Err(error) => (error.id(), Err(error).context("a service died")),
        };
        self.ended.insert(task);
        Some(ended)
    }

    fn spawn<R>(&mut self, name: &'static str, service: impl FnOnce(Context) -> R + 'static)
    where
        R: Future<Output = Result<()>> + Send + 'static,
    {
        let context = Context::of_part(name);
        let task = self.running.spawn(context.run(service)).id();
        self.started.push(Started { name, context, task });
    }
}

fn listener() -> Result<TcpListener> {
    Ok(bind(SocketAddr::from(([127, 0, 0, 1], 0)))?)
}

/// What the page shows: the store of sales, or Valkey. The flags by which it shows Redis next to Valkey's weather, if any.
fn shown(servers: &Servers, paths: &[Path]) -> (StoreKind, Vec<String>) {
    let store = default_store(paths);
    let has_redis = store == StoreKind::Valkey && paths.iter().any(|path| path.store == StoreKind::Redis);
    let redis = has_redis.then(|| ["--weather-redis-url".to_owned(), servers.url(StoreKind::Redis)]);
    (store, redis.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn none() -> Services {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        Services {
            gateway: nowhere,
            dashboard: nowhere,
            environment: Environment::Ignored,
            started: Vec::new(),
            running: JoinSet::new(),
            ended: HashSet::new(),
        }
    }

    #[tokio::test]
    async fn a_service_that_ends_is_told_of_at_once_and_once() {
        let mut services = none();
        services.running.spawn(std::future::pending());
        services.running.spawn(async { Err(anyhow::anyhow!("on purpose")) });
        assert_eq!(format!("{:#}", services.failed().await), "a service failed: on purpose");
        services.running.spawn(async { Ok(()) });
        assert_eq!(services.failed().await.to_string(), "a service ended by itself");
        services.running.abort_all();
        assert_eq!(services.failed().await.to_string(), "a service died");
        timeout(Duration::from_millis(50), services.failed()).await.expect_err("no more is told");
    }

    /// What drains may need what it leans on.
    #[tokio::test]
    async fn the_last_that_started_has_ended_before_the_one_before_it_is_stopped() {
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        let mut services = none();
        for name in ["back", "front"] {
            let told = told.clone();
            services.spawn(name, move |context| async move {
                context.shutdown.begun().await;
                told.send((name, "stops"))?;
                task::yield_now().await;
                told.send((name, "has stopped"))?;
                Ok(())
            });
        }
        assert!(services.stop().await);
        for expected in
            [("front", "stops"), ("front", "has stopped"), ("back", "stops"), ("back", "has stopped")]
        {
            assert_eq!(order.recv().await, Some(expected));
        }
    }

    #[tokio::test]
    async fn a_stop_says_that_a_service_ended_badly() {
        let mut services = none();
        services.spawn("front", |_| async { Err(anyhow::anyhow!("on purpose")) });
        assert!(!services.stop().await);
    }
}
