use std::net::SocketAddr;

use blackfriday_intake::{IntakeConfig, WritersConfig};
use blackfriday_publish::PublishConfig;
use blackfriday_service::{HttpLimits, ProcessConfig, ServiceConfig};
use clap::Parser;
use url::Url;

use crate::catalogue::CatalogueConfig;

/// Takes sales and weather reports over HTTP.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "blackfriday-gateway",
    version,
    after_help = "Examples:\n  blackfriday-gateway --listen 0.0.0.0:8080 --relay-url http://relay:8081\n  \
                  blackfriday-gateway --upstream writer --writer-target writers.blackfriday.svc:50051\n  \
                  blackfriday-gateway --upstream log --kafka-brokers kafka:9092\n  \
                  blackfriday-gateway --catalogue friday.toml"
)]
pub struct Config {
    /// Where HTTP is served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_GATEWAY_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_ADMIN_LISTEN",
        default_value = "127.0.0.1:9080"
    )]
    pub admin_listen: SocketAddr,
    /// Where events go: to the relay over REST, straight to the writers over gRPC, or straight into the event log.
    #[arg(long, value_name = "HOP", env = "BLACKFRIDAY_GATEWAY_UPSTREAM", value_enum,
          default_value_t = UpstreamKind::Relay)]
    pub upstream: UpstreamKind,
    /// The relay, used with `--upstream relay`.
    #[arg(long, value_name = "URL", env = "BLACKFRIDAY_RELAY_URL", default_value = "http://127.0.0.1:8081")]
    pub relay_url: Url,
    /// The writers, used with `--upstream writer`.
    #[command(flatten)]
    pub writers: WritersConfig,
    /// What is published where, used with `--upstream log`.
    #[command(flatten)]
    pub publish: PublishConfig,
    /// What may be sold.
    #[command(flatten)]
    pub catalogue: CatalogueConfig,
    /// Intake.
    #[command(flatten)]
    pub intake: IntakeConfig,
    /// Limits of HTTP.
    #[command(flatten)]
    pub limits: HttpLimits,
    /// The process.
    #[command(flatten)]
    pub process: ProcessConfig,
}

/// Where events go.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamKind {
    /// To the relay, over REST.
    Relay,
    /// To the writers, over gRPC.
    Writer,
    /// Into the event log: this process does what a writer does.
    Log,
}

impl ServiceConfig for Config {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }
}
