use std::str::FromStr;
use std::time::Duration;

/// Past the request timeout: what a route may take to tell its own timeout better than the connection can.
const GRACE: Duration = Duration::from_millis(500);

/// What one HTTP server takes at the most.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "HTTP limits")]
pub struct HttpLimits {
    /// Open connections; one more is answered with 503 and closed.
    #[arg(long = "http-max-connections", value_name = "N", env = "BLACKFRIDAY_HTTP_MAX_CONNECTIONS",
          default_value_t = 8192,
          value_parser = positive::<usize>)]
    pub max_connections: usize,
    /// Requests in flight; one more is answered with 429.
    #[arg(long = "http-max-in-flight", value_name = "N", env = "BLACKFRIDAY_HTTP_MAX_IN_FLIGHT",
          default_value_t = 4096,
          value_parser = positive::<usize>)]
    pub max_in_flight: usize,
    /// Bytes of a body; one more is answered with 413.
    #[arg(long = "http-max-body-bytes", value_name = "BYTES", env = "BLACKFRIDAY_HTTP_MAX_BODY_BYTES",
          default_value_t = 8 << 20,
          value_parser = positive::<usize>)]
    pub max_body_bytes: usize,
    /// Milliseconds for the head of a request, counted from its first byte; then the connection is closed.
    #[arg(long = "http-header-read-timeout-ms", value_name = "MS",
          env = "BLACKFRIDAY_HTTP_HEADER_READ_TIMEOUT_MS",
          default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub header_read_timeout_ms: u64,
    /// Milliseconds without a request until a connection is closed. Longer than a load balancer keeps its own (600 s at
    /// Google's, 60 s at ingress-nginx), which else sends a request into a connection that is being closed. While three
    /// quarters of the connections are taken, the header read time-out applies instead.
    #[arg(long = "http-idle-timeout-ms", value_name = "MS", env = "BLACKFRIDAY_HTTP_IDLE_TIMEOUT_MS",
          default_value_t = 620_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub idle_timeout_ms: u64,
    /// Milliseconds in which a client has to take 16 KiB of its answer, or the rest of it; then the connection is closed.
    #[arg(long = "http-write-timeout-ms", value_name = "MS", env = "BLACKFRIDAY_HTTP_WRITE_TIMEOUT_MS",
          default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub write_timeout_ms: u64,
    /// Milliseconds between two parts of a body; then the request is answered with 408.
    #[arg(long = "http-body-stall-timeout-ms", value_name = "MS",
          env = "BLACKFRIDAY_HTTP_BODY_STALL_TIMEOUT_MS",
          default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub body_stall_timeout_ms: u64,
    /// Milliseconds from the head of a request to its answer, the body's arrival included.
    #[arg(long = "http-request-timeout-ms", value_name = "MS", env = "BLACKFRIDAY_HTTP_REQUEST_TIMEOUT_MS",
          default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub request_timeout_ms: u64,
    /// Milliseconds that requests in flight have to finish at a stop.
    #[arg(
        long = "drain-timeout-ms",
        value_name = "MS",
        env = "BLACKFRIDAY_DRAIN_TIMEOUT_MS",
        default_value_t = 10_000
    )]
    pub drain_timeout_ms: u64,
}

impl HttpLimits {
    /// From the head of a request to its answer.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// For requests in flight at a stop.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }

    /// Between two parts of a body.
    pub fn body_stall_timeout(&self) -> Duration {
        Duration::from_millis(self.body_stall_timeout_ms)
    }

    /// From the head of a request until it is answered for its route.
    pub(crate) fn answer_timeout(&self) -> Duration {
        self.request_timeout() + GRACE
    }

    pub(crate) fn header_read_timeout(&self) -> Duration {
        Duration::from_millis(self.header_read_timeout_ms)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            max_in_flight: 4096,
            max_body_bytes: 8 << 20,
            header_read_timeout_ms: 30_000,
            idle_timeout_ms: 620_000,
            write_timeout_ms: 10_000,
            body_stall_timeout_ms: 2_000,
            request_timeout_ms: 5_000,
            drain_timeout_ms: 10_000,
        }
    }
}

/// The value of an argument: a whole number above 0.
///
/// # Errors
/// It is another text.
pub fn positive<N: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<N, String> {
    let number = text.parse().ok().filter(|number| *number > N::from(0));
    number.ok_or_else(|| "must be a whole number above 0".to_owned())
}
