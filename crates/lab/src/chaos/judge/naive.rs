//! The store, computed a second time from the log: one record after the other into plain maps, and compared with what plain
//! commands say. Written without a look at the consumer, the store's crate or `verify`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::{Context, Result};
use blackfriday_stack::Valkey;
use uuid::Uuid;

use super::Verdict;
use super::raw::{Event, Raw};

const CATEGORIES: [&str; 4] = ["Electronica", "Ropa", "Hogar", "Belleza"];
/// As documented: prices kept of a category, and seconds kept of both series.
const HISTORY: usize = 500;
const SERIES_S: u64 = 900;

/// A key of the store.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Text(String),
    Hash(BTreeMap<String, String>),
    Sorted(BTreeMap<String, String>),
}

/// What one category adds up to.
#[derive(Default)]
struct Sums {
    sales: u64,
    cents: u64,
    units: u64,
    revenue: u64,
    ranking: BTreeMap<String, u64>,
    history: BTreeSet<(u64, String)>,
    /// Every price by second.
    prices: BTreeMap<u64, Vec<u64>>,
}

/// Units by product, over all categories.
pub(super) async fn units(store: &Valkey) -> Result<HashMap<String, u64>> {
    let scores = pairs(&store.command(&["ZRANGE", "ranking:global", "0", "-1", "WITHSCORES"]).await?);
    scores.into_iter().map(|(product, units)| Ok((product, units.parse()?))).collect()
}

/// Whether the store holds what the records add up to.
pub(super) async fn agrees(store: &Valkey, records: &[Raw]) -> Result<Verdict> {
    let expected = add_up(records);
    let mut verdict = Verdict::new("by a recomputation", expected.len());
    for (key, expected) in expected {
        let found = found(store, &key, &expected).await.with_context(|| format!("read {key}"))?;
        if found != expected {
            verdict.faults.push(difference(&key, &expected, &found));
        }
    }
    Ok(verdict)
}

fn add_up(records: &[Raw]) -> BTreeMap<String, Expected> {
    let (mut keys, mut ends) = (HashSet::new(), BTreeMap::<&str, BTreeMap<String, String>>::new());
    let mut categories: [Sums; 4] = Default::default();
    let (mut seconds, mut countries) = (BTreeMap::<u64, u64>::new(), BTreeMap::<String, u64>::new());
    for record in records {
        let end = (record.offset + 1).to_string();
        ends.entry(record.topic).or_default().insert(record.partition.to_string(), end);
        if !record.can_be_counted() {
            continue;
        }
        // A run is far shorter than the day for which a key is remembered: the first record of a key is the one that counts.
        if !record.key.is_empty() && !keys.insert((record.topic, record.partition, record.key.clone())) {
            continue;
        }
        match &record.event {
            Event::Sale { category, product, cents, units } => {
                let Some(sums) =
                    usize::try_from(*category).ok().and_then(|at| categories.get_mut(at.wrapping_sub(1)))
                else {
                    continue;
                };
                sums.sales += 1;
                sums.cents += cents;
                sums.units += units;
                sums.revenue += cents * units;
                *sums.ranking.entry(product.clone()).or_default() += units;
                let id = Uuid::from_slice(&record.id).unwrap_or_default();
                sums.history.insert((record.time_ms, format!("{id}:{}", decimal(*cents))));
                sums.prices.entry(record.time_ms / 1000).or_default().push(*cents);
                *seconds.entry(record.time_ms / 1000).or_default() += 1;
            }
            Event::Weather { country, .. } => *countries.entry(country.clone()).or_default() += 1,
            Event::Other => {}
        }
    }
    let mut all = BTreeMap::new();
    for (topic, ends) in ends {
        all.insert(format!("posicion:{topic}"), Expected::Hash(ends));
    }
    add_sales(&mut all, &categories, &seconds);
    add_extremes(&mut all, records);
    if !countries.is_empty() {
        all.insert("total_messages".to_owned(), Expected::Text(countries.values().sum::<u64>().to_string()));
        all.insert("country_counts".to_owned(), Expected::Hash(texts(&countries)));
    }
    all
}

fn add_sales(all: &mut BTreeMap<String, Expected>, categories: &[Sums; 4], seconds: &BTreeMap<u64, u64>) {
    let sold: Vec<_> = CATEGORIES.into_iter().zip(categories).filter(|(_, sums)| sums.sales > 0).collect();
    let Some(newest_second) = seconds.keys().next_back() else { return };
    let hash = |text: &dyn Fn(&Sums) -> String| {
        Expected::Hash(sold.iter().map(|(name, sums)| ((*name).to_owned(), text(sums))).collect())
    };
    let sums = [
        ("reportes:total", hash(&|of| of.sales.to_string())),
        ("stats:precio:suma", hash(&|of| decimal(of.cents))),
        ("stats:cantidad:suma", hash(&|of| of.units.to_string())),
        ("stats:ingresos:suma", hash(&|of| decimal(of.revenue))),
        ("stats:precio:promedio", hash(&|of| decimal(mean(of.cents, of.sales)))),
        ("stats:cantidad:promedio", hash(&|of| decimal(mean(of.units * 100, of.sales)))),
    ];
    all.extend(sums.map(|(name, sums)| (name.to_owned(), sums)));
    let mut ranking = BTreeMap::<String, u64>::new();
    for (name, sums) in &sold {
        all.insert(format!("reportes:total:{name}"), Expected::Text(sums.sales.to_string()));
        all.insert(format!("ranking:{name}"), Expected::Sorted(texts(&sums.ranking)));
        let newest = sums.history.iter().rev().take(HISTORY);
        let history = newest.map(|(time, rest)| (format!("{time}:{rest}"), time.to_string()));
        all.insert(format!("historial:precio:{name}"), Expected::Sorted(history.collect()));
        let kept = sums.prices.iter().filter(|(second, _)| **second + SERIES_S > *newest_second);
        let prices: BTreeMap<_, _> =
            kept.map(|(second, prices)| (second.to_string(), of_second(prices))).collect();
        if !prices.is_empty() {
            all.insert(format!("serie:precio:{name}"), Expected::Hash(prices));
        }
        sums.ranking
            .iter()
            .for_each(|(product, units)| *ranking.entry(product.clone()).or_default() += units);
    }
    all.insert("ranking:global".to_owned(), Expected::Sorted(texts(&ranking)));
    let kept = seconds.iter().filter(|(second, _)| **second + SERIES_S > *newest_second);
    let series = kept.map(|(second, sales)| (format!("{second}:{sales}"), second.to_string()));
    all.insert("serie:ventas".to_owned(), Expected::Sorted(series.collect()));
}

