use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use blackfriday_event::IdempotencyKey;
use rand::RngExt;
use tokio::time::timeout;

use super::answer::of_one;
use super::http::{Http, Post};
use super::single::insist;
use super::{Client, body};
use crate::chaos::ledger::Told;

/// How long it waits for an answer.
const PATIENCE_US: Range<u64> = 100..15_000;

/// Hangs up in the middle of requests. Every other sale has a key, and is sent again under it with more patience.
pub(super) async fn run(mut client: Client, to: SocketAddr) {
    let mut keyed = false;
    while client.goes_on().await {
        keyed = !keyed;
        let (name, sale) = (client.name(), client.sale());
        let key = keyed.then(|| IdempotencyKey::new(&format!("key-{name}")).expect("visible ASCII"));
        let mut post = Post::json("/venta", body(&name, &sale, ""));
        post.key = key.as_ref().map(|key| key.as_str().to_owned());
        client.ledger.sending(&name, &sale, key.as_ref());
        let patience = Duration::from_micros(client.rng.random_range(PATIENCE_US));
        // A connection of its own, which goes with it.
        let mut http = Http::new(to);
        let (told, id) =
            timeout(patience, http.post(&post)).await.map_or((Told::Unknown, None), |reply| of_one(&reply));
        client.ledger.told(&name, told, id);
        drop(http);
        if let Some(key) = key.filter(|_| told != Told::Accepted) {
            insist(&mut client, &mut Http::new(to), (&name, &sale), &key, false).await;
        }
    }
}
