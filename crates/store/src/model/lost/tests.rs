use blackfriday_event::{
    Category, EventId, IdempotencyKey, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp, WeatherDraft,
    WeatherReport,
};
use proptest::prelude::*;

use super::super::Difference;
use super::*;
use crate::config::StoreConfig;

const START_MS: u64 = 1_795_000_000_000;
const HOUR_MS: u64 = 3_600_000;
/// How far the log's clock goes back.
const BACK_MS: u64 = 5_000;
const SALES: &str = "ventas";
const WEATHER: &str = "clima";

type Store = BTreeMap<String, Value>;
/// The key that it is told of, and how it gets into the store.
type Lie<'a> = (&'a str, &'a dyn Fn(&mut Store));

/// A record of an event: of a sale if it has a price, otherwise of a report.
#[derive(Debug, Clone)]
struct Record {
    at: u64,
    id: u128,
    key: Option<u8>,
    price: Option<u32>,
    variant: u8,
}

/// Two partitions of a topic, and how much of each is gone.
#[derive(Debug, Clone)]
struct Case {
    topic: &'static str,
    partitions: Vec<(Vec<Record>, usize)>,
}

impl Case {
    /// The store that all of it leads to.
    fn whole(&self) -> State {
        let mut state = empty();
        for (partition, (records, _)) in (0..).zip(&self.partitions) {
            self.record(&mut state, partition, records, 0);
        }
        state
    }

    /// What the rest of it leads to.
    fn rest(&self, store: &Arc<Store>) -> State {
        let part = if self.topic == SALES { Part::Sales(SALES) } else { Part::Weather(WEATHER) };
        let mut state = empty();
        for (partition, (records, begin)) in (0..).zip(&self.partitions) {
            let begin = *begin.min(&records.len());
            if begin > 0 {
                state.lose(part, partition, offset(begin), store);
            }
            if let Some(first) = records.get(begin) {
                state.begin(self.topic, partition, first.at + BACK_MS);
            }
            self.record(&mut state, partition, records, begin);
        }
        state
    }

    fn record(&self, state: &mut State, partition: i32, records: &[Record], from: usize) {
        for (at, record) in records.iter().enumerate().skip(from) {
            let at = offset(at);
            if self.topic == SALES {
                state.record_sale(SALES, partition, at, &record.sale());
            } else {
                state.record_weather(WEATHER, partition, at, &record.report());
            }
            state.pass(self.topic, partition, LastRecord { offset: at, digest: [record.variant; 8] });
        }
        state.advance(self.topic, partition, offset(records.len()));
    }

    fn compare(&self, store: Store) -> Vec<Difference> {
        let store = Arc::new(store);
        self.rest(&store).compare(&store, START_MS)
    }
}

impl Record {
    fn identity(&self) -> (EventId, Option<IdempotencyKey>) {
        let key = self.key.map(|key| IdempotencyKey::new(&format!("k{key}")).expect("visible"));
        let fresh = || EventId::from_slice(&self.id.to_be_bytes()).expect("16 bytes");
        (key.as_ref().map_or_else(fresh, EventId::of_key), key)
    }

    fn sale(&self) -> Sale {
        let (id, idempotency_key) = self.identity();
        let draft = SaleDraft {
            category: Category::from_number(i64::from(self.variant % 2) + 1).expect("1 or 2"),
            product_id: ProductId::new(&format!("P-{}", self.variant)).expect("an id"),
            price: Money::from_cents(self.price.unwrap_or(0).into()).expect("a price"),
            quantity: Quantity::new(i64::from(self.variant) + 1).expect("units"),
        };
        Sale { id, idempotency_key, accepted_at: time(self.at), draft }
    }

    fn report(&self) -> WeatherReport {
        let (id, idempotency_key) = self.identity();
        let country = ["GT", "x:y"][usize::from(self.variant % 2)];
        let draft = WeatherDraft::new(&format!("d{}", self.variant), country, "Nublado").expect("a report");
        WeatherReport { id, idempotency_key, accepted_at: time(self.at), draft }
    }
}

