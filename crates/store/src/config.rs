use std::fmt;
use std::time::Duration;

use blackfriday_event::Bounds;
use url::Url;

/// Where Valkey is.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Valkey")]
pub struct ValkeyConfig {
    /// The server, `redis://[user:password@]host:port[/database]`.
    #[arg(id = "valkey_url", long = "valkey-url", env = "BLACKFRIDAY_VALKEY_URL", default_value = "redis://127.0.0.1:6379",
          value_parser = server_url, hide_env_values = true)]
    pub url: Url,
    /// Put before every key.
    #[arg(
        id = "valkey_key_prefix",
        long = "valkey-key-prefix",
        env = "BLACKFRIDAY_VALKEY_KEY_PREFIX",
        default_value = ""
    )]
    pub key_prefix: String,
    /// Milliseconds for a connection to be made.
    #[arg(
        id = "valkey_connect_timeout_ms",
        long = "valkey-connect-timeout-ms",
        env = "BLACKFRIDAY_VALKEY_CONNECT_TIMEOUT_MS",
        default_value_t = 2_000
    )]
    pub connect_timeout_ms: u64,
    /// Milliseconds for an answer.
    #[arg(
        id = "valkey_response_timeout_ms",
        long = "valkey-response-timeout-ms",
        env = "BLACKFRIDAY_VALKEY_RESPONSE_TIMEOUT_MS",
        default_value_t = 5_000
    )]
    pub response_timeout_ms: u64,
}

/// How much the store keeps. Part of the meaning of its keys: a store that was begun with other values refuses these.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Store")]
pub struct StoreConfig {
    /// Newest price points kept of each category.
    #[arg(long, env = "BLACKFRIDAY_STORE_HISTORY_LEN", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub history_len: u32,
    /// Seconds of the sales-per-second series kept, counted back from the newest sale.
    #[arg(long, env = "BLACKFRIDAY_STORE_SERIES_SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub series_seconds: u32,
    /// Seconds that a weather report is kept, from its acceptance.
    #[arg(long, env = "BLACKFRIDAY_STORE_WEATHER_TTL_S", default_value_t = 86_400,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub weather_ttl_s: u32,
    /// Seconds that price history and series are kept after the last sale; 0 keeps them.
    #[arg(long, env = "BLACKFRIDAY_STORE_SERIES_TTL_S", default_value_t = 0)]
    pub series_ttl_s: u32,
}

impl ValkeyConfig {
    /// For this server, with defaults otherwise.
    ///
    /// # Errors
    /// It is no URL of a server.
    pub fn new(url: &str) -> Result<Self, String> {
        Ok(Self {
            url: server_url(url)?,
            key_prefix: String::new(),
            connect_timeout_ms: 2_000,
            response_timeout_ms: 5_000,
        })
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }
}

impl fmt::Debug for ValkeyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        if url.password().is_some() {
            // A URL that has a password can have another.
            url.set_password(Some("***")).ok();
        }
        f.debug_struct("ValkeyConfig")
            .field("url", &url.as_str())
            .field("key_prefix", &self.key_prefix)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("response_timeout_ms", &self.response_timeout_ms)
            .finish()
    }
}

impl StoreConfig {
    /// The bounds that tallies for this store must have.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            history_len: usize::try_from(self.history_len).unwrap_or(usize::MAX),
            series_seconds: self.series_seconds.into(),
        }
    }

    /// What the store remembers of the bounds.
    pub(crate) fn schema(&self) -> String {
        let Self { history_len, series_seconds, weather_ttl_s, .. } = self;
        format!(
            "version=1 history_len={history_len} series_seconds={series_seconds} weather_ttl_s={weather_ttl_s}"
        )
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { history_len: 500, series_seconds: 900, weather_ttl_s: 86_400, series_ttl_s: 0 }
    }
}

fn server_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match (url.scheme(), url.host_str()) {
        ("redis" | "valkey", Some(host)) if !host.is_empty() => Ok(url),
        _ => Err("must be redis://[user:password@]host:port[/database]".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let config = ValkeyConfig::new("redis://user:hunter2@valkey:6379/1").expect("a server");
        let printed = format!("{config:?}");
        assert!(!printed.contains("hunter2") && printed.contains("valkey:6379"), "{printed}");
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in ["", "valkey:6379", "http://valkey", "redis://"] {
            assert!(ValkeyConfig::new(text).is_err(), "{text}");
        }
    }
}
