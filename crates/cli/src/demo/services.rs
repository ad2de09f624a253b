//! The five services in this process, on free ports, each stopped in order.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use blackfriday_broker::kafka::KafkaConfig;
use blackfriday_service::{Context, bind};
use blackfriday_stack::eventually;
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use clap::Parser;
use clap::builder::Resettable;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Ports for all services, which do not run yet.
pub(super) struct Prepared {
    pub(super) kafka: KafkaConfig,
    valkey_url: String,
    writers: [TcpListener; 2],
    relay: TcpListener,
    gateway: TcpListener,
    dashboard: TcpListener,
}

/// The services, in this process.
pub(super) struct Services {
    pub(super) gateway: SocketAddr,
    pub(super) dashboard: SocketAddr,
    pub(super) kafka: KafkaConfig,
    pub(super) store: Store,
    /// In the order in which they started.
    contexts: Vec<Context>,
    running: JoinSet<Result<()>>,
}

impl Services {
    /// Takes a free port for each.
    pub(super) fn prepare(kafka: &str, valkey_url: &str) -> Result<Prepared> {
        let listener = || bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        Ok(Prepared {
            kafka: KafkaConfig::new(kafka),
            valkey_url: valkey_url.to_owned(),
            writers: [listener()?, listener()?],
            relay: listener()?,
            gateway: listener()?,
            dashboard: listener()?,
        })
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

    fn context(&mut self, name: &'static str) -> Context {
        let context = Context::new(name);
        self.contexts.push(context.clone());
        context
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

impl Prepared {
    /// Starts the services, from back to front, and waits until each is ready.
    pub(super) async fn start(self, carnet: Option<&str>) -> Result<Services> {
        let Self { kafka, valkey_url, writers, relay, gateway, dashboard } = self;
        let writer_addresses = [writers[0].local_addr()?, writers[1].local_addr()?].map(|at| at.to_string());
        let relay_url = format!("http://{}", relay.local_addr()?);
        let mut services = Services {
            gateway: gateway.local_addr()?,
            dashboard: dashboard.local_addr()?,
            store: Store::new(
                &ValkeyConfig::new(&valkey_url).map_err(anyhow::Error::msg)?,
                &StoreConfig::default(),
            )?,
            kafka,
            contexts: Vec::new(),
            running: JoinSet::new(),
        };
        let brokers = services.kafka.brokers.clone();
        for (name, listener) in ["writer-a", "writer-b"].into_iter().zip(writers) {
            let config: blackfriday_writer::Config = configured(&["--kafka-brokers", &brokers])?;
            let context = services.context(name);
            services.running.spawn(async { Ok(blackfriday_writer::run(config, listener, context).await?) });
        }
        let config: blackfriday_consumer::Config =
            configured(&["--kafka-brokers", &brokers, "--valkey-url", &valkey_url])?;
        let context = services.context("consumer");
        services.running.spawn(async { Ok(blackfriday_consumer::run(config, context).await?) });

        let config: blackfriday_relay::Config =
            configured(&["--trust-hops", "--writer-target", &writer_addresses.join(",")])?;
        let context = services.context("relay");
        services.running.spawn(async { Ok(blackfriday_relay::run(config, relay, context).await?) });

        let config: blackfriday_gateway::Config = configured(&["--relay-url", &relay_url])?;
        let context = services.context("gateway");
        services.running.spawn(async { Ok(blackfriday_gateway::run(config, gateway, context).await?) });

        let mut arguments = vec!["--valkey-url", &valkey_url];
        arguments.extend(carnet.iter().flat_map(|carnet| ["--carnet", carnet]));
        let config: blackfriday_dashboard::Config = configured(&arguments)?;
        let context = services.context("dashboard");
        services.running.spawn(async { Ok(blackfriday_dashboard::run(config, dashboard, context).await?) });

        services.wait_ready().await?;
        Ok(services)
    }
}

/// A service's configuration: its defaults and these arguments. Not the environment, which may be meant for other servers.
fn configured<C: Parser>(arguments: &[&str]) -> Result<C> {
    let all = std::iter::once(OsString::from("demo")).chain(arguments.iter().map(OsString::from));
    let command = C::command().mut_args(|argument| argument.env(Resettable::Reset));
    let matches = command.try_get_matches_from(all).context("configure a service")?;
    C::from_arg_matches(&matches).context("configure a service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_ends_is_told_of_at_once_and_once() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let valkey = ValkeyConfig::new("redis://127.0.0.1:9").expect("an address");
        let mut services = Services {
            gateway: nowhere,
            dashboard: nowhere,
            kafka: KafkaConfig::new("127.0.0.1:9"),
            store: Store::new(&valkey, &StoreConfig::default()).expect("not yet connected"),
            contexts: Vec::new(),
            running: JoinSet::new(),
        };
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
