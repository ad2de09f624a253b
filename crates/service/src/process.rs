//! The life of a process, from its arguments to its exit code.
//!
//! Invariant: whatever ends a service, readiness is false before it stops, the last spans are sent, and the exit code says
//! whether the configuration, the surroundings or a defect was the cause (sysexits.h).

mod failure;
mod resources;

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;

use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::{TelemetryConfig, TelemetryGuard};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Parser};

pub use self::failure::Failure;
use self::failure::{EX_USAGE, end, end_untold};
pub use self::resources::raise_fd_limit;
use self::resources::{runtime, use_small_pages};
use crate::admin;
use crate::bind::bind;
use crate::readiness::{Condition, Readiness};
use crate::shutdown::{Shutdown, signals};

/// The settings that every process has.
#[derive(clap::Args, Debug, Clone)]
pub struct ProcessConfig {
    /// Threads that run the service; without it half as many as there are cores, one at the least, because several
    /// services share a machine.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_WORKER_THREADS",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub worker_threads: Option<u16>,
    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

/// A service's configuration, as the skeleton needs it.
pub trait ServiceConfig: Parser + fmt::Debug + Send + 'static {
    /// The settings that every process has.
    fn process(&self) -> &ProcessConfig;

    /// Where `/livez`, `/readyz` and `/metrics` are served.
    fn admin_listen(&self) -> SocketAddr;
}

/// What the skeleton hands to a service.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its metrics.
    pub registry: Registry,
    /// Whether it should get traffic.
    pub readiness: Readiness,
    /// When to stop.
    pub shutdown: Shutdown,
}

impl Context {
    /// For a service that is its process.
    pub fn new(service_name: &'static str) -> Self {
        Self::with(Registry::new(service_name))
    }

    /// For a service that shares its process with others.
    pub fn of_part(service_name: &'static str) -> Self {
        Self::with(Registry::of_part(service_name))
    }

    fn with(registry: Registry) -> Self {
        Self { registry, readiness: Readiness::new(), shutdown: Shutdown::new() }
    }

    /// Runs a service with this context. It is not ready from this call on, also before the future is first polled, until
    /// the service first waits: by then it has bound its port and named its other conditions. Nor is it once it is to stop.
    pub fn run<R: Future, F: FnOnce(Self) -> R>(
        &self,
        service: F,
    ) -> impl Future<Output = R::Output> + use<R, F> {
        let (running, stopping) = (self.readiness.condition("running"), self.shutdown.clone());
        while_running(service(self.clone()), running, stopping)
    }
}

/// The whole of a service's `main`: reads the configuration (exit code 64 if it is wrong), sets up telemetry, serves the
/// admin port, runs the service until it ends or a signal stops it, sends the last spans, and gives the exit code.
pub fn main_with<C, R>(service_name: &'static str, run: impl FnOnce(C, Context) -> R) -> ExitCode
where
    C: ServiceConfig,
    R: Future<Output = Result<(), Failure>>,
{
    use_small_pages();
    let (config, given): (C, _) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            let code = if error.use_stderr() { EX_USAGE } else { 0 };
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    match runtime(config.process().worker_threads) {
        Ok(runtime) => runtime.block_on(supervise(service_name, config, given, run)),
        Err(error) => end_untold(Failure::Internal(Box::new(error))),
    }
}

/// The configuration, and what of it is not the default, as flags.
fn parse<C: Parser>() -> Result<(C, String), clap::Error> {
    let mut command = C::command();
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let given = given(&command, &matches);
    let config = C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    Ok((config, given))
}

fn given(command: &Command, matches: &ArgMatches) -> String {
    let flag = |argument: &Arg| {
        let id = argument.get_id().as_str();
        let is_given =
            matches!(matches.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable));
        let (name, values) = (argument.get_long()?, matches.get_raw(id).filter(|_| is_given)?);
        let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        let shown = if argument.is_hide_env_values_set() { "…".to_owned() } else { values.join(",") };
        Some(format!("--{name}={shown}"))
    };
    let given: Vec<_> = command.get_arguments().filter_map(flag).collect();
    if given.is_empty() { "all defaults".to_owned() } else { given.join(" ") }
}

