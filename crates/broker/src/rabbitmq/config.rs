use super::security::RabbitMqSecurity;

/// Where RabbitMQ is.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "RabbitMQ")]
pub struct RabbitMqConfig {
    /// Servers that are asked where the streams are, `host:port`, separated by commas. The port is that of the stream protocol:
    /// 5552, or 5551 with TLS.
    #[arg(
        id = "rabbitmq_servers",
        long = "rabbitmq-servers",
        value_name = "HOST:PORT,…",
        env = "BLACKFRIDAY_RABBITMQ_SERVERS",
        default_value = "127.0.0.1:5552"
    )]
    pub servers: String,
    /// The virtual host that the streams are in.
    #[arg(
        id = "rabbitmq_vhost",
        long = "rabbitmq-vhost",
        value_name = "NAME",
        env = "BLACKFRIDAY_RABBITMQ_VHOST",
        default_value = "/"
    )]
    pub vhost: String,
    /// How we log in to RabbitMQ.
    #[command(flatten)]
    pub security: RabbitMqSecurity,
}

/// How records are sent to RabbitMQ.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "RabbitMQ producer")]
#[group(id = "RabbitMqProducerConfig")]
pub struct ProducerConfig {
    /// Records on their way to RabbitMQ; one more is refused.
    #[arg(id = "rabbitmq_queue_max_records", long = "rabbitmq-queue-max-records", value_name = "N",
          env = "BLACKFRIDAY_RABBITMQ_QUEUE_MAX_RECORDS", default_value_t = 200_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub queue_max_records: u32,
    /// KiB on their way to RabbitMQ; more are refused.
    #[arg(id = "rabbitmq_queue_max_kib", long = "rabbitmq-queue-max-kib", value_name = "KIB",
          env = "BLACKFRIDAY_RABBITMQ_QUEUE_MAX_KIB", default_value_t = 65_536,
          value_parser = clap::value_parser!(u32).range(1..=2_097_151))]
    pub queue_max_kib: u32,
    /// Bytes of a record; a larger one is refused. It also has to fit into one frame, which by the server's default has 1 MiB.
    #[arg(skip = 1_000_000_u32)]
    pub record_max_bytes: u32,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self { queue_max_records: 200_000, queue_max_kib: 65_536, record_max_bytes: 1_000_000 }
    }
}

impl Default for RabbitMqConfig {
    fn default() -> Self {
        Self::new("127.0.0.1:5552")
    }
}

impl RabbitMqConfig {
    /// For these servers, as the user that a new server has on its own machine.
    pub fn new(servers: impl Into<String>) -> Self {
        Self { servers: servers.into(), vhost: "/".to_owned(), security: RabbitMqSecurity::default() }
    }

    /// The servers, one by one.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.servers.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
    }
}
