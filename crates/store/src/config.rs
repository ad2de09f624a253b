use std::time::Duration;

use blackfriday_event::Bounds;

use crate::access::ValkeyAccess;
use crate::address::{UrlParser, ValkeyUrl};

/// Where Valkey is.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Valkey")]
pub struct ValkeyConfig {
    /// The server, `redis://[user:password@]host:port[/database]`, or the Sentinels that know it,
    /// `redis+sentinel://[user:password@]host:port,host:port/name[/database]`. With `rediss` for `redis` over TLS.
    #[arg(id = "valkey_url", long = "valkey-url", value_name = "URL", env = "BLACKFRIDAY_VALKEY_URL",
          default_value = "redis://127.0.0.1:6379",
          value_parser = UrlParser, hide_env_values = true)]
    pub url: ValkeyUrl,
    /// Put before every key.
    #[arg(
        id = "valkey_key_prefix",
        long = "valkey-key-prefix",
        value_name = "PREFIX",
        env = "BLACKFRIDAY_VALKEY_KEY_PREFIX",
        default_value = ""
    )]
    pub key_prefix: String,
    /// Milliseconds for a connection to be made.
    #[arg(
        id = "valkey_connect_timeout_ms",
        long = "valkey-connect-timeout-ms",
        value_name = "MS",
        env = "BLACKFRIDAY_VALKEY_CONNECT_TIMEOUT_MS",
        default_value_t = 1_000
    )]
    pub connect_timeout_ms: u64,
    /// Milliseconds for an answer.
    #[arg(
        id = "valkey_response_timeout_ms",
        long = "valkey-response-timeout-ms",
        value_name = "MS",
        env = "BLACKFRIDAY_VALKEY_RESPONSE_TIMEOUT_MS",
        default_value_t = 5_000
    )]
    pub response_timeout_ms: u64,
    /// User, passwords and certificates.
    #[command(flatten)]
    pub access: ValkeyAccess,
}

/// How much the store keeps. Part of the meaning of its keys: a store that was begun with other values refuses these (but
/// for the last, which changes nothing that is counted).
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Store")]
pub struct StoreConfig {
    /// Newest price points kept of each category.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_STORE_HISTORY_LEN", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub history_len: u32,
    /// Seconds kept of the series of sales and of prices, counted back from the newest sale.
    #[arg(long, value_name = "S", env = "BLACKFRIDAY_STORE_SERIES_SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub series_seconds: u32,
    /// Seconds that a weather report is kept, from its acceptance.
    #[arg(long, value_name = "S", env = "BLACKFRIDAY_STORE_WEATHER_TTL_S", default_value_t = 86_400,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub weather_ttl_s: u32,
    /// Seconds that price history and both series are kept after the last sale; 0 keeps them. With any other value they are
    /// not verified: what is missing may have expired.
    #[arg(long, value_name = "S", env = "BLACKFRIDAY_STORE_SERIES_TTL_S", default_value_t = 0)]
    pub series_ttl_s: u32,
}

impl ValkeyConfig {
    /// For this server or group, with defaults otherwise.
    ///
    /// # Errors
    /// It is no URL of a server or a group of Sentinels.
    pub fn new(url: &str) -> Result<Self, String> {
        Ok(Self {
            url: ValkeyUrl::parse(url)?,
            key_prefix: String::new(),
            connect_timeout_ms: 1_000,
            response_timeout_ms: 5_000,
            access: ValkeyAccess::default(),
        })
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
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
    pub(crate) fn schema(&self) -> [(&'static str, String); 4] {
        [
            ("version", "3".to_owned()),
            ("history_len", self.history_len.to_string()),
            ("series_seconds", self.series_seconds.to_string()),
            ("weather_ttl_s", self.weather_ttl_s.to_string()),
        ]
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { history_len: 500, series_seconds: 900, weather_ttl_s: 86_400, series_ttl_s: 0 }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let config = ValkeyConfig::new("redis://user:hunter2@valkey:6379/1").expect("a server");
        let printed = format!("{config:?}");
        assert!(!printed.contains("hunter2") && printed.contains("valkey:6379"), "{printed}");
    }

    #[derive(clap::Parser, Debug)]
    struct Arguments {
        #[command(flatten)]
        valkey: ValkeyConfig,
    }

    #[test]
    fn nor_is_it_when_the_url_is_wrong() {
        let arguments = ["program", "--valkey-url", "redis://user:hunter2@valkey:port/1"];
        let error = Arguments::try_parse_from(arguments).expect_err("a wrong port").to_string();
        assert!(!error.contains("hunter2") && error.contains("--valkey-url"), "{error}");
        let right = ["program", "--valkey-url", "valkey://valkey:6380"];
        let url = Arguments::try_parse_from(right).expect("a server").valkey.url;
        assert_eq!(format!("{url:?}"), "redis://valkey:6380/0");
    }

    #[test]
    fn secrets_have_one_source_and_are_not_printed() {
        let with = |more: &[&str]| Arguments::try_parse_from(["program"].iter().chain(more));
        let config = with(&["--valkey-password", "hunter2", "--valkey-sentinel-password", "hunter3"]);
        let printed = format!("{:?}", config.expect("two passwords"));
        assert!(!printed.contains("hunter"), "{printed}");
        let both = with(&["--valkey-password", "hunter2", "--valkey-password-file", "file"]);
        let error = both.expect_err("two sources").to_string();
        assert!(error.contains("--valkey-password-file") && !error.contains("hunter2"), "{error}");
        with(&["--valkey-certificate", "file"]).expect_err("no key");
    }
}
