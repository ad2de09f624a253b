use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_event::SaleDraft;
use blackfriday_workload::{Arrivals, Traffic};

use super::{Arguments, Pace};

/// One sale a request, or many.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `POST /venta`.
    Venta,
    /// `POST /ventas`.
    Ventas,
}

/// What is to be sent, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) route: Route,
    /// Sales in one request.
    pub(crate) batch: u64,
    pub(crate) pace: Pace,
    pub(crate) connections: u64,
    pub(crate) max_sales: Option<u64>,
    pub(crate) duration: Option<Duration>,
    pub(crate) traffic: Traffic,
    pub(crate) receipts: Option<PathBuf>,
    /// Prefix of idempotency keys, new for each run: another run's sales are other sales.
    pub(crate) key_prefix: Option<String>,
    pub(crate) retries: u32,
    pub(crate) timeout: Duration,
    /// Sales accepted so far, for progress bars.
    pub(crate) accepted: Arc<AtomicU64>,
}

impl Plan {
    pub(crate) fn new(arguments: Arguments, traffic: Traffic) -> Result<Self> {
        let url = &arguments.url;
        ensure!(url.scheme() == "http", "{url}: the gateway is reached by http://host:port");
        let address = url.socket_addrs(|| Some(80)).with_context(|| format!("look up {url}"))?;
        let address = *address.first().with_context(|| format!("{url} has no address"))?;
        let batch = if arguments.route == Route::Venta { 1 } else { arguments.batch_size };
        let duration = match (arguments.duration, arguments.sales) {
            (None, None) => Some(Duration::from_secs(10)),
            (duration, _) => duration,
        };
        let pace = match arguments.rate {
            None => Pace::Closed,
            Some(rate) if arguments.curve => {
                let seconds = |sales: u64| Duration::from_secs_f64(sales as f64 / rate as f64);
                let length = arguments.sales.map(seconds).or(duration).unwrap_or_default();
                Pace::Curve {
                    length,
                    requests: requests(length, rate, batch),
                    curve: traffic.workload().arrivals.clone(),
                }
            }
            Some(rate) => Pace::Rate { per_second: rate as f64 / batch as f64 },
        };
        let traffic = Traffic::new(traffic.workload().clone(), arguments.seed);
        Ok(Self {
            address,
            host: url.authority().to_owned(),
            route: arguments.route,
            batch,
            pace,
            connections: arguments.connections,
            max_sales: arguments.sales,
            duration,
            traffic,
            receipts: arguments.receipts,
            key_prefix: arguments.idempotency.then(|| uuid::Uuid::now_v7().simple().to_string()),
            retries: arguments.retries,
            timeout: arguments.timeout,
            accepted: Arc::default(),
        })
    }

    /// A sale of this length that follows the traffic's arrival curve, for the demo.
    pub(crate) fn flash_sale(
        address: SocketAddr,
        traffic: Traffic,
        sales: u64,
        length: Duration,
        receipts: PathBuf,
    ) -> Self {
        let curve: Arrivals = traffic.workload().arrivals.clone();
        Self {
            address,
            host: address.to_string(),
            route: Route::Venta,
            batch: 1,
            pace: Pace::Curve { length, requests: sales, curve },
            connections: 256,
            max_sales: Some(sales),
            duration: None,
            traffic,
            receipts: Some(receipts),
            key_prefix: None,
            retries: 0,
            timeout: Duration::from_secs(10),
            accepted: Arc::default(),
        }
    }

    /// What a receipts file says of its run.
    pub(crate) fn about(&self) -> serde_json::Value {
        serde_json::json!({
            "url": format!("http://{}", self.host),
            "seed": self.traffic.seed(),
            "workload": self.traffic.workload().digest(),
        })
    }

    pub(crate) fn path(&self) -> &'static str {
        match self.route {
            Route::Venta => "/venta",
            Route::Ventas => "/ventas",
        }
    }

    /// The body of a request, with sales `first …` of the traffic.
    pub(crate) fn body(&self, first: u64, count: u64) -> String {
        let mut body = String::with_capacity(100 * usize::try_from(count).unwrap_or(1));
        if self.route == Route::Venta {
            write_sale(&mut body, &self.traffic.sale(first));
            return body;
        }
        body.push('[');
        for at in 0..count {
            if at > 0 {
                body.push(',');
            }
            write_sale(&mut body, &self.traffic.sale(first + at));
        }
        body.push(']');
        body
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact beyond 2^53")]
fn requests(length: Duration, rate: u64, batch: u64) -> u64 {
    (length.as_secs_f64() * rate as f64 / batch as f64).round().max(1.0) as u64
}

fn write_sale(body: &mut String, sale: &SaleDraft) {
    let product = serde_json::to_string(sale.product_id.as_str()).unwrap_or_default();
    let (category, price, units) = (sale.category, sale.price, sale.quantity.units());
    write!(
        body,
        "{{\"categoria\":\"{category}\",\"producto_id\":{product},\"precio\":{price},\"cantidad_vendida\":{units}}}"
    )
    .expect("writing into a String cannot fail");
}
