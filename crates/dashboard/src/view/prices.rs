//! Prices by second: each second as it is stored, or so many seconds in a row that the rows are few. Rows of several seconds
//! are as exact as those of one: what is merged are numbers of sales, sums, and lowest and highest prices.

use blackfriday_store::PricesAt;

use super::Prices;
use crate::decimal;

/// The most rows where not every second is asked for.
const MOST_ROWS: u64 = 200;
/// Seconds of a row: the first of these with which the rows are few enough.
const STEPS: [u64; 10] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
/// Beyond these a number is none of the store's, and sums of such numbers would overflow.
const MOST_SALES: u64 = 100_000_000_000_000;
const MOST_CENTS: u128 = 1 << 100;

/// What the prices of some seconds' sales add up to, in cents.
#[derive(Debug, Clone, Copy)]
struct Sums {
    second: u64,
    sales: u64,
    cents: u128,
    min: u128,
    max: u128,
}

/// A row for each second that can be read, oldest first.
pub(crate) fn by_second(held: &[PricesAt]) -> Vec<Prices> {
    held.iter().filter_map(Sums::read).map(|sums| sums.row(1)).collect()
}

/// The same in few rows, and whether every second can be read.
pub(super) fn in_few_rows(held: &[PricesAt]) -> (Vec<Prices>, bool) {
    let readable: Vec<_> = held.iter().filter_map(Sums::read).collect();
    let (Some(first), Some(last)) = (readable.first(), readable.last()) else {
        return (Vec::new(), held.is_empty());
    };
    let step = step(first.second, last.second);
    let mut rows: Vec<Sums> = Vec::new();
    for sums in &readable {
        let second = sums.second / step * step;
        match rows.last_mut().filter(|row| row.second == second) {
            Some(row) => row.add(sums),
            None => rows.push(Sums { second, ..*sums }),
        }
    }
    (rows.iter().map(|sums| sums.row(step)).collect(), readable.len() == held.len())
}

/// Seconds of a row, from one second to another.
fn step(first: u64, last: u64) -> u64 {
    let fits = |step: &u64| last / step - first / step < MOST_ROWS;
    STEPS.into_iter().find(fits).unwrap_or_else(|| (last - first).div_ceil(MOST_ROWS - 2))
}

impl Sums {
    fn read(at: &PricesAt) -> Option<Self> {
        let cents = |text: &str| decimal::read(text, super::PLACES).filter(|cents| *cents <= MOST_CENTS);
        let sales = at.sales.parse().ok().filter(|sales| (1..=MOST_SALES).contains(sales))?;
        let (sum, min, max) = (cents(&at.sum)?, cents(&at.min)?, cents(&at.max)?);
        Some(Self { second: at.second, sales, cents: sum, min, max })
    }

    fn add(&mut self, other: &Self) {
        self.sales += other.sales;
        self.cents += other.cents;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn row(&self, seconds: u64) -> Prices {
        let text = |cents| decimal::write(cents, super::PLACES);
        let sales = u128::from(self.sales);
        Prices {
            t_ms: self.second.saturating_mul(1000),
            segundos: seconds,
            ventas: self.sales,
            precio_suma: text(self.cents),
            precio_minimo: text(self.min),
            precio_promedio: text((2 * self.cents + sales) / (2 * sales)),
            precio_maximo: text(self.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64, prices: [&str; 4]) -> PricesAt {
        let [sales, sum, min, max] = prices.map(str::to_owned);
        PricesAt { second, sales, sum, min, max }
    }

    fn row(second: u64, seconds: u64, ventas: u64, prices: [&str; 4]) -> Prices {
        let [precio_suma, precio_minimo, precio_promedio, precio_maximo] = prices.map(str::to_owned);
        let t_ms = second * 1000;
        Prices { t_ms, segundos: seconds, ventas, precio_suma, precio_minimo, precio_promedio, precio_maximo }
    }

    #[test]
    fn few_seconds_have_a_row_each() {
        let held = [at(7, ["2", "3.01", "1.00", "2.01"]), at(206, ["1", "5.00", "5.00", "5.00"])];
        let rows = [
            row(7, 1, 2, ["3.01", "1.00", "1.51", "2.01"]),
            row(206, 1, 1, ["5.00", "5.00", "5.00", "5.00"]),
        ];
        assert_eq!(in_few_rows(&held), (rows.to_vec(), true));
        assert_eq!(by_second(&held), rows);
        assert_eq!(in_few_rows(&[]), (Vec::new(), true));
    }

    #[test]
    fn many_seconds_share_rows_and_stay_exact() {
        let held: Vec<_> = (1003..1903).map(|n| at(n, ["1", "1.00", "1.00", "1.00"])).collect();
        let (rows, _) = in_few_rows(&held);
        assert_eq!(rows.len(), 181);
        assert_eq!(rows[0], row(1000, 5, 2, ["2.00", "1.00", "1.00", "1.00"]));
        assert_eq!(rows[1], row(1005, 5, 5, ["5.00", "1.00", "1.00", "1.00"]));
        let huge = "99999999999999999999999.99";
        let held = [
            at(0, ["1", huge, "0.01", "7.00"]),
            at(1, ["2", huge, "0.02", "9.00"]),
            at(900, ["1", "1.00", "1.00", "1.00"]),
        ];
        let (rows, _) = in_few_rows(&held);
        let prices = ["199999999999999999999999.98", "0.01", "66666666666666666666666.66", "9.00"];
        assert_eq!(rows[0], row(0, 5, 3, prices));
        let far = [at(0, ["1", "1.00", "1.00", "1.00"]), at(u64::MAX, ["1", "1.00", "1.00", "1.00"])];
        assert_eq!(in_few_rows(&far).0.len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_said() {
        let good = at(5, ["1", "1.00", "1.00", "1.00"]);
        for wrong in [
            ["0", "0.00", "0.00", "0.00"],
            ["x", "1.00", "1.00", "1.00"],
            ["100000000000001", "1.00", "1.00", "1.00"],
            ["1", "1.0", "1.00", "1.00"],
            ["1", "1.00", "", "1.00"],
            ["1", "1.00", "1.00", "1.00:1"],
            ["1", "9999999999999999999999999999999.00", "1.00", "1.00"],
        ] {
            let held = [good.clone(), at(6, wrong)];
            let rows = vec![row(5, 1, 1, ["1.00"; 4])];
            assert_eq!((in_few_rows(&held), by_second(&held)), ((rows.clone(), false), rows), "{wrong:?}");
        }
        assert_eq!(in_few_rows(&[PricesAt::default()]), (Vec::new(), false));
    }
}
