//! What a load sends, computed before the first request: addresses, pace, keys, bodies.
//!
//! Event number `n` of the traffic is in the request whose number follows from `n` and the batch's size, so that any number of
//! connections may take requests and the whole stays the same. With `--idempotency` the plan knows the identity that each
//! request's key gives: a receipt has it even where no answer came.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_event::{EventId, IdempotencyKey};
use blackfriday_terminal::failure::{Unavailable, Usage};
use blackfriday_terminal::output::{count, grouped};
use blackfriday_workload::{Arrivals, Traffic, Workload};
use url::Url;
use uuid::Uuid;

use crate::arguments::Arguments;
use crate::event::Draft;
use crate::request::{Pace, Route, Ticket};

/// When neither a number nor a duration is given.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// Of a report of the demo, until both logs have it.
const WEATHER_RETRIES: u32 = 9;

/// Of a load, so that its last time can be computed: some 136 years.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// What is to be sent, and how.
#[derive(Debug)]
pub struct Plan {
    /// All addresses of the gateway's name, at least one: connections are spread over them.
    pub(crate) addresses: Arc<[SocketAddr]>,
    pub(crate) host: String,
    pub(crate) route: Route,
    /// Events in one request.
    pub(crate) batch: u64,
    pub(crate) pace: Pace,
    pub(crate) connections: u64,
    /// Events to send; `u64::MAX` if only the time ends it.
    pub(crate) events: u64,
    /// No event is meant to be sent after this time.
    pub(crate) duration: Option<Duration>,
    pub(crate) traffic: Traffic,
    pub(crate) receipts: Option<PathBuf>,
    /// Prefix of idempotency keys, new for each run: another run's events are other events.
    pub(crate) key_prefix: Option<String>,
    pub(crate) retries: u32,
    pub(crate) timeout: Duration,
    /// Events accepted so far, for progress bars.
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
        let batch = if arguments.route == Route::Ventas { arguments.batch_size } else { 1 };
        let duration = match (arguments.duration, arguments.events) {
            (None, None) => Some(DEFAULT_DURATION),
            (duration, _) => duration.map(|duration| duration.min(LONGEST)),
        };
        let wanted = arguments.events.unwrap_or(u64::MAX);
        let (pace, events) = match arguments.rate {
            None => (Pace::Closed, wanted),
            Some(rate) => {
                let events = duration.map_or(wanted, |duration| wanted.min(events_in(duration, rate)));
                let curve = arguments.curve.then(|| traffic.workload().arrivals.clone());
                let arrivals = curve.unwrap_or_else(Arrivals::constant);
                (Pace::Open { length: time_of(events, rate), arrivals }, events)
            }
        };
        Ok(Self {
            addresses,
            host: url.authority().to_owned(),
            route: arguments.route,
            batch,
            pace,
            connections: arguments.connections,
            events,
            duration,
            traffic,
            receipts: arguments.receipts,
            key_prefix: arguments.idempotency.then(new_key_prefix),
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
        Self::along_the_curve(Route::Venta, address, traffic, (sales, length), receipts)
    }

    /// Weather reports next to such a sale, each sent again under its key until both logs have it.
    pub fn weather(
        address: SocketAddr,
        traffic: Traffic,
        reports: u64,
        length: Duration,
        receipts: PathBuf,
    ) -> Self {
        let plan = Self::along_the_curve(Route::Input, address, traffic, (reports, length), receipts);
        Self { key_prefix: Some(new_key_prefix()), retries: WEATHER_RETRIES, ..plan }
    }

    fn along_the_curve(
        route: Route,
        address: SocketAddr,
        traffic: Traffic,
        (events, length): (u64, Duration),
        receipts: PathBuf,
    ) -> Self {
        Self {
            addresses: Arc::new([address]),
            host: address.to_string(),
            route,
            batch: 1,
            pace: Pace::Open { length, arrivals: traffic.workload().arrivals.clone() },
            connections: 256,
            events,
            duration: None,
            traffic,
            receipts: Some(receipts),
            key_prefix: None,
            retries: 0,
            timeout: Duration::from_secs(10),
            accepted: Arc::default(),
        }
    }

    /// Requests that its events make.
    pub(crate) fn requests(&self) -> u64 {
        self.events.div_ceil(self.batch)
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        let Self { host, route, connections, batch, .. } = self;
        let (path, events) = (route.path(), route.events());
        let pace = match &self.pace {
            Pace::Closed => "as fast as it answers".to_owned(),
            Pace::Open { length, .. } => {
                format!("{} {events} in {:.1} s", grouped(self.events), length.as_secs_f64())
            }
        };
        format!(
            "sending to http://{host}{path}, {} a request, over {}, {pace}, seed {}",
            grouped(*batch),
            count(*connections, "connection", "connections"),
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

    /// The key of a request, if it has one.
    pub(crate) fn key(&self, ticket: &Ticket) -> Option<IdempotencyKey> {
        let text = format!("{}-{}", self.key_prefix.as_ref()?, ticket.number);
        Some(IdempotencyKey::new(&text).expect("hexadecimal digits, and a number"))
    }

    /// The identities that a request's key gives to its events; none without a key.
    pub(crate) fn ids(&self, ticket: &Ticket, drafts: &[Draft]) -> Vec<Uuid> {
        let Some(key) = self.key(ticket) else { return Vec::new() };
        if self.route != Route::Ventas {
            return vec![EventId::of_key(&key).as_uuid()];
        }
        let mut equal = HashMap::new();
        let of_item = |draft: &Draft| {
            let nth: &mut u32 = equal.entry(draft.digest()).or_default();
            let of_item = IdempotencyKey::of_item(&key, draft.digest(), *nth);
            *nth += 1;
            EventId::of_key(&of_item).as_uuid()
        };
        drafts.iter().map(of_item).collect()
    }

    /// What a request holds.
    pub(crate) fn drafts(&self, ticket: &Ticket) -> Vec<Draft> {
        let draft = |number| match self.route {
            Route::Venta | Route::Ventas => Draft::Sale(self.traffic.sale(number)),
            Route::Input => Draft::Weather(self.traffic.weather(number)),
        };
        (ticket.first..ticket.first + ticket.count).map(draft).collect()
    }

    /// The body of a request that holds this.
    pub(crate) fn body(&self, drafts: &[Draft]) -> Vec<u8> {
        let mut body = Vec::with_capacity(100 * drafts.len());
        if let (Route::Venta | Route::Input, [draft]) = (self.route, drafts) {
            draft.write(&mut body);
            return body;
        }
        body.push(b'[');
        for (at, draft) in drafts.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            draft.write(&mut body);
        }
        body.push(b']');
        body
    }
}

fn new_key_prefix() -> String {
    Uuid::now_v7().simple().to_string()
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
fn events_in(duration: Duration, rate: u64) -> u64 {
    (duration.as_secs_f64() * rate as f64).round().max(1.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact beyond 2^53")]
fn time_of(events: u64, rate: u64) -> Duration {
    Duration::try_from_secs_f64(events as f64 / rate as f64).map_or(LONGEST, |length| length.min(LONGEST))
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
        let body: Value = serde_json::from_slice(&plan.body(&plan.drafts(&ticket))).expect("JSON");
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
    fn reports_are_the_traffic_of_the_seed_one_a_request() {
        let plan = plan(&["--route", "input", "--reports", "7", "--idempotency"]).expect("a plan");
        assert_eq!((plan.requests(), plan.route.path()), (7, "/input"));
        let ticket = Ticket { number: 3, first: 3, count: 1 };
        let drafts = plan.drafts(&ticket);
        let body: Value = serde_json::from_slice(&plan.body(&drafts)).expect("JSON");
        let report = Traffic::new(Workload::black_friday(), None).weather(3);
        for (name, text) in
            [("description", report.description), ("country", report.country), ("weather", report.weather)]
        {
            assert_eq!(body[name], text);
        }
        let key = plan.key(&ticket).expect("as asked for");
        assert_eq!(plan.ids(&ticket, &drafts), [EventId::of_key(&key).as_uuid()]);
    }

    #[test]
    fn rate_duration_and_sales_bound_each_other() {
        let sales = |arguments: &[&str]| plan(arguments).expect("a plan").events;
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
