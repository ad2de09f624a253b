//! From the store's snapshot. Its numbers are text that anybody may have changed, so each is read before it is passed on.

use std::cmp::Reverse;

use blackfriday_event::{Category, Timestamp};
use blackfriday_store::{CategorySnapshot, PriceAt, ProductUnits, SalesAt, Snapshot, WeatherSnapshot};

use super::{CategoryCounters, CategoryFigures, Counters, Country, Price, Product, Second, Summary, Weather};
use crate::decimal;

/// Decimal places of prices, revenue and averages.
const PLACES: usize = 2;

/// Names of what should be there and cannot be read.
#[derive(Default)]
struct Unreadable(Vec<String>);

impl Summary {
    /// What `snapshot` says, read at `now`, if the prices of `histories` were asked for.
    pub(crate) fn of(snapshot: &Snapshot, now: Timestamp, histories: &[Category]) -> Self {
        let leido_ms = now.millis();
        let counters = Counters::of(snapshot, leido_ms, histories);
        let frescura_ms = counters.ultima_venta_ms.map(|newest| since(newest, leido_ms));
        Self { leido_ms, frescura_ms, counters }
    }
}

impl Counters {
    fn of(snapshot: &Snapshot, leido_ms: u64, histories: &[Category]) -> Self {
        let mut unreadable = Unreadable::default();
        let category =
            |of: &Category| CategoryCounters::of(*of, snapshot, histories.contains(of), &mut unreadable);
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
            mas_vendido: snapshot.most_sold.first().map(Product::of),
            menos_vendido: snapshot.least_sold.as_ref().map(Product::of),
            productos: snapshot.most_sold.iter().map(Product::of).collect(),
            serie: series().collect(),
            ultimo_segundo: series().rfind(|second| second.t_ms + 1000 <= leido_ms),
            pico: series().max_by_key(|second| second.ventas),
            clima: Weather::of(&snapshot.weather, &mut unreadable),
            posiciones: snapshot.positions.clone(),
            ilegibles: unreadable.0,
            categorias,
        }
    }
}

impl CategoryCounters {
    fn of(category: Category, snapshot: &Snapshot, with_history: bool, unreadable: &mut Unreadable) -> Self {
        let nothing = CategorySnapshot::default();
        let held = snapshot.categories.get(category.name());
        let of = held.unwrap_or(&nothing);
        let price = |at: &PriceAt| Price { t_ms: at.at_ms, precio: at.price.clone() };
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
        Self {
            figures,
            mas_vendido: of.most_sold.first().map(Product::of),
            menos_vendido: of.least_sold.as_ref().map(Product::of),
            productos: of.most_sold.iter().map(Product::of).collect(),
            historial: with_history.then(|| of.history.iter().map(price).collect()),
        }
    }
}

impl Weather {
    fn of(weather: &WeatherSnapshot, unreadable: &mut Unreadable) -> Self {
        let any = !weather.by_country.is_empty();
        let mut count = |name: &str, expected, text: Option<&str>| -> Option<u64> {
            unreadable.decimal(name, expected, text, 0)?.parse().ok()
        };
        let total = count("clima.total", any, weather.total.as_deref());
        let country = |(pais, reports): (&String, &String)| Country {
            pais: pais.clone(),
            reportes: count(&format!("clima.paises.{pais}"), true, Some(reports)),
        };
        let mut paises: Vec<_> = weather.by_country.iter().map(country).collect();
        // Stable: countries with equally many stay in the order of their names.
        paises.sort_by_key(|pais| Reverse(pais.reportes));
        Self { total, paises }
    }
}

impl Product {
    fn of(product: &ProductUnits) -> Self {
        Self { producto_id: product.product_id.clone(), unidades: product.units }
    }
}

impl Second {
    fn of(at: &SalesAt) -> Self {
        Self { t_ms: at.second.saturating_mul(1000), ventas: at.sales }
    }
}

impl Unreadable {
    /// The text if it is a decimal. Else it is named here, unless it is rightly absent.
    fn decimal(&mut self, name: &str, expected: bool, text: Option<&str>, places: usize) -> Option<String> {
        let read = text.filter(|text| decimal::is_readable(text, places));
        if read.is_none() && (expected || text.is_some()) {
            self.0.push(name.to_owned());
        }
        read.map(str::to_owned)
    }
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
