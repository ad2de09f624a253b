//! From the store's snapshot. Its numbers are text that anybody may have changed, so each is read before it is passed on.

use blackfriday_event::Category;
use blackfriday_store::{CategorySnapshot, PriceAt, PricesAt, ProductUnits, SalesAt, Snapshot};

use super::{
    CategoryCounters, CategoryFigures, Counters, PLACES, Price, Prices, Product, Second, Summary, Weather,
    prices,
};
use crate::decimal;
use crate::names::Names;
use crate::shared::Read;

/// By when what was accepted in a second is counted, if the consumer keeps up: milliseconds after its end.
const COUNTED_AFTER_MS: u64 = 500;

/// Names of what should be there and cannot be read.
#[derive(Default)]
pub(super) struct Unreadable(Vec<String>);

impl Summary {
    /// What was read, with the prices of `histories`, and the products' names as far as they are known.
    pub(crate) fn of(read: &Read, histories: &[Category], names: &Names) -> Self {
        let leido_ms = read.at.millis();
        let counters = Counters::of(read, histories, names);
        let frescura_ms = counters.ultima_venta_ms.map(|newest| since(newest, leido_ms));
        Self { leido_ms, frescura_ms, moneda: None, counters }
    }
}

impl Counters {
    fn of(Read { snapshot, redis, at }: &Read, histories: &[Category], names: &Names) -> Self {
        let mut unreadable = Unreadable::default();
        let product = |of: &ProductUnits| Product::of(of, names);
        let category = |of: &Category| {
            CategoryCounters::of(*of, snapshot, histories.contains(of), names, &mut unreadable)
        };
        let categorias: Vec<_> = Category::ALL.iter().map(category).collect();
        let is_held = |of: &&CategoryFigures| snapshot.categories.contains_key(of.categoria);
        let held = || categorias.iter().map(|of| &of.figures).filter(is_held);
        let series = || snapshot.series.iter().map(Second::of);
        let any = !snapshot.categories.is_empty();
        Self {
            ventas: total(held().map(|of| of.ventas)),
            unidades: decimal::sum(held().map(|of| of.unidades.as_deref()), 0),
            ingresos: decimal::sum(held().map(|of| of.ingresos.as_deref()), PLACES),
            precio_maximo: unreadable.decimal("precio_maximo", any, snapshot.price_max.as_deref(), PLACES),
            precio_minimo: unreadable.decimal("precio_minimo", any, snapshot.price_min.as_deref(), PLACES),
            ultima_venta_ms: snapshot.newest_accepted_at_ms(),
            mas_vendido: snapshot.most_sold.first().map(product),
            menos_vendido: snapshot.least_sold.as_ref().map(product),
            productos: snapshot.most_sold.iter().map(product).collect(),
            serie: series().collect(),
            ultimo_segundo: last_second(snapshot, at.millis()),
            pico: series().max_by_key(|second| second.ventas),
            clima: Weather::of(&snapshot.weather, redis.as_ref(), &mut unreadable),
            posiciones: snapshot.positions.clone(),
            ilegibles: unreadable.0,
            categorias,
        }
    }
}

impl Counters {
    /// Keeps the first second of a lull: one more second without sales is no news.
    pub(crate) fn continue_lull(&mut self, last: &Self) {
        let is_lull = |of: &Self| of.ultimo_segundo.is_some_and(|second| second.ventas == 0);
        if is_lull(self) && is_lull(last) {
            self.ultimo_segundo = last.ultimo_segundo;
        }
    }
}

impl CategoryCounters {
    fn of(
        category: Category,
        snapshot: &Snapshot,
        with_history: bool,
        names: &Names,
        unreadable: &mut Unreadable,
    ) -> Self {
        let product = |of: &ProductUnits| Product::of(of, names);
        let nothing = CategorySnapshot::default();
        let held = snapshot.categories.get(category.name());
        let of = held.unwrap_or(&nothing);
        let mut decimal = |name: &str, text: &Option<String>, places| {
            let name = format!("categorias.{category}.{name}");
            unreadable.decimal(&name, held.is_some(), text.as_deref(), places)
        };
        let figures = CategoryFigures {
            categoria: category.name(),
            ventas: decimal("ventas", &of.sales, 0).and_then(|sales| sales.parse().ok()),
            unidades: decimal("unidades", &of.units_sum, 0),
            ingresos: decimal("ingresos", &of.revenue_sum, PLACES),
            precio_promedio: decimal("precio_promedio", &of.price_mean, PLACES),
            cantidad_promedio: decimal("cantidad_promedio", &of.units_mean, PLACES),
        };
        let historial = with_history.then(|| unreadable.history(category, &of.history));
        let precios = with_history.then(|| unreadable.prices(category, &of.prices));
        Self {
            figures,
            mas_vendido: of.most_sold.first().map(product),
            menos_vendido: of.least_sold.as_ref().map(product),
            productos: of.most_sold.iter().map(product).collect(),
            historial,
            precios,
        }
    }
}

impl Product {
    fn of(product: &ProductUnits, names: &Names) -> Self {
        let producto = names.of(&product.product_id);
        Self { producto_id: product.product_id.clone(), producto, unidades: product.units }
    }
}

impl Second {
    fn of(at: &SalesAt) -> Self {
        Self { t_ms: at.second.saturating_mul(1000), ventas: at.sales }
    }
}

impl Unreadable {
    /// The newest prices that are decimals. If some are not, that is named here.
    fn history(&mut self, category: Category, history: &[PriceAt]) -> Vec<Price> {
        let readable = history.iter().filter(|at| decimal::is_readable(&at.price, PLACES));
        let prices: Vec<_> = readable.map(|at| Price { t_ms: at.at_ms, precio: at.price.clone() }).collect();
        if prices.len() < history.len() {
            self.0.push(format!("categorias.{category}.historial"));
        }
        prices
    }

    /// The prices by second that can be read. If some cannot, that is named here.
    fn prices(&mut self, category: Category, held: &[PricesAt]) -> Vec<Prices> {
        let (rows, all) = prices::in_few_rows(held);
        if !all {
            self.0.push(format!("categorias.{category}.precios"));
        }
        rows
    }

    /// The text if it is a decimal. Else it is named here, unless it is rightly absent.
    pub(super) fn decimal(
        &mut self,
        name: &str,
        expected: bool,
        text: Option<&str>,
        places: usize,
    ) -> Option<String> {
        let read = text.filter(|text| decimal::is_readable(text, places));
        if read.is_none() && (expected || text.is_some()) {
            self.0.push(name.to_owned());
        }
        read.map(str::to_owned)
    }
}

/// The newest second whose sales are counted by now. If the series has others, it had none.
fn last_second(snapshot: &Snapshot, now_ms: u64) -> Option<Second> {
    let second = (now_ms.saturating_sub(COUNTED_AFTER_MS) / 1000).checked_sub(1)?;
    let held = snapshot.series.iter().find(|at| at.second == second);
    let sales = held.map_or(0, |at| at.sales);
    (!snapshot.series.is_empty()).then_some(Second { t_ms: second * 1000, ventas: sales })
}

/// Milliseconds from one instant to another, negative if that is earlier.
fn since(from_ms: u64, to_ms: u64) -> i64 {
    let signed = |ms| i64::try_from(ms).unwrap_or(i64::MAX);
    signed(to_ms) - signed(from_ms)
}

/// `None` if there is nothing to add, or if any term is missing.
fn total(mut terms: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let first = terms.next()??;
    terms.try_fold(first, |sum, term| sum.checked_add(term?))
}

#[cfg(test)]
mod tests;
