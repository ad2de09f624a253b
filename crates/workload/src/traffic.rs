use blackfriday_event::{Money, Quantity, SaleDraft, WeatherDraft};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::catalogue::Workload;

const COUNTRIES: [&str; 8] = ["GT", "MX", "SV", "HN", "CR", "PA", "CO", "ES"];
const WEATHERS: [(&str, &str); 4] = [
    ("Soleado", "Cielo despejado"),
    ("Lluvioso", "Está lloviendo"),
    ("Nublado", "Nubes bajas"),
    ("Ventoso", "Viento fuerte"),
];

/// The sales and weather reports of a workload, by number.
#[derive(Debug, Clone)]
pub struct Traffic {
    workload: Workload,
    seed: u64,
    /// Sum of the weights up to and including each product.
    weights: Vec<u64>,
}

impl Traffic {
    /// The traffic of a workload under a seed, or under the workload's own.
    pub fn new(workload: Workload, seed: Option<u64>) -> Self {
        let sum = |sum: &mut u64, weight: u32| {
            *sum += u64::from(weight);
            Some(*sum)
        };
        let weights = workload.products.iter().map(|product| product.weight).scan(0, sum).collect();
        Self { seed: seed.unwrap_or(workload.seed), workload, weights }
    }

    /// Its seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What it is drawn from.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Sale number `n`: a product by its weight, a price between its lowest and its list price, and one to nine units, few
    /// more often than many.
    pub fn sale(&self, n: u64) -> SaleDraft {
        let mut rng = self.rng(n, 0);
        let all = self.weights.last().copied().unwrap_or(1);
        let ticket = rng.random_range(0..all);
        let product = &self.workload.products[self.weights.partition_point(|sum| *sum <= ticket)];
        let cents = rng.random_range(product.lowest_price().cents()..=product.price.cents());
        let price = Money::from_cents(cents.into()).unwrap_or(product.price);
        let units = 1 + rng.random_range(0..3_i64) * rng.random_range(0..5_i64);
        SaleDraft {
            category: product.category,
            product_id: product.id.clone(),
            price,
            quantity: Quantity::new(units).expect("1 to 9 units"),
        }
    }

    /// Weather report number `n`.
    pub fn weather(&self, n: u64) -> WeatherDraft {
        let mut rng = self.rng(n, 1);
        let country = COUNTRIES[rng.random_range(0..COUNTRIES.len())];
        let (weather, description) = WEATHERS[rng.random_range(0..WEATHERS.len())];
        WeatherDraft::new(description, country, weather).expect("the built-in texts are valid")
    }

    /// A stream of its own for each number. ChaCha8 is the same on every machine and in every version (rand_chacha's
    /// portability guarantee).
    fn rng(&self, n: u64, kind: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ (kind << 63));
        rng.set_stream(n);
        rng
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sales_in_every_version() {
        let traffic = Traffic::new(Workload::black_friday(), None);
        let mut hash = Sha256::new();
        for sale in (0..1000).map(|n| traffic.sale(n)) {
            let units = sale.quantity.units();
            hash.update(format!("{} {} {} {units}\n", sale.category, sale.product_id, sale.price));
        }
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, "06a0a891bd846f83d243423b6dae5c02da661cb8ec669533a431d0dc9055fe31");
        assert_ne!(Traffic::new(Workload::black_friday(), Some(18)).sale(0), traffic.sale(0));
    }

    #[test]
    fn products_are_sold_by_their_weight_within_their_prices() {
        let traffic = Traffic::new(Workload::black_friday(), None);
        let products = &traffic.workload().products;
        let mut sold = BTreeMap::<_, u32>::new();
        let mut units = BTreeMap::<_, u32>::new();
        for n in 0..50_000 {
            let sale = traffic.sale(n);
            let product = products.iter().find(|p| p.id == sale.product_id).expect("in the catalogue");
            *sold.entry(sale.product_id.to_string()).or_default() += 1;
            *units.entry(sale.quantity.units()).or_default() += 1;
            assert_eq!(sale.category, product.category);
            assert!((product.lowest_price()..=product.price).contains(&sale.price), "{sale:?}");
        }
        assert_eq!(sold.len(), products.len(), "every product is sold");
        let all: u32 = products.iter().map(|product| product.weight).sum();
        for product in products {
            let expected = 50_000.0 * f64::from(product.weight) / f64::from(all);
            let found = f64::from(sold[product.id.as_str()]);
            // Six standard deviations of a binomial.
            assert!(
                (found - expected).abs() < 6.0 * expected.sqrt(),
                "{}: {found} of {expected}",
                product.id
            );
        }
        assert!(units.keys().all(|units| (1..=9).contains(units)) && units[&1] > 5 * units[&9]);
    }

    #[test]
    fn reports_of_the_weather_vary_and_repeat_with_the_seed() {
        let traffic = Traffic::new(Workload::black_friday(), Some(1));
        let report = |n| traffic.weather(n);
        assert_eq!(report(7), Traffic::new(Workload::black_friday(), Some(1)).weather(7));
        let countries: BTreeSet<_> = (0..200).map(|n| report(n).country).collect();
        assert_eq!(countries.len(), COUNTRIES.len());
    }
}
