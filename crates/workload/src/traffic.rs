use blackfriday_event::{Money, Quantity, SaleDraft, WeatherDraft};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Workload;

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

    /// Sale number `n`: a product by its weight, a price up to 30 % below its list price, and one to nine units, few
    /// more often than many.
    pub fn sale(&self, n: u64) -> SaleDraft {
        let mut rng = self.rng(n, 0);
        let all = self.weights.last().copied().unwrap_or(1);
        let ticket = rng.random_range(0..all);
        let product = &self.workload.products[self.weights.partition_point(|sum| *sum <= ticket)];
        let share = rng.random_range(70..=100_u64);
        let price =
            Money::from_cents(u64::from(product.price.cents()) * share / 100).unwrap_or(product.price);
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
    use std::collections::BTreeMap;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sales_in_every_version() {
        let traffic = Traffic::new(Workload::black_friday(), None);
        let mut hash = Sha256::new();
        (0..1000).for_each(|n| hash.update(format!("{:?}", traffic.sale(n))));
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, "6abf37ef7899b1a27b655380d64d1f70f7be082634b9b338a929c2d13cb69021");
        assert_ne!(Traffic::new(Workload::black_friday(), Some(18)).sale(0), traffic.sale(0));
    }

    #[test]
    fn products_are_sold_by_their_weight_below_their_list_price() {
        let traffic = Traffic::new(Workload::black_friday(), None);
        let mut sold = BTreeMap::<_, u32>::new();
        for n in 0..20_000 {
            let sale = traffic.sale(n);
            *sold.entry(sale.product_id.to_string()).or_default() += 1;
            let product = traffic
                .workload()
                .products
                .iter()
                .find(|p| p.id == sale.product_id)
                .expect("in the catalogue");
            assert!(
                sale.price <= product.price && sale.price.cents() * 100 >= product.price.cents() * 70 - 100
            );
            assert!((1..=9).contains(&sale.quantity.units()));
        }
        assert!(sold["E-001"] > 5 * sold["E-015"] && sold.len() == traffic.workload().products.len());
    }
}
