use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::kafka::KafkaConfig;
use blackfriday_service::{Context, bind};
use blackfriday_stack::{Kafka, Valkey, eventually, free_port};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use blackfriday_workload::{Traffic, Workload};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::output;

const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const WEATHER_REPORTS: u64 = 50;

/// Where everything is.
pub(super) struct Addresses {
    pub(super) gateway: SocketAddr,
    pub(super) dashboard: SocketAddr,
    relay: SocketAddr,
    writers: [SocketAddr; 2],
    kafka: String,
    valkey: String,
}

/// The services, in this process.
pub(super) struct Services {
    contexts: Vec<Context>,
    running: JoinSet<Result<()>>,
    store: Store,
}

impl Addresses {
    pub(super) fn new(kafka: &Kafka, valkey: &Valkey) -> Result<Self> {
        let address = || -> Result<SocketAddr> { Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?))) };
        Ok(Self {
            gateway: address()?,
            dashboard: address()?,
            relay: address()?,
            writers: [address()?, address()?],
            kafka: kafka.bootstrap().to_owned(),
            valkey: valkey.url().to_owned(),
        })
    }

    pub(super) fn kafka_config(&self) -> KafkaConfig {
        KafkaConfig::new(&self.kafka)
    }

    /// What to try while everything runs.
    pub(super) fn explain(&self, receipts: &Path) {
        let Self { gateway, dashboard, kafka, valkey, .. } = self;
        let backends = format!("--kafka-brokers {kafka} --valkey-url {valkey}");
        for line in [
            "everything goes on running until Ctrl-C. Try:".to_owned(),
            format!("  open http://{dashboard}/"),
            format!("  curl -i http://{gateway}/venta -H 'content-type: application/json' \\"),
            r#"    -d '{"categoria":"Ropa","producto_id":"R-001","precio":89.99,"cantidad_vendida":1}'"#
                .to_owned(),
            format!("  ./dev run verify --receipts {} {backends}", receipts.display()),
            format!(
                "  ./dev run load --url http://{gateway} --rate 1000 --duration 10s --receipts more.receipts"
            ),
            format!("  ./dev run tail --follow --from end --kafka-brokers {kafka}"),
            format!("  valkey-cli -u {valkey} hincrby reportes:total Ropa 1    # then verify again"),
        ] {
            output::line(line);
        }
    }
}

impl Services {
    /// Starts the services and waits until each is ready.
    pub(super) async fn start(addresses: &Addresses, carnet: Option<&str>) -> Result<Self> {
        let mut valkey = ValkeyConfig::new(&addresses.valkey).map_err(anyhow::Error::msg)?;
        valkey.key_prefix = String::new();
        let store = Store::new(&valkey, &StoreConfig::default())?;
        let mut services = Self { contexts: Vec::new(), running: JoinSet::new(), store };
        for (name, address) in [("writer-a", addresses.writers[0]), ("writer-b", addresses.writers[1])] {
            let config: blackfriday_writer::Config = parse(&["--kafka-brokers", &addresses.kafka])?;
            let (listener, context) = (bind(address)?, services.context(name));
            let run = async move { Ok(blackfriday_writer::run(config, listener, context).await?) };
            services.running.spawn(run);
        }
        let consumer: blackfriday_consumer::Config =
            parse(&["--kafka-brokers", &addresses.kafka, "--valkey-url", &addresses.valkey])?;
        let context = services.context("consumer");
        services.running.spawn(async move { Ok(blackfriday_consumer::run(consumer, context).await?) });

        let writers = addresses.writers.map(|address| address.to_string()).join(",");
        let relay: blackfriday_relay::Config = parse(&["--writer-target", &writers])?;
        let (listener, context) = (bind(addresses.relay)?, services.context("relay"));
        services.running.spawn(async move { Ok(blackfriday_relay::run(relay, listener, context).await?) });

        let gateway: blackfriday_gateway::Config =
            parse(&["--relay-url", &format!("http://{}", addresses.relay)])?;
        let (listener, context) = (bind(addresses.gateway)?, services.context("gateway"));
        services
            .running
            .spawn(async move { Ok(blackfriday_gateway::run(gateway, listener, context).await?) });

        let mut arguments = vec!["--valkey-url", &addresses.valkey];
        arguments.extend(carnet.iter().flat_map(|carnet| ["--carnet", carnet]));
        let dashboard: blackfriday_dashboard::Config = parse(&arguments)?;
        let (listener, context) = (bind(addresses.dashboard)?, services.context("dashboard"));
        services
            .running
            .spawn(async move { Ok(blackfriday_dashboard::run(dashboard, listener, context).await?) });

        services.wait_ready().await?;
        Ok(services)
    }

    pub(super) fn store(&self) -> Store {
        self.store.clone()
    }

    /// Sends a few weather reports through the front door, and returns the identities that were acknowledged.
    pub(super) async fn send_weather(&self, addresses: &Addresses) -> Result<Vec<uuid::Uuid>> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let traffic = Traffic::new(Workload::black_friday(), None);
        let mut accepted = Vec::new();
        for number in 0..WEATHER_REPORTS {
            let draft = traffic.weather(number);
            let body = serde_json::json!({
                "description": draft.description, "country": draft.country, "weather": draft.weather,
            });
            let request = http::Request::post(format!("http://{}/input", addresses.gateway))
                .header("content-type", "application/json")
                .body(Full::from(body.to_string()))?;
            let response = client.request(request).await.context("send a weather report")?;
            ensure!(response.status() == 202, "a weather report was answered with {}", response.status());
            let body = response.into_body().collect().await?.to_bytes();
            let answer: blackfriday_intake::Accepted = serde_json::from_slice(&body)?;
            accepted.push(answer.id.parse()?);
        }
        Ok(accepted)
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

/// A service's configuration: its defaults, our environment, and these arguments.
fn parse<C: Parser>(arguments: &[&str]) -> Result<C> {
    let all = std::iter::once(OsString::from("demo")).chain(arguments.iter().map(OsString::from));
    C::try_parse_from(all).context("configure a service")
}
