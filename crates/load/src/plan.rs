//! What a load sends, computed before the first request: addresses, pace, keys, bodies.
//!
//! Sale number `n` of the traffic is in the request whose number follows from `n` and the batch's size, so that any number of
//! connections may take requests and the whole stays the same. With `--idempotency` the plan knows the identity that each
//! request's key gives: a receipt has it even where no answer came.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_event::{EventId, IdempotencyKey, SaleDraft};
use blackfriday_terminal::failure::{Unavailable, Usage};
use blackfriday_terminal::output::grouped;
use blackfriday_workload::{Arrivals, Traffic, Workload};
use url::Url;
use uuid::Uuid;

use crate::arguments::Arguments;
use crate::request::{Pace, Route, Ticket};

/// When neither sales nor duration are given.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// Of a load, so that its last time can be computed: some 136 years.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// What is to be sent, and how.
#[derive(Debug)]
pub struct Plan {
    /// All addresses of the gateway's name, at least one: connections are spread over them.
    pub(crate) addresses: Arc<[SocketAddr]>,
    pub(crate) host: String,
    pub(crate) route: Route,
    /// Sales in one request.
    pub(crate) batch: u64,
    pub(crate) pace: Pace,
    pub(crate) connections: u64,
    /// Sales to send; `u64::MAX` if only the time ends it.
    pub(crate) sales: u64,
    /// No sale is meant to be sent after this time.
    pub(crate) duration: Option<Duration>,
    pub(crate) traffic: Traffic,
    pub(crate) receipts: Option<PathBuf>,
    /// Prefix of idempotency keys, new for each run: another run's sales are other sales.
    pub(crate) key_prefix: Option<String>,
    pub(crate) retries: u32,
    pub(crate) timeout: Duration,
    /// Sales accepted so far, for progress bars.
    pub accepted: Arc<AtomicU64>,
}

impl Plan {
    /// What the arguments say.
    ///
    /// # Errors
    /// They contradict each other, or the gateway's name cannot be looked up.
    pub fn new(arguments: Arguments, workload: Workload) -> Result<Self> {
        let url = &arguments.url;
        let addresses = addresses(url)?;
        let traffic = Traffic::new(workload, arguments.seed);
        let batch = if arguments.route == Route::Venta { 1 } else { arguments.batch_size };
        let duration = match (arguments.duration, arguments.sales) {
            (None, None) => Some(DEFAULT_DURATION),
            (duration, _) => duration.map(|duration| duration.min(LONGEST)),
        };
        let wanted = arguments.sales.unwrap_or(u64::MAX);
        let (pace, sales) = match arguments.rate {
            None => (Pace::Closed, wanted),
            Some(rate) => {
                let sales = duration.map_or(wanted, |duration| wanted.min(sales_in(duration, rate)));
                let curve = arguments.curve.then(|| traffic.workload().arrivals.clone());
                let arrivals = curve.unwrap_or_else(Arrivals::constant);
                (Pace::Open { length: time_of(sales, rate), arrivals }, sales)
            }
        };
        Ok(Self {
            addresses,
            host: url.authority().to_owned(),
            route: arguments.route,
            batch,
            pace,
            connections: arguments.connections,
            sales,
            duration,
            traffic,
            receipts: arguments.receipts,
            key_prefix: arguments.idempotency.then(|| Uuid::now_v7().simple().to_string()),
            retries: arguments.retries,
            timeout: arguments.timeout,
            accepted: Arc::default(),
        })
    }

    /// A sale of this length that follows the traffic's arrival curve, for the demo.
    pub fn flash_sale(
        address: SocketAddr,
        traffic: Traffic,
        sales: u64,
        length: Duration,
        receipts: PathBuf,
    ) -> Self {
        Self {
            addresses: Arc::new([address]),
            host: address.to_string(),
            route: Route::Venta,
            batch: 1,
            pace: Pace::Open { length, arrivals: traffic.workload().arrivals.clone() },
            connections: 256,
            sales,
            duration: None,
            traffic,
            receipts: Some(receipts),
            key_prefix: None,
            retries: 0,
            timeout: Duration::from_secs(10),
            accepted: Arc::default(),
        }
    }

    /// Requests that its sales make.
    pub(crate) fn requests(&self) -> u64 {
        self.sales.div_ceil(self.batch)
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        let Self { host, connections, batch, .. } = self;
        let path = self.path();
        let pace = match &self.pace {
            Pace::Closed => "as fast as it answers".to_owned(),
            Pace::Open { length, .. } => {
                format!("{} sales in {:.1} s", grouped(self.sales), length.as_secs_f64())
            }
        };
        format!(
            "sending to http://{host}{path}, {batch} a request, over {connections} connections, {pace}, seed {}",
            self.traffic.seed()
        )
    }

    /// What a receipts file says of its run.
    pub(crate) fn about(&self) -> serde_json::Value {
        let workload = self.traffic.workload();
        serde_json::json!({
            "url": format!("http://{}", self.host),
            "seed": self.traffic.seed(),
            "workload": workload.digest(),
            "workload_from": workload.pinned(),
        })
    }