async fn supervise<C, R>(
    service_name: &'static str,
    config: C,
    given: String,
    run: impl FnOnce(C, Context) -> R,
) -> ExitCode
where
    C: ServiceConfig,
    R: Future<Output = Result<(), Failure>>,
{
    let telemetry = match blackfriday_telemetry::init(service_name, &config.process().telemetry) {
        Ok(telemetry) => telemetry,
        // Nothing is logged yet.
        Err(error) => return end_untold(Failure::Configuration(Box::new(error))),
    };
    raise_fd_limit();
    tracing::info!(service = service_name, version = env!("CARGO_PKG_VERSION"), config = given, "starting");
    let context = Context::new(service_name);
    let ended = match bind(config.admin_listen()) {
        Ok(listener) => {
            let stop_admin = Shutdown::new();
            let admin = admin::serve(
                listener,
                context.registry.clone(),
                Vec::new(),
                context.readiness.clone(),
                stop_admin.clone(),
            );
            let admin = tokio::spawn(admin);
            let signals = tokio::spawn(signals(context.shutdown.clone()));
            let telling = tokio::spawn(tell_readiness(context.readiness.clone()));
            let ended = context.run(|context| run(config, context)).await;
            signals.abort();
            telling.abort();
            stop_admin.begin();
            drop(admin.await);
            ended
        }
        Err(error) => Err(error.by("--admin-listen").into()),
    };
    flush(telemetry).await;
    end(ended)
}

/// Says what the service waits for whenever that changes, and when it waits for nothing any more.
async fn tell_readiness(readiness: Readiness) {
    let mut changes = readiness.watch_missing();
    loop {
        match readiness.told() {
            missing if missing.is_empty() => tracing::info!("ready"),
            missing if readiness.is_ready() => tracing::info!(without = missing, "ready"),
            missing => tracing::info!(waiting_for = missing, "not ready"),
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The condition holds from when the service first waits until it is to stop.
async fn while_running<R: Future>(service: R, running: Condition, stopping: Shutdown) -> R::Output {
    let mut service = pin!(service);
    if let Poll::Ready(ended) = poll_fn(|context| Poll::Ready(service.as_mut().poll(context))).await {
        return ended;
    }
    running.set(true);
    let unready = tokio::spawn(async move {
        stopping.begun().await;
        running.set(false);
    });
    let ended = service.await;
    unready.abort();
    ended
}

async fn flush(telemetry: TelemetryGuard) {
    // The exporter's shutdown blocks until its own thread or task is done.
    if let Err(error) = tokio::task::spawn_blocking(|| telemetry.shutdown()).await {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn what_was_given_is_told_without_secrets() {
        #[derive(Parser, Debug)]
        struct Config {
            #[arg(long, default_value = "127.0.0.1:1")]
            listen: SocketAddr,
            #[arg(long, default_value_t = 5)]
            queue: u32,
            #[arg(long, value_delimiter = ',')]
            topics: Vec<String>,
            #[arg(long, hide_env_values = true)]
            password: Option<String>,
        }
        let told = |arguments: &[&str]| {
            let mut command = Config::command();
            let matches =
                command.try_get_matches_from_mut([&["service"], arguments].concat()).expect("right");
            given(&command, &matches)
        };
        assert_eq!(told(&[]), "all defaults");
        let some = ["--password", "secret", "--topics", "a,b", "--listen", "127.0.0.1:2"];
        assert_eq!(told(&some), "--listen=127.0.0.1:2 --topics=a,b --password=…");
    }

    /// Else a load balancer, or a test, sends requests to a port that nobody listens on yet.
    #[tokio::test]
    async fn a_service_is_not_ready_before_it_first_waits() {
        let context = Context::new("test");
        let running = context.run(|Context { readiness: seen, shutdown: stop, .. }| async move {
            assert_eq!(seen.missing(), ["running"], "the port is not bound yet");
            let broker = seen.condition("broker");
            tokio::task::yield_now().await;
            assert_eq!(seen.missing(), ["broker"]);
            broker.set(true);
            assert!(seen.is_ready());
            stop.begin();
            let mut ready = seen.watch();
            ready.wait_for(|ready| !ready).await.expect("the readiness is there");
            17
        });
        assert_eq!(context.readiness.missing(), ["running"], "nobody has polled it yet");
        assert_eq!(running.await, 17);
    }
}
