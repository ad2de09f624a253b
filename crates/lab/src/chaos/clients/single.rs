use std::net::SocketAddr;
use std::sync::Arc;

use blackfriday_event::IdempotencyKey;
use blackfriday_service::Shutdown;
use rand::RngExt;

use super::answer::of_one;
use super::http::{Http, Post};
use super::weather::Report;
use super::{Client, TRIES, body};
use crate::chaos::ledger::{Ledger, Sent, Told};

/// One sale in so many is wrong, and must be refused.
const WRONG: u32 = 40;
/// One acknowledged sale in so many is sent again under its key.
const AGAIN: u32 = 8;

/// One sale after the other, without a key: what is refused or unknown stays so.
pub(super) async fn keyless(mut client: Client, to: SocketAddr, path: &'static str) {
    let mut http = Http::new(to);
    while client.goes_on().await {
        let (name, mut sale) = (client.name(), client.sale());
        if client.rng.random_range(0..WRONG) == 0
            && let Sent::Sale { units, .. } = &mut sale
        {
            *units = 0;
        }
        client.ledger.sending(&name, &sale, None);
        let (told, id) = of_one(&http.post(&Post::json(path, body(&name, &sale, ""))).await);
        client.ledger.told(&name, told, id);
    }
}

/// Each sale under a key of its own, sent until it is accepted, and now and then once more.
pub(super) async fn keyed(mut client: Client, to: SocketAddr) {
    let mut http = Http::new(to);
    while client.goes_on().await {
        let (name, sale) = (client.name(), client.sale());
        let key = IdempotencyKey::new(&format!("key-{name}")).expect("visible ASCII");
        let again = client.rng.random_range(0..AGAIN) == 0;
        insist(&mut client, &mut http, (&name, &sale), &key, again).await;
    }
}

/// Tries an event until it is accepted; `again`: and once more after that.
pub(super) async fn insist(
    client: &mut Client,
    http: &mut Http,
    (name, sale): (&str, &Sent),
    key: &IdempotencyKey,
    mut again: bool,
) {
    let post = Post { key: Some(key.as_str().to_owned()), ..Post::json("/venta", body(name, sale, "")) };
    for _ in 0..TRIES {
        client.ledger.sending(name, sale, Some(key));
        let (told, id) = of_one(&http.post(&post).await);
        client.ledger.told(name, told, id);
        if told == Told::Accepted && !std::mem::take(&mut again) || !client.goes_on().await {
            return;
        }
    }
}

/// A client that asks whether events are accepted now.
pub(crate) struct Probe {
    client: Client,
    http: Http,
}

impl Probe {
    pub(crate) fn new(ledger: &Arc<Ledger>, seed: u64, gateway: SocketAddr) -> Self {
        Self { client: Client::new("probe", ledger, seed, 0, &Shutdown::new()), http: Http::new(gateway) }
    }

    /// The product of a sale that was accepted just now, if one was.
    pub(crate) async fn accepted(&mut self) -> Option<String> {
        let (name, sale) = (self.client.name(), self.client.sale());
        self.client.ledger.sending(&name, &sale, None);
        let (told, id) = of_one(&self.http.post(&Post::json("/venta", body(&name, &sale, ""))).await);
        self.client.ledger.told(&name, told, id);
        (told == Told::Accepted).then_some(name)
    }

    /// Whether a report was accepted just now, by both logs.
    pub(crate) async fn is_reported(&mut self) -> bool {
        let report = Report::new(&mut self.client, "/input");
        report.send(&self.client, &mut self.http).await == Told::Accepted
    }
}
