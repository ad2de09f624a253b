mod weather_redis;

use std::net::SocketAddr;
use std::time::Duration;

use blackfriday_event::Category;
use blackfriday_service::{HttpLimits, ProcessConfig, ServiceConfig};
use blackfriday_store::{StoreConfig, ValkeyConfig};
use clap::Parser;

use crate::currency::Currency;
use crate::names::NamesConfig;

pub use self::weather_redis::WeatherRedis;

/// Shows the counters in Valkey: a live page and a read API.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "blackfriday-dashboard",
    version,
    after_help = "Examples:\n  blackfriday-dashboard --listen 0.0.0.0:8090 --valkey-url redis://valkey:6379 --carnet 202300007\n  \
                  blackfriday-dashboard --workload friday.toml --currency GTQ"
)]
pub struct Config {
    /// Where HTTP is served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_DASHBOARD_LISTEN",
        default_value = "127.0.0.1:8090"
    )]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_ADMIN_LISTEN",
        default_value = "127.0.0.1:9084"
    )]
    pub admin_listen: SocketAddr,
    /// A student ID: its last digit chooses the category that the page opens on (0–2 Electronica, 3–5 Ropa, 6–7 Hogar,
    /// 8–9 Belleza).
    #[arg(long, value_name = "ID", env = "BLACKFRIDAY_DASHBOARD_CARNET", value_parser = carnet,
          conflicts_with = "category")]
    pub carnet: Option<Category>,
    /// The category that the page opens on.
    #[arg(long, value_name = "CATEGORY", env = "BLACKFRIDAY_DASHBOARD_CATEGORY", value_parser = category)]
    pub category: Option<Category>,
    /// Milliseconds between two reads of the store for event streams, while somebody looks.
    #[arg(long, value_name = "MS", env = "BLACKFRIDAY_DASHBOARD_POLL_INTERVAL_MS", default_value_t = 250,
          value_parser = clap::value_parser!(u64).range(20..))]
    pub poll_interval_ms: u64,
    /// Open event streams; one more is answered with 503.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_DASHBOARD_MAX_STREAMS", default_value_t = 256)]
    pub max_streams: usize,
    /// Open event streams of one client; one more is answered with 429. A client is the address that connects (of IPv6 its
    /// /64): behind a proxy all viewers are one client, so raise it there to the number of all streams.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_DASHBOARD_MAX_STREAMS_PER_ADDRESS", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_streams_per_address: u32,
    /// Products in a ranking.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_DASHBOARD_TOP", default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: u16,
    /// The currency of all amounts, an ISO 4217 code such as GTQ: shown on the page, and told in the API. Without it amounts
    /// have no unit.
    #[arg(long, env = "BLACKFRIDAY_DASHBOARD_CURRENCY", value_name = "CODE")]
    pub currency: Option<Currency>,
    /// Where Grafana is, for a link on the page: an `http://` or `https://` address. Without it there is no link.
    #[arg(long, env = "BLACKFRIDAY_DASHBOARD_GRAFANA_URL", value_name = "URL", value_parser = web_address)]
    pub grafana_url: Option<String>,
    /// Names of products.
    #[command(flatten)]
    pub names: NamesConfig,
    /// Valkey.
    #[command(flatten)]
    pub valkey: ValkeyConfig,
    /// The second store of weather.
    #[command(flatten)]
    pub weather_redis: WeatherRedis,
    /// What is kept.
    #[command(flatten)]
    pub store: StoreConfig,
    /// Limits of HTTP.
    #[command(flatten)]
    pub limits: HttpLimits,
    /// The process.
    #[command(flatten)]
    pub process: ProcessConfig,
}

impl Config {
    /// The category that the page opens on.
    pub(crate) fn opening(&self) -> Category {
        self.carnet.or(self.category).unwrap_or(Category::Electronica)
    }

    pub(crate) fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
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

/// The category that the page opens on for a student ID, by its last digit: 0–2 Electronica, 3–5 Ropa, 6–7 Hogar,
/// 8–9 Belleza. `None` if the text does not end in a digit.
pub fn category_of_student_id(student_id: &str) -> Option<Category> {
    match student_id.trim().chars().last()?.to_digit(10)? {
        0..=2 => Some(Category::Electronica),
        3..=5 => Some(Category::Ropa),
        6..=7 => Some(Category::Hogar),
        _ => Some(Category::Belleza),
    }
}

fn carnet(text: &str) -> Result<Category, String> {
    category_of_student_id(text).ok_or_else(|| "must end in a digit".to_owned())
}

/// The page has it in an attribute.
fn web_address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_address = rest.is_some_and(|rest| {
        let starts = rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
        starts && rest.chars().all(|char| char.is_ascii_graphic() && !"\"'<>`\\".contains(char))
    });
    let wrong = || "must be an address such as https://grafana.example/".to_owned();
    if is_address { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn category(text: &str) -> Result<Category, String> {
    Category::parse(text).map_err(|error| error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_ids_choose_by_their_last_digit() {
        let of = |id: &str| category_of_student_id(id);
        assert_eq!(of("202300000"), Some(Category::Electronica));
        assert_eq!(of("202300002"), Some(Category::Electronica));
        assert_eq!(of("202300003"), Some(Category::Ropa));
        assert_eq!(of("202300005"), Some(Category::Ropa));
        assert_eq!(of("202300006"), Some(Category::Hogar));
        assert_eq!(of("202300007"), Some(Category::Hogar));
        assert_eq!(of("202300008"), Some(Category::Belleza));
        assert_eq!(of("202300009"), Some(Category::Belleza));
        assert_eq!(of(""), None);
        assert_eq!(of("20230000x"), None);
    }

    #[test]
    fn an_address_is_one_of_the_web() {
        for right in
            ["http://127.0.0.1:3000", "https://grafana.example/d/black-friday?a=1&b=2", "http://[::1]:3000/"]
        {
            assert_eq!(web_address(right).as_deref(), Ok(right));
        }
        for wrong in [
            "",
            "grafana",
            "javascript:alert(1)",
            "http://",
            "https:///d",
            "http://a\"b",
            "http://a b",
            "http://a<b",
        ] {
            assert!(web_address(wrong).is_err(), "{wrong}");
        }
    }
}
