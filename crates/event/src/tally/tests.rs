use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;
use crate::sale::{Quantity, SaleDraft};

const BOUNDS: Bounds = Bounds { history_len: 3, series_seconds: 4 };

fn sales(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Sale>> {
    let sale = (1_i64..=4, 0_u8..5, 0..=Money::MAX_CENTS, 1_i64..=100_000, 0_u64..12_000, any::<u128>());
    prop::collection::vec(sale, len).prop_map(|sales| {
        sales
            .into_iter()
            .map(|(category, product, cents, units, millis, id)| Sale {
                id: EventId::from_slice(&id.to_be_bytes()).expect("16 bytes"),
                accepted_at: Timestamp::from_millis(millis).expect("in range"),
                idempotency_key: None,
                draft: SaleDraft {
                    category: Category::from_number(category).expect("1 to 4"),
                    product_id: ProductId::new(&format!("P-{product}")).expect("visible"),
                    price: Money::from_cents(u64::from(cents)).expect("in range"),
                    quantity: Quantity::new(units).expect("in range"),
                },
            })
            .collect()
    })
}

fn tally<'a>(sales: impl IntoIterator<Item = &'a Sale>) -> SaleTally {
    let mut tally = SaleTally::new(BOUNDS);
    sales.into_iter().for_each(|sale| tally.fold(sale));
    tally
}

fn merged(parts: &[&SaleTally]) -> SaleTally {
    let mut sum = SaleTally::new(BOUNDS);
    parts.iter().for_each(|part| sum.merge(part));
    sum
}

/// Two prices of one event at one time, which only a defect can write: their order is that of the store's members.
#[test]
fn points_of_one_event_are_ordered_as_the_store_orders_their_texts() {
    let point = |cents| PricePoint {
        accepted_at: Timestamp::from_millis(1).expect("in range"),
        id: EventId::from_slice(&[7; 16]).expect("16 bytes"),
        price: Money::from_cents(cents).expect("in range"),
    };
    let mut points = [point(999), point(1_000), point(20_000), point(3)];
    points.sort();
    let texts = points.map(|point| point.price.to_string());
    assert_eq!(texts, ["0.03", "10.00", "200.00", "9.99"]);
}

proptest! {
    #[test]
    fn the_order_of_sales_does_not_matter(sales in sales(0..40), seed in any::<prop::sample::Index>()) {
        let mut rotated = sales.clone();
        if !rotated.is_empty() {
            let middle = seed.index(rotated.len());
            rotated.rotate_left(middle);
            rotated.reverse();
        }
        prop_assert_eq!(tally(&sales), tally(&rotated));
    }

    #[test]
    fn merge_is_commutative_and_associative_and_equals_one_fold(
        a in sales(0..20), b in sales(0..20), c in sales(0..20),
    ) {
        let (ta, tb, tc) = (tally(&a), tally(&b), tally(&c));
        prop_assert_eq!(merged(&[&ta, &tb]), merged(&[&tb, &ta]));
        let left = merged(&[&merged(&[&ta, &tb]), &tc]);
        let right = merged(&[&ta, &merged(&[&tb, &tc])]);
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(left, tally(a.iter().chain(&b).chain(&c)));
    }

    #[test]
    fn it_equals_a_naive_model_in_big_integers(sales in sales(0..60)) {
        let tally = tally(&sales);
        for category in Category::ALL {
            let of: Vec<_> = sales.iter().filter(|sale| sale.draft.category == category).collect();
            let sum = |term: &dyn Fn(&Sale) -> BigUint| of.iter().map(|sale| term(sale)).sum::<BigUint>();
            let price = |sale: &Sale| BigUint::from(sale.draft.price.cents());
            let units = |sale: &Sale| BigUint::from(sale.draft.quantity.units());
            let got = tally.category(category);
            prop_assert_eq!(got.sales, of.len() as u64);
            prop_assert_eq!(BigUint::from(got.price_cents), sum(&price));
            prop_assert_eq!(BigUint::from(got.units), sum(&units));
            prop_assert_eq!(BigUint::from(got.revenue_cents), sum(&|sale| price(sale) * units(sale)));
            let by_product: BigUint = got.units_by_product.values().map(|u| BigUint::from(*u)).sum();
            prop_assert_eq!(by_product, sum(&units));
            let newest: BTreeSet<_> = of
                .iter()
                .map(|sale| PricePoint { accepted_at: sale.accepted_at, id: sale.id, price: sale.draft.price })
                .collect();
            let skip = newest.len().saturating_sub(BOUNDS.history_len);
            prop_assert_eq!(got.history(), &newest.into_iter().skip(skip).collect::<VecDeque<_>>());
        }
        let prices = || sales.iter().map(|sale| sale.draft.price);
        prop_assert_eq!(tally.price_range(), prices().min().zip(prices().max()));
        let newest = sales.iter().map(|sale| sale.accepted_at.seconds()).max().unwrap_or(0);
        let floor = (newest + 1).saturating_sub(BOUNDS.series_seconds);
        let mut by_second = BTreeMap::<_, Vec<_>>::new();
        for sale in sales.iter().filter(|sale| sale.accepted_at.seconds() >= floor) {
            by_second.entry(sale.accepted_at.seconds()).or_default().push(sale);
        }
        let counts: Vec<_> = by_second.iter().map(|(second, of)| (*second, of.len() as u64)).collect();
        prop_assert_eq!(tally.seconds().collect::<Vec<_>>(), counts);
        for category in Category::ALL {
            let prices = by_second.iter().filter_map(|(second, of)| {
                let prices = || of.iter().filter(|sale| sale.draft.category == category).map(|sale| sale.draft.price);
                let (min, max) = prices().min().zip(prices().max())?;
                let cents = prices().map(|price| u128::from(price.cents())).sum();
                Some((*second, SecondPrices { sales: prices().count() as u64, cents, min, max }))
            });
            let got: Vec<_> = tally.prices(category).map(|(second, prices)| (second, *prices)).collect();
            prop_assert_eq!(got, prices.collect::<Vec<_>>());
        }
    }
}