/// Number, sum, lowest and highest.
fn of_second(prices: &[u64]) -> String {
    let of = |price: Option<&u64>| decimal(price.copied().unwrap_or(0));
    let sum = decimal(prices.iter().sum());
    format!("{}:{sum}:{}:{}", prices.len(), of(prices.iter().min()), of(prices.iter().max()))
}

fn add_extremes(all: &mut BTreeMap<String, Expected>, records: &[Raw]) {
    let price = |record: &Raw| if let Event::Sale { cents, .. } = record.event { Some(cents) } else { None };
    let counted = records.iter().filter(|record| record.can_be_counted());
    let prices: Vec<u64> = counted.filter_map(price).collect();
    let extremes = [("precio_max", prices.iter().max()), ("precio_min", prices.iter().min())];
    for (name, price) in extremes {
        all.extend(price.map(|price| (format!("ventas:global:{name}"), Expected::Text(decimal(*price)))));
    }
}

/// What the store has under a key, in the form in which it is expected.
async fn found(store: &Valkey, key: &str, like: &Expected) -> Result<Expected> {
    Ok(match like {
        Expected::Text(_) => Expected::Text(store.command(&["GET", key]).await?),
        Expected::Hash(_) => Expected::Hash(pairs(&store.command(&["HGETALL", key]).await?)),
        Expected::Sorted(_) => {
            Expected::Sorted(pairs(&store.command(&["ZRANGE", key, "0", "-1", "WITHSCORES"]).await?))
        }
    })
}

fn difference(key: &str, expected: &Expected, found: &Expected) -> String {
    match (expected, found) {
        (Expected::Hash(expected), Expected::Hash(found))
        | (Expected::Sorted(expected), Expected::Sorted(found)) => {
            let members: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
            let wrong = members.into_iter().filter(|member| expected.get(*member) != found.get(*member));
            let wrong: Vec<_> = wrong.collect();
            let first = wrong.first().map_or("", |member| member.as_str());
            let of = |map: &BTreeMap<String, String>| {
                map.get(first).cloned().unwrap_or_else(|| "nothing".to_owned())
            };
            let (found, expected) = (of(found), of(expected));
            format!("{key} {first} holds {found}, and should hold {expected}; {} members differ", wrong.len())
        }
        _ => format!("{key} holds {found:?}, and should hold {expected:?}"),
    }
}

fn pairs(lines: &str) -> BTreeMap<String, String> {
    let lines: Vec<_> = lines.lines().collect();
    lines.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

fn texts(numbers: &BTreeMap<String, u64>) -> BTreeMap<String, String> {
    numbers.iter().map(|(name, number)| (name.clone(), number.to_string())).collect()
}

fn decimal(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Half up.
fn mean(sum: u64, number: u64) -> u64 {
    (2 * sum + number) / (2 * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(offset: i64, product: &str, key: &str) -> Raw {
        let event = Event::Sale { category: 2, product: product.to_owned(), cents: 150, units: 2 };
        let (id, key) = (vec![0; 16], key.to_owned());
        Raw { topic: "ventas", partition: 0, offset, time_ms: 5_000, id, key, event }
    }

    #[test]
    fn a_key_counts_once_and_everything_else_each_time() {
        let all = add_up(&[sale(0, "a", ""), sale(1, "a", ""), sale(2, "b", "k"), sale(3, "b", "k")]);
        let text = |key: &str| match &all[key] {
            Expected::Text(text) => text.clone(),
            other => panic!("{key} is {other:?}"),
        };
        assert_eq!(text("reportes:total:Ropa"), "3");
        assert_eq!(text("ventas:global:precio_max"), "1.50");
        let hash =
            |field: &str, value: &str| Expected::Hash(BTreeMap::from([(field.to_owned(), value.to_owned())]));
        assert_eq!(all["stats:ingresos:suma"], hash("Ropa", "9.00"));
        assert_eq!(all["posicion:ventas"], hash("0", "4"));
        assert_eq!(all["serie:precio:Ropa"], hash("5", "3:4.50:1.50:1.50"));
        let ranking = BTreeMap::from([("a", "4"), ("b", "2")].map(|(of, n)| (of.to_owned(), n.to_owned())));
        assert_eq!(all["ranking:global"], Expected::Sorted(ranking));
    }

    #[test]
    fn what_differs_is_named() {
        let sorted = |score: &str| Expected::Sorted(BTreeMap::from([("p".to_owned(), score.to_owned())]));
        let told = difference("ranking:global", &sorted("1"), &sorted("2"));
        assert!(told.contains("ranking:global p holds 2, and should hold 1"), "{told}");
    }
}
