use std::path::PathBuf;
use std::time::Duration;

use blackfriday_service::positive;
use url::Url;

use crate::request::Route;
use crate::source::SourceArguments;

/// Sends sales or weather reports to a gateway.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday load --url http://127.0.0.1:8080 --rate 2000 --duration 30s --receipts run.receipts\n  \
    blackfriday load --url http://127.0.0.1:8080 --route ventas --batch-size 500 --connections 8 --sales 1000000\n  \
    blackfriday load --url http://127.0.0.1:8080 --route input --rate 200 --reports 3000 --receipts weather.receipts\n\n\
    Exit code 0 if everything was accepted, 1 if not, 64 for wrong arguments, 69 if the gateway cannot be reached.\n\
    Ctrl-C ends the load early; the receipts and the table are complete for what was sent.")]
pub struct Arguments {
    /// The gateway.
    #[arg(
        long,
        value_name = "URL",
        env = "BLACKFRIDAY_GATEWAY_URL",
        default_value = "http://127.0.0.1:8080",
        value_parser = gateway_url
    )]
    pub(crate) url: Url,
    /// Where to, and so what: one sale a request, many sales, or one weather report.
    #[arg(long, value_name = "ROUTE", value_enum, default_value_t = Route::Venta)]
    pub(crate) route: Route,
    /// Sales in one request of `--route ventas`.
    #[arg(long, value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) batch_size: u64,
    /// Sales or weather reports per second, whatever the answers (open loop); without it as many as are answered (closed loop).
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    pub(crate) rate: Option<u64>,
    /// Let the rate follow the workload's arrival curve, with `--rate` as its mean.
    #[arg(long, requires = "rate")]
    pub(crate) curve: bool,
    /// Connections, each with one request at a time.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=20_000))]
    pub(crate) connections: u64,
    /// Stop after this many sales or weather reports.
    #[arg(long = "sales", value_name = "N", visible_alias = "reports", value_parser = positive::<u64>)]
    pub(crate) events: Option<u64>,
    /// Stop after this time; 10 s if neither this nor `--sales` is given. With `--rate`, what no connection was free for
    /// is sent late, for the time of one answer at the most.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Seed of the traffic; the workload's own without it.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Write what each event was answered with to this file, for `blackfriday verify`.
    #[arg(long, value_name = "FILE")]
    pub(crate) receipts: Option<PathBuf>,
    /// Send an `Idempotency-Key` with each request.
    #[arg(long)]
    pub(crate) idempotency: bool,
    /// Send a request again that was refused for now or not answered, this often at the most. Needs `--idempotency`.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "idempotency")]
    pub(crate) retries: u32,
    /// Time for one request: the connection, if one has to be made, the sending, and the whole answer.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

fn gateway_url(text: &str) -> Result<Url, String> {
    if !text.contains("://") {
        return Err(format!("must begin with its scheme: http://{text}"));
    }
    text.parse::<Url>().map_err(|error| format!("must be http://host:port: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_without_a_scheme_is_told_what_it_lacks() {
        for lacking in ["127.0.0.1:8080", "localhost:8080", "gateway"] {
            let told = gateway_url(lacking).expect_err(lacking);
            assert!(told.ends_with(&format!("http://{lacking}")), "{told}");
        }
        gateway_url("http://:8080").expect_err("it has no host");
        assert_eq!(gateway_url("http://[::1]:8080").expect("right").port(), Some(8080));
    }
}
