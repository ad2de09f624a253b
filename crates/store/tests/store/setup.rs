//! A Valkey or a Redis of the test's own, and batches made the way the consumer makes them.

use std::collections::BTreeMap;

use blackfriday_event::{
    Admission, Category, EventId, IdempotencyKey, KeyWindow, Money, ProductId, Quantity, Sale, SaleDraft,
    SaleTally, Timestamp, WeatherDraft, WeatherReport, WeatherTally,
};
use blackfriday_stack::{Valkey, ValkeyKind, ValkeyOptions};
use blackfriday_store::model::State as Model;
use blackfriday_store::{
    Batch, BatchTally, LastRecord, Outcome, Recorded, Store, StoreConfig, StoreError, ValkeyConfig, Value,
};
use tokio::runtime::Runtime;

/// Reports live for 31 years, so that none expires during a test.
pub(crate) const CONFIG: StoreConfig =
    StoreConfig { history_len: 3, series_seconds: 5, weather_ttl_s: 1_000_000_000, series_ttl_s: 0 };
/// When the tests' events are accepted, or a little later.
pub(crate) const START_MS: u64 = 1_700_000_000_000;
pub(crate) const DAY_MS: u64 = 86_400_000;

/// A server, a store on it, and a runtime for both.
pub(crate) struct Setup {
    pub(crate) runtime: Runtime,
    pub(crate) valkey: Valkey,
    pub(crate) store: Store,
}

impl Setup {
    pub(crate) fn new(kind: ValkeyKind) -> Self {
        Self::with(kind, &[], |_| {})
    }

    /// With more of `valkey.conf`, and another configuration of the client.
    pub(crate) fn with(
        kind: ValkeyKind,
        directives: &[(&str, &str)],
        configure: impl FnOnce(&mut ValkeyConfig),
    ) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let config = directives.iter().map(text).collect();
        let options = ValkeyOptions { kind, config, ..ValkeyOptions::default() };
        let valkey = runtime.block_on(Valkey::start_with(options)).expect("a server");
        let mut config = ValkeyConfig::new(valkey.url()).expect("a server");
        configure(&mut config);
        let store = Store::new(&config, &CONFIG).expect("a store");
        Self { runtime, valkey, store }
    }

    /// Another client of the same server.
    pub(crate) fn store_at(&self, url: &str, config: &StoreConfig) -> Store {
        Store::new(&ValkeyConfig::new(url).expect("a server"), config).expect("a store")
    }

    /// Meddles with the server behind the store's back.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        self.runtime.block_on(self.valkey.command(words)).expect("Valkey answers")
    }

    pub(crate) fn dump(&self) -> BTreeMap<String, Value> {
        self.runtime.block_on(self.store.dump()).expect("Valkey answers")
    }

    pub(crate) fn apply(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        let outcomes = self.runtime.block_on(self.store.apply(std::slice::from_ref(batch)))?;
        Ok(outcomes[0].clone())
    }
}

pub(crate) fn timestamp(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis).expect("in range")
}

/// One sale of three units, at 12.50.
pub(crate) fn sale(category: Category, product: &str, id: u128) -> Sale {
    Sale {
        id: EventId::from_slice(&id.to_be_bytes()).expect("16 bytes"),
        accepted_at: timestamp(START_MS),
        idempotency_key: None,
        draft: SaleDraft {
            category,
            product_id: ProductId::new(product).expect("visible"),
            price: Money::from_cents(1_250).expect("in range"),
            quantity: Quantity::new(3).expect("in range"),
        },
    }
}

pub(crate) fn report(country: &str, id: u128) -> WeatherReport {
    WeatherReport {
        id: EventId::from_slice(&id.to_be_bytes()).expect("16 bytes"),
        accepted_at: timestamp(START_MS),
        idempotency_key: None,
        draft: WeatherDraft::new("Llueve\n\"mucho\"", country, "Rainy").expect("valid"),
    }
}

pub(crate) fn offset(at: usize) -> i64 {
    i64::try_from(at).expect("small")
}

