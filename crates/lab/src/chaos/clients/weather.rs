use std::net::SocketAddr;

use blackfriday_event::IdempotencyKey;
use rand::RngExt;

use super::answer::of_report;
use super::http::{Http, Post};
use super::{Client, TRIES};
use crate::chaos::ledger::{Sent, Told};

const COUNTRIES: [&str; 4] = ["GT", "MX", "SV", "HN"];
const WEATHERS: [&str; 3] = ["Soleado", "Nublado", "Lluvioso"];

/// A report that goes to both logs, under a key of its own.
pub(super) struct Report {
    name: String,
    sent: Sent,
    key: IdempotencyKey,
    post: Post,
}

/// Weather reports, each sent until it is accepted.
pub(super) async fn run(mut client: Client, to: SocketAddr, path: &'static str) {
    let mut http = Http::new(to);
    while client.goes_on().await {
        let report = Report::new(&mut client, path);
        for _ in 0..TRIES {
            if report.send(&client, &mut http).await == Told::Accepted || !client.goes_on().await {
                break;
            }
        }
    }
}

impl Report {
    pub(super) fn new(client: &mut Client, path: &'static str) -> Self {
        let name = client.name();
        let country = COUNTRIES[client.rng.random_range(0..COUNTRIES.len())];
        let weather = WEATHERS[client.rng.random_range(0..WEATHERS.len())];
        let body = format!(r#"{{"description":"{name}","country":"{country}","weather":"{weather}"}}"#);
        let key = format!("key-{name}");
        let post = Post { key: Some(key.clone()), ..Post::json(path, body) };
        let key = IdempotencyKey::new(&key).expect("visible ASCII");
        Self { name, sent: Sent::Weather { country, weather }, key, post }
    }

    /// One try; what its client was told of it.
    pub(super) async fn send(&self, client: &Client, http: &mut Http) -> Told {
        client.ledger.sending(&self.name, &self.sent, Some(&self.key));
        let ((told, id), logs) = of_report(&http.post(&self.post).await);
        client.ledger.told(&self.name, told, id);
        client.ledger.told_of_logs(&self.name, logs);
        told
    }
}
