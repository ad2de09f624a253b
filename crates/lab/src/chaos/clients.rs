//! The clients of a run, all seeded, each with a way of its own: single sales and batches, JSON and NDJSON, with and without
//! keys, through every door, patient ones and such that hang up.
//!
//! Each writes into the [`Ledger`] what it sends before it sends it, and what it is told. Invariant: a client claims no more
//! than the API's documents let it: only an acknowledgement is one, and only a problem of ours is a promise that nothing was
//! written.

mod answer;
mod batch;
mod grpc;
mod http;
mod impatient;
mod single;
mod weather;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_event::{Category, Money, ProductId, Quantity, SaleDraft};
use blackfriday_service::Shutdown;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

use super::ledger::{Ledger, Sent};

pub(crate) use single::Probe;

/// Between two requests of a client.
const PAUSE_MS: Range<u64> = 10..70;
/// How often a client of a keyed event tries, at the most.
const TRIES: usize = 5;
/// Events in a batch.
const BATCH: Range<usize> = 2..24;

/// Where the clients' doors are.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    pub(crate) gateway: SocketAddr,
    pub(crate) relays: Vec<SocketAddr>,
    pub(crate) writers: Vec<SocketAddr>,
}

/// Clients that run until they are told to finish.
pub(crate) struct Clients {
    stop: Shutdown,
    running: JoinSet<()>,
}

/// What all clients have in common.
pub(crate) struct Client {
    name: String,
    ledger: Arc<Ledger>,
    rng: ChaCha8Rng,
    sent: u64,
    stop: Shutdown,
}

impl Clients {
    /// Starts one of each way.
    pub(crate) fn start(doors: &Doors, ledger: &Arc<Ledger>, seed: u64) -> Self {
        let stop = Shutdown::new();
        let mut running = JoinSet::new();
        let mut number = 0;
        let mut client = || {
            number += 1;
            Client::new(&format!("c{number}"), ledger, seed, number, &stop)
        };
        let gateway = doors.gateway;
        running.spawn(single::keyless(client(), gateway, "/venta"));
        running.spawn(single::keyed(client(), gateway));
        running.spawn(batch::array(client(), gateway));
        running.spawn(batch::lines(client(), gateway));
        running.spawn(impatient::run(client(), gateway));
        running.spawn(weather::run(client(), gateway, "/input"));
        for relay in &doors.relays {
            running.spawn(weather::run(client(), *relay, "/publicar"));
            running.spawn(single::keyless(client(), *relay, "/procesar"));
        }
        for writer in &doors.writers {
            running.spawn(grpc::run(client(), *writer));
        }
        Self { stop, running }
    }

    /// Lets each end what it has begun.
    ///
    /// # Errors
    /// One of them died.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.stop.begin();
        while let Some(ended) = self.running.join_next().await {
            ended.context("a client died")?;
        }
        Ok(())
    }
}

impl Client {
    pub(crate) fn new(name: &str, ledger: &Arc<Ledger>, seed: u64, number: u64, stop: &Shutdown) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        let (name, ledger, stop) = (name.to_owned(), Arc::clone(ledger), stop.clone());
        Self { name, ledger, rng, sent: 0, stop }
    }

    /// False when the client is to end.
    async fn goes_on(&mut self) -> bool {
        let pause = Duration::from_millis(self.rng.random_range(PAUSE_MS));
        tokio::select! {
            () = self.stop.begun() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// A name that no other event has.
    fn name(&mut self) -> String {
        self.sent += 1;
        format!("{}-{:06}", self.name, self.sent)
    }

    fn sale(&mut self) -> Sent {
        Sent::Sale {
            category: self.rng.random_range(1..=4),
            cents: self.rng.random_range(1..=1_000_000),
            units: self.rng.random_range(1..=9),
        }
    }

    fn sales(&mut self) -> Vec<(String, Sent)> {
        let number = self.rng.random_range(BATCH);
        (0..number).map(|_| (self.name(), self.sale())).collect()
    }
}

/// The body of a sale, with whatever else it is to have.
fn body(name: &str, sale: &Sent, more: &str) -> String {
    let Sent::Sale { category, cents, units } = *sale else { unreachable!("clients of sales send sales") };
    let (whole, part) = (cents / 100, cents % 100);
    format!(
        r#"{{"categoria":{category},"producto_id":"{name}","precio":{whole}.{part:02},"cantidad_vendida":{units}{more}}}"#
    )
}

/// The sale as the domain has it: what keys of a batch's items are derived from.
pub(crate) fn draft_of(name: &str, sale: &Sent) -> Option<SaleDraft> {
    let Sent::Sale { category, cents, units } = *sale else { return None };
    Some(SaleDraft {
        category: Category::from_number(category.into()).ok()?,
        product_id: ProductId::new(name).ok()?,
        price: Money::from_cents(cents.into()).ok()?,
        quantity: Quantity::new(units.into()).ok()?,
    })
}