fn empty() -> State {
    let config = StoreConfig { history_len: 5, series_seconds: 600, ..StoreConfig::default() };
    State::new(&Keys::new("p:"), &config)
}

fn offset(at: usize) -> i64 {
    i64::try_from(at).expect("small")
}

fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis).expect("in range")
}

fn cases() -> impl Strategy<Value = Case> {
    any::<bool>().prop_flat_map(cases_of)
}

fn cases_of(of_sales: bool) -> impl Strategy<Value = Case> {
    let pause = prop_oneof![6 => 0..2_000_u64, 2 => 0..HOUR_MS, 1 => 20 * HOUR_MS..26 * HOUR_MS];
    let key = prop::option::weighted(0.6, 0..4_u8);
    let record = (pause, 0..BACK_MS, any::<u128>(), key, 0..20_000_u32, 0..3_u8);
    let partition = (prop::collection::vec(record, 0..30), 0..30_usize);
    prop::collection::vec(partition, 2).prop_map(move |partitions| {
        let partitions = partitions.into_iter().map(|(records, begin)| {
            let mut now = START_MS;
            let records = records.into_iter().map(|(pause, jitter, id, key, price, variant)| {
                now += pause;
                Record { at: now + jitter, id, key, price: of_sales.then_some(price), variant }
            });
            (records.collect(), begin)
        });
        Case { topic: if of_sales { SALES } else { WEATHER }, partitions: partitions.collect() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is gone: the store that the whole log led to is never called wrong.
    #[test]
    fn what_the_whole_log_led_to_holds(case in cases()) {
        prop_assert_eq!(case.compare(case.whole().expected()), []);
    }

    /// A report that is left, and that no key can have kept from being counted.
    #[test]
    fn a_report_that_is_left_and_was_not_counted_is_found(mut case in cases_of(false), at in 0..30_usize) {
        let (records, begin) = &mut case.partitions[0];
        let (number, at) = (records.len(), at.min(records.len()));
        let now = records.get(at).map_or(START_MS, |record| record.at);
        records.insert(at, Record { at: now, id: number as u128, key: None, price: None, variant: 0 });
        *begin = (*begin).min(at);
        let missing = Keys::new("p:").weather(&records[at].report());
        let mut store = case.whole().expected();
        store.remove(&missing).expect("it was counted");
        let differences = case.compare(store);
        prop_assert!(differences.iter().any(|difference| difference.key == missing), "{differences:?}");
    }
}

/// Ten records a minute apart, all but the fourth without a key; the first five are gone.
fn ten(topic: &'static str) -> Case {
    let record = |at: u8| Record {
        at: START_MS + 60_000 * u64::from(at),
        id: 100 + u128::from(at),
        key: [4, 8].contains(&at).then_some(at),
        price: (topic == SALES).then_some(1_000 + 10 * u32::from(at)),
        variant: at % 3,
    };
    Case { topic, partitions: vec![((0..10).map(record).collect(), 5)] }
}

/// What is compared with, after it was changed.
fn lie(topic: &'static str, change: impl FnOnce(&mut Store)) -> Vec<Difference> {
    let case = ten(topic);
    let mut store = case.whole().expected();
    assert_eq!(case.compare(store.clone()), []);
    change(&mut store);
    case.compare(store)
}

fn fields<'a>(store: &'a mut Store, key: &str) -> &'a mut BTreeMap<String, String> {
    match store.get_mut(key) {
        Some(Value::Hash(fields) | Value::Sorted(fields)) => fields,
        Some(Value::Expiring { value, .. }) => match &mut **value {
            Value::Hash(fields) => fields,
            other => panic!("{key} is {other:?}"),
        },
        other => panic!("{key} is {other:?}"),
    }
}

fn set(key: &'static str, field: &'static str, to: &'static str) -> impl Fn(&mut Store) {
    move |store| {
        fields(store, key).insert(field.to_owned(), to.to_owned());
    }
}

fn text(key: &'static str, to: &'static str) -> impl Fn(&mut Store) {
    move |store| {
        store.insert(key.to_owned(), Value::Text(to.to_owned()));
    }
}

/// The first member of a sorted set, or field of a hash, that holds a word.
fn remove(key: &'static str, word: &'static str) -> impl Fn(&mut Store) {
    move |store| {
        let fields = fields(store, key);
        let name = fields.keys().find(|name| name.contains(word)).expect("it is there").clone();
        fields.remove(&name);
    }
}

#[test]
fn a_lie_about_sales_is_named_where_the_rest_of_the_log_tells() {
    let newer = "1795000310000:00000000-0000-0000-0000-000000000067:10.30";
    let lies: [Lie<'_>; 30] = [
        ("p:reportes:total", &set("p:reportes:total", "Electronica", "3")),
        ("p:reportes:total:Ropa", &text("p:reportes:total:Ropa", "4")),
        ("p:stats:precio:suma", &set("p:stats:precio:suma", "Electronica", "42.79")),
        ("p:stats:precio:suma", &set("p:stats:precio:suma", "Ropa", "40.00")),
        ("p:stats:precio:promedio", &set("p:stats:precio:promedio", "Ropa", "10.41")),
        ("p:stats:cantidad:suma", &set("p:stats:cantidad:suma", "Ropa", "7")),
        ("p:stats:cantidad:promedio", &set("p:stats:cantidad:promedio", "Ropa", "2.01")),
        ("p:stats:ingresos:suma", &set("p:stats:ingresos:suma", "Ropa", "21.39")),
        ("p:stats:ingresos:suma", &set("p:stats:ingresos:suma", "Ropa", "65.41")),
        ("p:ventas:global:precio_max", &text("p:ventas:global:precio_max", "10.89")),
        ("p:ventas:global:precio_min", &text("p:ventas:global:precio_min", "10.51")),
        ("p:ranking:Ropa", &set("p:ranking:Ropa", "P-1", "1")),
        ("p:ranking:global", &set("p:ranking:global", "P-1", "7")),
        ("p:historial:precio:Electronica", &remove("p:historial:precio:Electronica", "1795000480000")),
        ("p:historial:precio:Ropa", &set("p:historial:precio:Ropa", newer, "1795000310000")),
        ("p:serie:ventas", &remove("p:serie:ventas", "1795000360")),
        ("p:serie:ventas", &set("p:serie:ventas", "1795000400:1", "1795000400")),
        ("p:serie:ventas", &set("p:serie:ventas", "1795000300:x", "1795000300")),
        ("p:serie:ventas", &remove("p:serie:precio:Ropa", "1795000060")),
        ("p:serie:precio:Ropa", &remove("p:serie:precio:Ropa", "1795000420")),
        ("p:serie:precio:Ropa", &set("p:serie:precio:Ropa", "1795000420", "1:10.70:10.70:10.71")),
        ("p:serie:precio:Ropa", &set("p:serie:precio:Ropa", "1795000420", "2:21.40:10.70:10.70")),
        ("p:serie:precio:Ropa", &set("p:serie:precio:Ropa", "1795000060", "2:21.40:10.10:10.10")),
        ("p:idempotencia:ventas:0", &remove("p:idempotencia:ventas:0", "k8")),
        ("p:idempotencia:ventas:0", &set("p:idempotencia:ventas:0", "k8", "1795000480001")),
        ("p:idempotencia:ventas:0", &set("p:idempotencia:ventas:0", "k4", "1795000480000")),
        (
            "p:idempotencia:ventas:0:evento",
            &set("p:idempotencia:ventas:0:evento", "k8", "8:0000000000000000"),
        ),
        ("p:ultimo:ventas", &set("p:ultimo:ventas", "0", "4:0101010101010101")),
        ("p:posicion:ventas", &set("p:posicion:ventas", "0", "9")),
        ("p:esquema", &set("p:esquema", "version", "1")),
    ];
    for (at, (key, change)) in lies.iter().enumerate() {
        let differences = lie(SALES, change);
        assert!(differences.iter().any(|difference| difference.key == *key), "{at} {key}: {differences:?}");
    }
}

#[test]
fn a_lie_about_reports_is_named_where_the_rest_of_the_log_tells() {
    let left = "p:clima:GT:1795000300000:00000000-0000-0000-0000-000000000069";
    let gone = "p:clima:GT:1795000000000:00000000-0000-0000-0000-000000000064";
    let later = "p:clima:GT:1795000310000:00000000-0000-0000-0000-000000000064";
    let moved = move |store: &mut Store| {
        let mut report = store[gone].clone();
        let Value::Expiring { at_ms, .. } = &mut report else { panic!("{report:?}") };
        *at_ms += 310_000;
        store.insert(later.to_owned(), report);
        fields(store, later).insert("timestamp".to_owned(), "1795000310000".to_owned());
    };
    let lies: [Lie<'_>; 9] = [
        ("p:country_counts", &set("p:country_counts", "GT", "3")),
        ("p:country_counts", &remove("p:country_counts", "GT")),
        ("p:total_messages", &text("p:total_messages", "11")),
        ("p:total_messages", &set("p:country_counts", "GT", "8")),
        (left, &set(left, "description", "another")),
        (left, &|store| drop(store.remove(left))),
        (gone, &set(gone, "timestamp", "1795000000001")),
        (later, &moved),
        ("p:ultimo:clima", &set("p:ultimo:clima", "0", "9:ffffffffffffffff")),
    ];
    for (at, (key, change)) in lies.iter().enumerate() {
        let differences = lie(WEATHER, change);
        assert!(differences.iter().any(|difference| difference.key == *key), "{at} {key}: {differences:?}");
    }
}

#[test]
fn a_bound_is_said_to_be_one() {
    let said = |differences: Vec<Difference>, key: &str| {
        let of_it = differences.into_iter().find(|difference| difference.key == key).expect("it differs");
        (of_it.expected.expect("a bound"), of_it.found.expect("a value"))
    };
    let lower = lie(SALES, set("p:reportes:total", "Electronica", "3"));
    assert_eq!(said(lower, "p:reportes:total"), ("at least 4".to_owned(), "3".to_owned()));
    let lowest = lie(SALES, text("p:ventas:global:precio_min", "10.51"));
    assert_eq!(said(lowest, "p:ventas:global:precio_min"), ("at most 10.50".to_owned(), "10.51".to_owned()));
    let more = |store: &mut Store| {
        set("p:country_counts", "GT", "8")(store);
        text("p:total_messages", "11")(store);
    };
    let more = lie(WEATHER, more);
    assert_eq!(
        said(more, "p:total_messages"),
        ("at most 10".to_owned(), "11".to_owned()),
        "ten records were written"
    );
}

/// What nothing that is left can contradict. The proof says so, by naming what is gone.
#[test]
fn of_what_is_gone_the_store_is_believed() {
    let gone = "p:clima:GT:1795000000000:00000000-0000-0000-0000-000000000064";
    assert_eq!(lie(WEATHER, set(gone, "description", "another")), []);
    assert_eq!(lie(WEATHER, |store| drop(store.remove(gone))), []);
    assert_eq!(lie(SALES, text("p:ventas:global:precio_max", "19.90")), []);
    assert_eq!(lie(SALES, set("p:serie:precio:Ropa", "1795000060", "1:10.11:10.11:10.11")), []);
    assert_eq!(
        lie(SALES, remove("p:idempotencia:ventas:0:evento", "k4")).len(),
        1,
        "a half of it is a fault"
    );
}

/// With nothing left, the store may hold whatever so many records can lead to.
#[test]
fn a_log_that_is_gone_as_a_whole_still_bounds_the_store() {
    let mut case = ten(SALES);
    case.partitions[0].1 = 10;
    let store = case.whole().expected();
    assert_eq!(case.compare(store.clone()), []);
    for (key, change) in [
        ("p:reportes:total", set("p:reportes:total", "Ropa", "4")),
        ("p:stats:cantidad:suma", set("p:stats:cantidad:suma", "Ropa", "7")),
        ("p:posicion:ventas", set("p:posicion:ventas", "0", "9")),
    ] {
        let mut store = store.clone();
        change(&mut store);
        assert!(case.compare(store).iter().any(|difference| difference.key == key), "{key}");
    }
}
