use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use blackfriday_publish::PublishConfig;
use blackfriday_service::tls::ServerTls;
use blackfriday_service::{ProcessConfig, ServiceConfig, positive};
use blackfriday_telemetry::access::SettingFile;
use clap::Parser;

use crate::error::Error;

/// Takes sales and weather reports over gRPC and publishes them to Kafka.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "blackfriday-writer",
    version,
    after_help = "Example:\n  blackfriday-writer --listen 0.0.0.0:50051 --kafka-brokers kafka:9092"
)]
pub struct Config {
    /// Where gRPC is served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_WRITER_LISTEN",
        default_value = "127.0.0.1:50051"
    )]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_ADMIN_LISTEN",
        default_value = "127.0.0.1:9082"
    )]
    pub admin_listen: SocketAddr,
    /// TLS.
    #[command(flatten)]
    pub tls: Tls,
    /// Limits.
    #[command(flatten)]
    pub limits: Limits,
    /// What is published where.
    #[command(flatten)]
    pub publish: PublishConfig,
    /// The process.
    #[command(flatten)]
    pub process: ProcessConfig,
}

/// TLS with the clients. Without a certificate the writer speaks in the clear.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "TLS")]
pub struct Tls {
    /// The writer's certificate, in PEM, and those between it and its authority: then clients must speak TLS.
    #[arg(
        long,
        value_name = "FILE",
        env = "BLACKFRIDAY_WRITER_SERVER_TLS_CERTIFICATE",
        requires = "tls_key"
    )]
    pub tls_certificate: Option<PathBuf>,
    /// The key of the certificate, in PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "BLACKFRIDAY_WRITER_SERVER_TLS_KEY",
        requires = "tls_certificate"
    )]
    pub tls_key: Option<PathBuf>,
    /// Certificates, in PEM, of the authorities that may vouch for clients: then every other client is refused.
    #[arg(
        long,
        value_name = "FILE",
        env = "BLACKFRIDAY_WRITER_SERVER_TLS_CLIENT_CA",
        requires = "tls_certificate"
    )]
    pub tls_client_ca: Option<PathBuf>,
}

/// What the writer takes at the most.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Open connections; one more is closed.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_WRITER_MAX_CONNECTIONS", default_value_t = 1_024,
          value_parser = positive::<usize>)]
    pub max_connections: usize,
    /// Calls in flight on one connection; more wait.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_WRITER_MAX_STREAMS", default_value_t = 1_024,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_streams: u32,
    /// Calls in flight on all connections; more are refused.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_WRITER_MAX_CALLS", default_value_t = 4_096,
          value_parser = positive::<usize>)]
    pub max_calls: usize,
    /// Sales in one batch call; more are refused.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_WRITER_MAX_BATCH_SALES", default_value_t = 10_000,
          value_parser = positive::<usize>)]
    pub max_batch_sales: usize,
    /// Bytes of one call; more are refused.
    #[arg(long, value_name = "BYTES", env = "BLACKFRIDAY_WRITER_MAX_MESSAGE_BYTES",
          default_value_t = 8 << 20, value_parser = positive::<usize>)]
    pub max_message_bytes: usize,
    /// KiB that all calls hold together: of each call what has arrived of it beyond 16 KiB, and a batch's answer until its
    /// client has taken it; more are refused.
    #[arg(long, value_name = "KIB", env = "BLACKFRIDAY_WRITER_MAX_MESSAGES_KIB", default_value_t = 65_536,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_messages_kib: u32,
    /// Milliseconds for a call that names no deadline of its own.
    #[arg(long, value_name = "MS", env = "BLACKFRIDAY_WRITER_CALL_TIMEOUT_MS", default_value_t = 5_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub call_timeout_ms: u64,
    /// Milliseconds that calls in flight have to finish at a stop.
    #[arg(long, value_name = "MS", env = "BLACKFRIDAY_DRAIN_TIMEOUT_MS", default_value_t = 10_000)]
    pub drain_timeout_ms: u64,
}

impl Tls {
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn server(&self) -> Result<Option<ServerTls>, Error> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else { return Ok(None) };
        let client_ca = self.tls_client_ca.as_deref().map(|path| SettingFile::new("--tls-client-ca", path));
        let certificate = SettingFile::new("--tls-certificate", certificate);
        let key = SettingFile::new("--tls-key", key);
        ServerTls::new(certificate, key, client_ca).map(Some).map_err(Error::Tls)
    }
}

impl Limits {
    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

impl ServiceConfig for Config {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }
}
