//! Reading the store: for API requests when they come, and in one loop for all event streams, while there are any.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::HttpBody;
use axum::response::Response;
use blackfriday_event::Category;
use blackfriday_service::{BodyBudget, BudgetFull, Shutdown};
use blackfriday_store::Store;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Config;
use crate::currency::Currency;
use crate::names::Names;
use crate::redis::Redis;
use crate::seats::{Full, Seat, Seats};
use crate::shared::{Read, Shared};
use crate::trouble::{ReadError, Trouble};
use crate::view::{Counters, Summary};

/// KiB of answers above 16 KiB that are held until their readers have taken them.
const ANSWERS_KIB: u32 = 65_536;
/// Seconds of the series that a stream shows.
const STREAM_SECONDS: u64 = 180;
/// Countries that a stream shows: those with the most reports.
const STREAM_COUNTRIES: usize = 20;

/// What a stream shows.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// Nothing was read yet.
    None,
    Counts(Arc<Counts>),
    Trouble(Trouble),
}

/// What was read, and its JSON for each kind of stream, written once for all streams of the kind.
#[derive(Debug)]
pub(crate) struct Counts {
    counters: Counters,
    json: [OnceLock<String>; Category::ALL.len() + 1],
}

/// The way to the store, shared by all requests.
pub(crate) struct Live {
    snapshots: Shared,
    names: Names,
    currency: Option<Currency>,
    answers: BodyBudget,
    interval: Duration,
    seats: Seats,
    news: watch::Sender<News>,
    shutdown: Shutdown,
}

/// One stream, for as long as it lives.
pub(crate) struct Viewer {
    _seat: Seat,
    pub(crate) news: watch::Receiver<News>,
    pub(crate) shutdown: Shutdown,
}

impl Live {
    pub(crate) fn new(
        store: Store,
        redis: Option<Redis>,
        names: Names,
        config: &Config,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            snapshots: Shared::new(store, redis, config.top.into()),
            names,
            currency: config.currency.clone(),
            answers: BodyBudget::new(ANSWERS_KIB),
            interval: config.poll_interval(),
            seats: Seats::new(
                config.max_streams,
                usize::try_from(config.max_streams_per_address).unwrap_or(usize::MAX),
            ),
            news: watch::Sender::new(News::None),
            shutdown,
        }
    }

    /// The counters now: of each ranking the first `top` products (as configured if not given), and the prices of
    /// `histories`. Requests at the same time share one read.
    pub(crate) async fn read(
        &self,
        top: Option<usize>,
        histories: &[Category],
    ) -> Result<Summary, Arc<ReadError>> {
        let read = self.snapshots.read(top).await?;
        let mut all = Summary::of(&read, histories, &self.names);
        all.moneda.clone_from(&self.currency);
        if let Some(top) = top {
            all.counters.truncate(top);
        }
        Ok(all)
    }

    /// What the store holds now, as [`Live::read`] reads it.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Read>, Arc<ReadError>> {
        self.snapshots.read(None).await
    }

    /// An answer that has its room among all that wait for their readers.
    pub(crate) fn held(&self, mut answer: Response) -> Result<Response, BudgetFull> {
        let bytes = answer.body().size_hint().lower();
        let mut room = self.answers.room();
        room.take(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        answer.extensions_mut().insert(Arc::new(room));
        Ok(answer)
    }

    /// A place for one more stream of this client.
    pub(crate) fn join(&self, address: IpAddr) -> Result<Viewer, Full> {
        let seat = self.seats.take(address)?;
        Ok(Viewer { _seat: seat, news: self.news.subscribe(), shutdown: self.shutdown.clone() })
    }

    /// Follows how many streams are open.
    pub(crate) fn streams(&self) -> watch::Receiver<usize> {
        self.seats.watch()
    }

    /// Reads for the streams, while there are any. To be run once.
    pub(crate) async fn poll(self: Arc<Self>) {
        let mut streams = self.streams();
        loop {
            if *streams.borrow() == 0 {
                // A later stream must not show what was read long ago.
                self.news.send_replace(News::None);
            }
            streams.wait_for(|streams| *streams > 0).await.expect("self holds the sender");
            match self.read(None, &Category::ALL).await {
                Ok(all) => self.tell_counts(all.counters),
                Err(error) => self.tell_trouble(&error),
            }
            sleep(self.interval).await;
        }
    }

    fn tell_counts(&self, mut counters: Counters) {
        self.news.send_if_modified(|news| {
            if let News::Counts(last) = news {
                counters.continue_lull(&last.counters);
            }
            let changed = !matches!(news, News::Counts(last) if last.counters == counters);
            if changed {
                *news = News::Counts(Arc::new(Counts { counters, json: Default::default() }));
            }
            changed
        });
    }

    fn tell_trouble(&self, error: &ReadError) {
        self.news.send_if_modified(|news| {
            let trouble = error.trouble();
            let changed = !matches!(news, News::Trouble(last) if *last == trouble);
            if changed {
                error.log("Valkey");
                *news = News::Trouble(trouble);
            }
            changed
        });
    }
}

impl Counts {
    /// For a stream that shows the prices by second of one category, or of none.
    pub(crate) fn json(&self, category: Option<Category>) -> &str {
        self.json[category.map_or(Category::ALL.len(), Category::index)].get_or_init(|| {
            let lean = lean(self.counters.clone(), category);
            serde_json::to_string(&lean).expect("strings and numbers always serialize")
        })
    }
}

/// What a stream shows of it.
fn lean(mut counters: Counters, category: Option<Category>) -> Counters {
    for of in &mut counters.categorias {
        of.historial = None;
        if category.is_none_or(|category| category.name() != of.figures.categoria) {
            of.precios = None;
        }
    }
    let newest_ms = counters.serie.last().map_or(0, |second| second.t_ms);
    counters.serie.retain(|second| second.t_ms + STREAM_SECONDS * 1000 > newest_ms);
    counters.clima.paises.truncate(STREAM_COUNTRIES);
    counters
}
