//! New workloads, made up from a seed: other products, prices and favourites than the built-in one, the same kind of day.

use std::fmt::Write as _;

use blackfriday_event::Category;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::catalogue::{Product, Workload};

/// Weight of a category's favourite; the second has half of it, the third a third (Zipf).
const FAVOURITE: u32 = 100_000;
/// Of the base price, in percent.
const PRICES: std::ops::RangeInclusive<u64> = 70..=140;
/// A price ends in one of these cents.
const ENDINGS: [u64; 4] = [0, 50, 90, 99];
/// When and how many arrive, in hundredths: the doors open, the rush, a lull, the evening, the end.
const DAY: [(u32, u32); 8] =
    [(0, 30), (10, 40), (20, 240), (30, 200), (50, 80), (65, 70), (80, 150), (100, 20)];

/// What a workload is made from: the same recipe gives the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Its name.
    pub title: String,
    /// Where all chance comes from; also the seed of the traffic.
    pub seed: u64,
    /// Products in each category, 1 to 100000.
    pub products: u32,
}

/// The file of a new workload: TOML that [`Workload::parse`] reads.
pub fn make(recipe: &Recipe) -> String {
    const INFALLIBLE: &str = "writing into a String cannot fail";
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
    let title = toml::Value::String(recipe.title.clone());
    let mut text = format!("title = {title}\nseed = {}\n\narrivals = [\n", recipe.seed);
    for (at, rate) in DAY {
        let rate = rate * rng.random_range(80..=120_u32) / 100;
        writeln!(text, "  {{ at = {}, rate = {} }},", hundredths(at.into()), hundredths(rate.into()))
            .expect(INFALLIBLE);
    }
    text.push_str("]\n\nproducts = [\n");
    let known = Workload::black_friday().products;
    for category in Category::ALL {
        let base: Vec<_> = known.iter().filter(|product| product.category == category).collect();
        for (number, rank) in (1..).zip(ranks(recipe.products, &mut rng)) {
            text.push_str(&product(number, rank, &base, &mut rng));
        }
    }
    text.push_str("]\n");
    text
}

/// 1 to `count` in the order of chance.
fn ranks(count: u32, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut ranks: Vec<_> = (1..=count).collect();
    ranks.shuffle(rng);
    ranks
}

fn product(number: usize, rank: u32, base: &[&Product], rng: &mut ChaCha8Rng) -> String {
    let like = base[(number - 1) % base.len()];
    let series = (number - 1) / base.len() + 1;
    let name = if series == 1 { like.name.clone() } else { format!("{}, modelo {series}", like.name) };
    let cents = u64::from(like.price.cents()) * rng.random_range(PRICES) / 100;
    let price = cents - cents % 100 + ENDINGS[rng.random_range(0..ENDINGS.len())];
    let discount = rng.random_range(2..=10_u32) * 5;
    let weight = (FAVOURITE / rank).max(1);
    let (category, name, price) = (like.category.name(), toml::Value::String(name), hundredths(price));
    let initial = &category[..1];
    format!(
        "  {{ id = \"{initial}-{number:03}\", name = {name}, category = \"{category}\", price = {price}, \
        discount = {discount}, weight = {weight} }},\n"
    )
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

#[cfg(test)]
mod tests {
    use blackfriday_registry::digest;

    use super::*;

    fn recipe(seed: u64, products: u32) -> Recipe {
        Recipe { title: "A \"day\"".to_owned(), seed, products }
    }

    #[test]
    fn what_is_made_can_be_read() {
        for (seed, products) in [(0, 1), (u64::from(u32::MAX), 7), (3, 100)] {
            let workload = Workload::parse(&make(&recipe(seed, products))).expect("a workload");
            assert_eq!((workload.title.as_str(), workload.seed), ("A \"day\"", seed));
            assert_eq!(workload.products.len(), 4 * products as usize);
            for category in Category::ALL {
                let own = workload.products.iter().filter(|product| product.category == category);
                let weights: Vec<_> = own.map(|product| product.weight).collect();
                assert_eq!(weights.len(), products as usize);
                assert!(weights.contains(&FAVOURITE));
            }
            assert!(workload.arrivals.peak() > 1.5, "a black friday has a rush");
        }
    }

    #[test]
    fn the_same_recipe_gives_the_same_file_in_every_version() {
        let made = make(&recipe(17, 50));
        assert_eq!(
            digest::sha256(&made),
            "sha256:fcfdfbdd11794cb864f81cb478e7cc1ea0ab9c2d041551470d19211e49f110bc"
        );
        assert_ne!(make(&recipe(18, 50)), made);
    }
}