    pub(crate) fn path(&self) -> &'static str {
        match self.route {
            Route::Venta => "/venta",
            Route::Ventas => "/ventas",
        }
    }

    /// The key of a request, if it has one.
    pub(crate) fn key(&self, ticket: &Ticket) -> Option<IdempotencyKey> {
        let text = format!("{}-{}", self.key_prefix.as_ref()?, ticket.number);
        Some(IdempotencyKey::new(&text).expect("hexadecimal digits, and a number"))
    }

    /// The identities that a request's key gives to its sales; none without a key.
    pub(crate) fn ids(&self, ticket: &Ticket, sales: &[SaleDraft]) -> Vec<Uuid> {
        let Some(key) = self.key(ticket) else { return Vec::new() };
        if self.route == Route::Venta {
            return vec![EventId::of_key(&key).as_uuid()];
        }
        let mut equal = HashMap::new();
        let of_item = |sale: &SaleDraft| {
            let nth: &mut u32 = equal.entry(sale.digest()).or_default();
            let of_item = IdempotencyKey::of_item(&key, sale.digest(), *nth);
            *nth += 1;
            EventId::of_key(&of_item).as_uuid()
        };
        sales.iter().map(of_item).collect()
    }

    /// What a request sells.
    pub(crate) fn sales_of(&self, ticket: &Ticket) -> Vec<SaleDraft> {
        (ticket.first..ticket.first + ticket.count).map(|number| self.traffic.sale(number)).collect()
    }

    /// The body of a request that sells this.
    pub(crate) fn body(&self, sales: &[SaleDraft]) -> Vec<u8> {
        let mut body = Vec::with_capacity(100 * sales.len());
        if let (Route::Venta, [sale]) = (self.route, sales) {
            write_sale(&mut body, sale);
            return body;
        }
        body.push(b'[');
        for (at, sale) in sales.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            write_sale(&mut body, sale);
        }
        body.push(b']');
        body
    }
}

fn addresses(url: &Url) -> Result<Arc<[SocketAddr]>> {
    if url.scheme() != "http" || url.host().is_none() {
        return Err(Usage(format!("--url {url}: the gateway is reached by http://host:port")).into());
    }
    let mut found = url.socket_addrs(|| Some(80)).with_context(|| Unavailable(format!("look up {url}")))?;
    let mut known = HashSet::new();
    found.retain(|address| known.insert(*address));
    if found.is_empty() {
        return Err(Unavailable(format!("{url} has no address")).into());
    }
    Ok(found.into())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact beyond 2^53")]
fn sales_in(duration: Duration, rate: u64) -> u64 {
    (duration.as_secs_f64() * rate as f64).round().max(1.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact beyond 2^53")]
fn time_of(sales: u64, rate: u64) -> Duration {
    Duration::try_from_secs_f64(sales as f64 / rate as f64).map_or(LONGEST, |length| length.min(LONGEST))
}

fn write_sale(body: &mut Vec<u8>, sale: &SaleDraft) {
    const INFALLIBLE: &str = "writing into a Vec cannot fail";
    let (category, price, units) = (sale.category, sale.price, sale.quantity.units());
    write!(body, "{{\"categoria\":\"{category}\",\"producto_id\":").expect(INFALLIBLE);
    serde_json::to_writer(&mut *body, sale.product_id.as_str()).expect(INFALLIBLE);
    write!(body, ",\"precio\":{price},\"cantidad_vendida\":{units}}}").expect(INFALLIBLE);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::tests::plan;

    #[test]
    fn bodies_are_the_traffic_of_the_seed() {
        let plan = plan(&["--route", "ventas", "--batch-size", "3", "--seed", "5"]).expect("a plan");
        let ticket = Ticket { number: 5, first: 10, count: 3 };
        assert_eq!(plan.key(&ticket), None);
        let body: Value = serde_json::from_slice(&plan.body(&plan.sales_of(&ticket))).expect("JSON");
        let sales = Traffic::new(Workload::black_friday(), Some(5));
        for (at, found) in (10..).zip(body.as_array().expect("an array")) {
            let sale = sales.sale(at);
            assert_eq!(found["categoria"], sale.category.name());
            assert_eq!(found["producto_id"], sale.product_id.as_str());
            assert_eq!(found["precio"], sale.price.to_f64());
            assert_eq!(found["cantidad_vendida"], sale.quantity.units());
        }
        assert_eq!(body.as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn rate_duration_and_sales_bound_each_other() {
        let sales = |arguments: &[&str]| plan(arguments).expect("a plan").sales;
        assert_eq!(sales(&["--rate", "200"]), 2000, "ten seconds unless told otherwise");
        assert_eq!(sales(&["--rate", "200", "--duration", "3s"]), 600);
        assert_eq!(sales(&["--rate", "200", "--duration", "3s", "--sales", "50"]), 50);
        assert_eq!(sales(&["--rate", "200", "--sales", "5000"]), 5000);
        assert_eq!(sales(&["--duration", "3s"]), u64::MAX);
        let batches = plan(&["--route", "ventas", "--batch-size", "500", "--sales", "1001"]).expect("a plan");
        assert_eq!(batches.requests(), 3);
    }

    #[test]
    fn what_cannot_be_is_told_as_wrong_usage() {
        let error = plan(&["--url", "https://127.0.0.1"]).expect_err("cannot be");
        assert_eq!(blackfriday_terminal::failure::exit_code(&error, &[]), 64, "{error:#}");
    }
}
