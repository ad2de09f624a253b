//! The flags of a second server. They are not those of `ValkeyConfig` under another name: clap's derive makes names at compile
//! time, and what the two servers have in common (key prefix, timeouts) is given once.

use std::path::PathBuf;

use blackfriday_store::{SettingNames, UrlParser, ValkeyAccess, ValkeyConfig, ValkeyUrl};
use blackfriday_telemetry::access::Secret;

const NAMES: SettingNames = SettingNames {
    username: "--weather-redis-username",
    sentinel_username: "--weather-redis-username",
    password: "--weather-redis-password-file",
    sentinel_password: "--weather-redis-password-file",
    ca: "--weather-redis-ca",
    certificate: "--weather-redis-certificate",
    key: "--weather-redis-key",
};

/// The second store of weather reports, which is shown next to Valkey's. Key prefix and timeouts are as for Valkey.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Redis")]
pub struct WeatherRedis {
    /// The Redis that counts the other log's weather reports, written as Valkey's address. Without it the page shows
    /// Valkey's alone.
    #[arg(id = "weather_redis_url", long = "weather-redis-url", value_name = "URL",
          env = "BLACKFRIDAY_WEATHER_REDIS_URL",
          value_parser = UrlParser, hide_env_values = true)]
    pub url: Option<ValkeyUrl>,
    /// The user; wins over the URL's.
    #[arg(
        id = "weather_redis_username",
        long = "weather-redis-username",
        value_name = "NAME",
        env = "BLACKFRIDAY_WEATHER_REDIS_USERNAME"
    )]
    pub username: Option<String>,
    /// The user's password; wins over the URL's. Better the variable or a file: everybody on the machine sees arguments.
    #[arg(
        id = "weather_redis_password",
        long = "weather-redis-password",
        value_name = "PASSWORD",
        env = "BLACKFRIDAY_WEATHER_REDIS_PASSWORD",
        hide_env_values = true,
        conflicts_with = "weather_redis_password_file"
    )]
    pub password: Option<Secret>,
    /// A file whose first line is the user's password.
    #[arg(
        id = "weather_redis_password_file",
        long = "weather-redis-password-file",
        value_name = "FILE",
        env = "BLACKFRIDAY_WEATHER_REDIS_PASSWORD_FILE"
    )]
    pub password_file: Option<PathBuf>,
    /// Certificates, in PEM, of the authorities that may vouch for Redis; without it the system's.
    #[arg(
        id = "weather_redis_ca",
        long = "weather-redis-ca",
        value_name = "FILE",
        env = "BLACKFRIDAY_WEATHER_REDIS_CA"
    )]
    pub ca: Option<PathBuf>,
    /// Our own certificate, in PEM.
    #[arg(
        id = "weather_redis_certificate",
        long = "weather-redis-certificate",
        value_name = "FILE",
        env = "BLACKFRIDAY_WEATHER_REDIS_CERTIFICATE",
        requires = "weather_redis_key"
    )]
    pub certificate: Option<PathBuf>,
    /// The key of our certificate, in PEM.
    #[arg(
        id = "weather_redis_key",
        long = "weather-redis-key",
        value_name = "FILE",
        env = "BLACKFRIDAY_WEATHER_REDIS_KEY",
        requires = "weather_redis_certificate"
    )]
    pub key: Option<PathBuf>,
}

impl WeatherRedis {
    /// The server, if one is named; the rest as for `valkey`.
    pub(crate) fn server(&self, valkey: &ValkeyConfig) -> Option<ValkeyConfig> {
        let Self { url, username, password, password_file, ca, certificate, key } = self.clone();
        let access = ValkeyAccess {
            username,
            password,
            password_file,
            ca,
            certificate,
            key,
            names: NAMES,
            ..ValkeyAccess::default()
        };
        Some(ValkeyConfig { url: url?, access, ..valkey.clone() })
    }
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn errors_name_flags_that_there_are() {
        let command = WeatherRedis::augment_args(clap::Command::new("dashboard"));
        let SettingNames { username, sentinel_username, password, sentinel_password, ca, certificate, key } =
            NAMES;
        for name in [username, sentinel_username, password, sentinel_password, ca, certificate, key] {
            let is_there = |flag: &clap::Arg| flag.get_long().is_some_and(|long| name == format!("--{long}"));
            assert!(command.get_arguments().any(is_there), "{name}");
        }
    }
}
