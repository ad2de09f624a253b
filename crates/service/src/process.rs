//! The life of a process, from its arguments to its exit code.
//!
//! Invariant: whatever ends a service, readiness is false before it stops, the last spans are sent, and the exit code says
//! whether the configuration, the surroundings or a defect was the cause (sysexits.h).

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;

use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::{TelemetryConfig, TelemetryGuard};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Parser};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::admin;
use crate::bind::{BindError, bind};
use crate::readiness::{Condition, Readiness};
use crate::shutdown::{Shutdown, signals};

/// Exit codes of sysexits.h.
const EX_USAGE: u8 = 64;
const EX_UNAVAILABLE: u8 = 69;
const EX_SOFTWARE: u8 = 70;

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

/// Why a process ends with another exit code than 0.
#[derive(Debug)]
pub enum Failure {
    /// 64: the configuration cannot work.
    Configuration(Box<dyn Error + Send + Sync>),
    /// 69: something that is needed at the start is not there.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// 70: anything else.
    Internal(Box<dyn Error + Send + Sync>),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => EX_USAGE,
            Self::Unavailable(_) => EX_UNAVAILABLE,
            Self::Internal(_) => EX_SOFTWARE,
        }
    }

    fn cause(&self) -> &(dyn Error + 'static) {
        let (Self::Configuration(cause) | Self::Unavailable(cause) | Self::Internal(cause)) = self;
        cause.as_ref()
    }
}

/// A service's own port is said by `--listen`.
impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::Unavailable(Box::new(error.by("--listen")))
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
    let threads = config.process().worker_threads.map_or_else(half_of_the_cores, usize::from);
    match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
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

fn half_of_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// A service whose allocator gets huge pages has 2 MiB resident for each that it touches: several MiB more when it is idle.
/// What was touched before stays as it is.
#[cfg(target_os = "linux")]
fn use_small_pages() {
    // Where this is not allowed it takes more memory, and nothing else.
    rustix::thread::disable_transparent_huge_pages(true).ok();
}

#[cfg(not(target_os = "linux"))]
fn use_small_pages() {}

/// Raises the soft limit of open files to the hard one: each connection takes one.
pub fn raise_fd_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

async fn flush(telemetry: TelemetryGuard) {
    // The exporter's shutdown blocks until its own thread or task is done.
    if let Err(error) = tokio::task::spawn_blocking(|| telemetry.shutdown()).await {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

fn end(ended: Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let cause = failure.cause();
            tracing::error!(error = chain(cause), "failed");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Before there are log lines.
fn end_untold(failure: Failure) -> ExitCode {
    // A closed standard error cannot be reported anywhere.
    writeln!(std::io::stderr(), "error: {}", chain(failure.cause())).ok();
    ExitCode::from(failure.exit_code())
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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

    #[test]
    fn a_port_that_is_taken_is_told_with_its_flag() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let told = |flag| runtime.block_on(async { bind(address).expect_err("taken").by(flag) });
        let admin = chain(Failure::from(told("--admin-listen")).cause());
        let begin = format!("cannot listen on {address}, as --admin-listen says: ");
        assert!(admin.starts_with(&begin), "{admin}");
        let own = runtime.block_on(async { bind(address).expect_err("taken") });
        assert!(chain(Failure::from(own).cause()).contains("as --listen says"));
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
