use std::net::SocketAddr;

use blackfriday_event::IdempotencyKey;
use rand::RngExt;

use super::answer::of_many;
use super::http::{Http, Post};
use super::{Client, TRIES, body, draft_of};
use crate::chaos::ledger::{Sent, Told};

/// One item in so many is wrong, and must be refused while the others are not.
const WRONG: u32 = 60;

/// Arrays without keys: what is refused or unknown stays so.
pub(super) async fn array(mut client: Client, to: SocketAddr) {
    let mut http = Http::new(to);
    while client.goes_on().await {
        let mut sales = client.sales();
        for (_, sale) in &mut sales {
            if client.rng.random_range(0..WRONG) == 0
                && let Sent::Sale { units, .. } = sale
            {
                *units = 0;
            }
        }
        sales.iter().for_each(|(name, sale)| client.ledger.sending(name, sale, None));
        let items: Vec<_> = sales.iter().map(|(name, sale)| body(name, sale, "")).collect();
        let reply = http.post(&Post::json("/ventas", format!("[{}]", items.join(",")))).await;
        for ((name, _), (told, id)) in sales.iter().zip(of_many(&reply, sales.len())) {
            client.ledger.told(name, told, id);
        }
    }
}

/// Lines of JSON, sent until all are accepted, by turns under a key of the batch and with a key in each line.
pub(super) async fn lines(mut client: Client, to: SocketAddr) {
    let mut http = Http::new(to);
    let mut by_batch = false;
    while client.goes_on().await {
        by_batch = !by_batch;
        let sales = client.sales();
        let batch = IdempotencyKey::new(&format!("batch-{}", sales[0].0)).expect("visible ASCII");
        let (keys, lines): (Vec<_>, Vec<_>) =
            sales.iter().map(|(name, sale)| keyed_line(name, sale, by_batch.then_some(&batch))).unzip();
        let post = Post {
            path: "/ventas",
            media: "application/x-ndjson",
            key: by_batch.then(|| batch.as_str().to_owned()),
            body: lines.join("\n").into(),
        };
        for _ in 0..TRIES {
            for ((name, sale), key) in sales.iter().zip(&keys) {
                client.ledger.sending(name, sale, Some(key));
            }
            let known = of_many(&http.post(&post).await, sales.len());
            for ((name, _), (told, id)) in sales.iter().zip(&known) {
                client.ledger.told(name, *told, *id);
            }
            if known.iter().all(|(told, _)| *told == Told::Accepted) || !client.goes_on().await {
                break;
            }
        }
    }
}

/// A sale's line and the key that it has: its own, or the one that follows from its batch's.
fn keyed_line(name: &str, sale: &Sent, batch: Option<&IdempotencyKey>) -> (IdempotencyKey, String) {
    if let Some(batch) = batch {
        let digest = draft_of(name, sale).expect("a valid sale").digest();
        return (IdempotencyKey::of_item(batch, digest, 0), body(name, sale, ""));
    }
    let key = IdempotencyKey::new(&format!("line-{name}")).expect("visible ASCII");
    let more = format!(r#","idempotency_key":"{key}""#);
    (key, body(name, sale, &more))
}
