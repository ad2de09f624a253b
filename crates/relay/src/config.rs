use std::net::SocketAddr;

use blackfriday_intake::{IntakeConfig, WritersConfig};
use blackfriday_service::{HttpLimits, ProcessConfig, ServiceConfig};
use clap::Parser;
use clap::builder::BoolishValueParser;

/// Takes sales and weather reports over REST and hands them to the writers over gRPC.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "blackfriday-relay",
    version,
    after_help = "Example:\n  blackfriday-relay --trust-hops --listen 0.0.0.0:8081 --writer-target writers.blackfriday.svc:50051"
)]
pub struct Config {
    /// Where HTTP is served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_RELAY_LISTEN",
        default_value = "127.0.0.1:8081"
    )]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_ADMIN_LISTEN",
        default_value = "127.0.0.1:9081"
    )]
    pub admin_listen: SocketAddr,
    /// The writers.
    #[command(flatten)]
    pub writers: WritersConfig,
    /// Obey what a hop of ours says about a request: the time that is left (`x-deadline-ms`), and the events' identities,
    /// trace contexts and keys of batches. Only where nobody but a gateway reaches this relay: whoever does could steer
    /// deadlines and sampling. A gateway needs it; without it all of that is ignored.
    #[arg(long, env = "BLACKFRIDAY_RELAY_TRUST_HOPS", default_value_t = false,
          value_parser = BoolishValueParser::new())]
    pub trust_hops: bool,
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

impl ServiceConfig for Config {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }
}
