use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_dashboard::{Config, run};
use blackfriday_event::{
    Category, EventId, KeyWindow, Money, ProductId, Quantity, Sale, SaleDraft, SaleTally, Timestamp,
};
use blackfriday_service::{Context, bind};
use blackfriday_stack::Valkey;
use blackfriday_store::{Batch, BatchTally, Outcome, Store, StoreConfig, ValkeyConfig};
use clap::Parser;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A dashboard in this process, over a Valkey of its own.
pub(crate) struct Dashboard {
    pub(crate) valkey: Valkey,
    pub(crate) address: SocketAddr,
    pub(crate) context: Context,
    pub(crate) running: JoinHandle<()>,
    store: Store,
    position: i64,
}

impl Dashboard {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(&["--carnet", "202300004"]).await
    }

    pub(crate) async fn start_with(arguments: &[&str]) -> Result<Self> {
        let valkey = Valkey::start().await?;
        let first = ["test", "--valkey-url", valkey.url()];
        let config = Config::try_parse_from(first.iter().chain(arguments))?;
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let context = Context::new("dashboard");
        let store = Store::new(
            &ValkeyConfig::new(valkey.url()).map_err(anyhow::Error::msg)?,
            &StoreConfig::default(),
        )?;
        let served = context.clone();
        let running =
            tokio::spawn(
                async move { run(config, listener, served).await.expect("the configuration is right") },
            );
        Ok(Self { valkey, address, context, running, store, position: 0 })
    }

    /// Counts sales of (category, product, cents, units), a second apart, of long ago.
    pub(crate) async fn count(&mut self, sales: &[(Category, &str, u64, i64)]) -> Result<()> {
        let first = 1_700_000_000_000 + u64::try_from(self.position + 1)? * 1000;
        self.count_from(first, sales).await
    }

    /// Counts sales a second apart, the first one accepted at this instant.
    pub(crate) async fn count_from(
        &mut self,
        first_ms: u64,
        sales: &[(Category, &str, u64, i64)],
    ) -> Result<()> {
        self.count_from_every(first_ms, 1000, sales).await
    }

    /// As [`Dashboard::count_from`], so many milliseconds apart.
    pub(crate) async fn count_from_every(
        &mut self,
        first_ms: u64,
        pause_ms: u64,
        sales: &[(Category, &str, u64, i64)],
    ) -> Result<()> {
        let mut tally = SaleTally::new(self.store.bounds());
        for ((category, product, cents, units), at) in sales.iter().zip(0..) {
            self.position += 1;
            let millis = first_ms + at * pause_ms;
            tally.fold(&Sale {
                id: EventId::new_v7(),
                accepted_at: Timestamp::from_millis(millis).context("in range")?,
                idempotency_key: None,
                draft: SaleDraft {
                    category: *category,
                    product_id: ProductId::new(product).map_err(|error| anyhow::anyhow!("{error}"))?,
                    price: Money::from_cents(*cents).map_err(|error| anyhow::anyhow!("{error}"))?,
                    quantity: Quantity::new(*units).map_err(|error| anyhow::anyhow!("{error}"))?,
                },
            });
        }
        let from = self.position - i64::try_from(sales.len())?;
        let tally = BatchTally::Sales(Box::new(tally));
        let keys = KeyWindow::default();
        let (topic, to) = ("ventas".into(), self.position);
        let batch = Batch { topic, partition: 0, from, to, last: None, tally, keys };
        ensure!(self.store.apply(&[batch]).await? == [Outcome::Applied], "the batch is applied");
        Ok(())
    }

    /// Status and JSON of the answer.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Value)> {
        let answer = self.ask(path).await?;
        Ok((answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null)))
    }

    pub(crate) async fn ask(&self, path: &str) -> Result<Response<Bytes>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder().uri(path).header("host", "dashboard").body(Empty::<Bytes>::new())?;
        let answer = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>(Response::from_parts(head, body.collect().await?.to_bytes()))
        };
        let answer = timeout(LIMIT, answer).await.context("an answer")?;
        connection.abort();
        Ok(answer?)
    }
}

/// That it is a refusal as problem details that says when to come again.
pub(crate) fn ensure_unavailable(answer: &Response<Bytes>) -> Result<()> {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    ensure!(answer.status() == 503, "{answer:?}");
    ensure!(
        header("retry-after").is_some_and(|seconds| seconds.parse().is_ok_and(|s: u32| s > 0)),
        "{answer:?}"
    );
    ensure!(header("content-type") == Some("application/problem+json"), "{answer:?}");
    Ok(())
}