/// The record at an offset of any partition, as the tests' log has it.
pub(crate) fn last_record(offset: i64) -> LastRecord {
    LastRecord { offset, digest: (offset + 1).cast_unsigned().to_be_bytes() }
}

/// An event of either topic, as the consumer sees it.
pub(crate) trait Counted: Clone + std::fmt::Debug {
    const TOPIC: &str;
    fn key(&self) -> Option<&IdempotencyKey>;
    fn accepted_at(&self) -> Timestamp;
    fn digest(&self) -> [u8; 8];
    fn tally(store: &Store, events: Vec<Self>) -> BatchTally;
    fn record(&self, model: &mut Model, partition: i32, offset: i64) -> Recorded;
}

impl Counted for Sale {
    const TOPIC: &str = "ventas";

    fn key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }

    fn accepted_at(&self) -> Timestamp {
        self.accepted_at
    }

    fn digest(&self) -> [u8; 8] {
        self.draft.digest()
    }

    fn tally(store: &Store, sales: Vec<Self>) -> BatchTally {
        let mut tally = SaleTally::new(store.bounds());
        sales.iter().for_each(|sale| tally.fold(sale));
        BatchTally::Sales(Box::new(tally))
    }

    fn record(&self, model: &mut Model, partition: i32, offset: i64) -> Recorded {
        model.pass(Self::TOPIC, partition, last_record(offset));
        model.record_sale(Self::TOPIC, partition, offset, self)
    }
}

impl Counted for WeatherReport {
    const TOPIC: &str = "clima";

    fn key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }

    fn accepted_at(&self) -> Timestamp {
        self.accepted_at
    }

    fn digest(&self) -> [u8; 8] {
        self.draft.digest()
    }

    fn tally(_: &Store, reports: Vec<Self>) -> BatchTally {
        let mut tally = WeatherTally::default();
        reports.into_iter().for_each(|report| tally.fold(report));
        BatchTally::Weather(tally)
    }

    fn record(&self, model: &mut Model, partition: i32, offset: i64) -> Recorded {
        model.pass(Self::TOPIC, partition, last_record(offset));
        model.record_weather(Self::TOPIC, partition, offset, self)
    }
}

/// Batches of distinct partitions, each of the events from an offset on.
pub(crate) async fn batches<E: Counted>(store: &Store, parts: &[(i32, usize, &[E])]) -> Vec<Batch> {
    let keys = |events: &[E]| events.iter().filter_map(|event| event.key().cloned()).collect::<Vec<_>>();
    let wanted: Vec<_> =
        parts.iter().map(|(partition, _, events)| (E::TOPIC, *partition, keys(events))).collect();
    let windows = store.key_windows(&wanted).await.expect("Valkey answers");
    let batch = |((partition, from, events), window): (&(i32, usize, &[E]), (i64, KeyWindow))| {
        let (position, mut keys) = window;
        assert_eq!(position, offset(*from), "the window belongs to the position");
        let mut counts = |(offset, event): &(i64, &E)| {
            event.key().is_none_or(|key| {
                keys.admit(key, event.digest(), event.accepted_at(), *offset) == Admission::Counts
            })
        };
        let numbered = (position..).zip(*events).filter(|numbered| counts(numbered));
        let counted = numbered.map(|(_, event)| event.clone()).collect();
        let to = position + offset(events.len());
        Batch {
            topic: E::TOPIC.into(),
            partition: *partition,
            from: position,
            to,
            last: Some(last_record(to - 1)),
            tally: E::tally(store, counted),
            keys,
        }
    };
    parts.iter().zip(windows).map(batch).collect()
}

/// A batch of partition 0 whose events have no keys; it may start anywhere.
pub(crate) fn batch<E: Counted>(store: &Store, from: usize, events: &[E]) -> Batch {
    Batch {
        topic: E::TOPIC.into(),
        partition: 0,
        from: offset(from),
        to: offset(from + events.len()),
        last: Some(last_record(offset(from + events.len()) - 1)),
        tally: E::tally(store, events.to_vec()),
        keys: KeyWindow::default(),
    }
}
