//! The JSON of the read API. Fields are named as in the JSON, in Spanish as the keys of the store; exact decimals are strings; times are milliseconds
//! since the Unix epoch.
//!
//! Invariant: a number is here only if the store holds it, or is an exact sum of such numbers. What it does not hold is
//! `null`, never zero; what it holds but cannot be read is `null`, too, and is named in `ilegibles`.

mod prices;
mod read;
mod weather;

use std::collections::BTreeMap;

use blackfriday_event::Category;
use serde::Serialize;
use utoipa::ToSchema;

use crate::currency::Currency;
use crate::schemas;

pub(crate) use self::prices::by_second;

/// Decimal places of prices, revenue and averages.
const PLACES: usize = 2;

/// Everything, at one instant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    /// When the store was read, by the clock of this service.
    pub(crate) leido_ms: u64,
    /// Milliseconds from the acceptance of the newest counted sale to the reading; negative if the clock that accepted it is
    /// ahead of this service's.
    #[schema(required = true)]
    pub(crate) frescura_ms: Option<i64>,
    /// The currency of all amounts, an ISO 4217 code; absent where none is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[A-Z]{3}$")]
    pub(crate) moneda: Option<Currency>,
    #[serde(flatten)]
    pub(crate) counters: Counters,
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Counters {
    /// Sales counted, of all categories.
    #[schema(required = true)]
    pub(crate) ventas: Option<u64>,
    /// Units sold, of all categories.
    #[schema(required = true, pattern = "^[0-9]+$")]
    pub(crate) unidades: Option<String>,
    /// Sum of price × units, of all categories.
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) ingresos: Option<String>,
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) precio_maximo: Option<String>,
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) precio_minimo: Option<String>,
    /// When the newest counted sale was accepted, by the clock of its writer.
    #[schema(required = true)]
    pub(crate) ultima_venta_ms: Option<u64>,
    #[schema(required = true)]
    pub(crate) mas_vendido: Option<Product>,
    #[schema(required = true)]
    pub(crate) menos_vendido: Option<Product>,
    /// Most sold first.
    pub(crate) productos: Vec<Product>,
    /// All four, in the order of their numbers.
    #[schema(min_items = 4, max_items = 4)]
    pub(crate) categorias: Vec<CategoryCounters>,
    /// Sales by second of acceptance, oldest first; a second without sales is absent.
    pub(crate) serie: Vec<Second>,
    /// The newest second that has been over for half a second, with 0 if the series has others only; a stream tells of the first
    /// second of a lull, and of no other.
    #[schema(required = true)]
    pub(crate) ultimo_segundo: Option<Second>,
    /// The second of the series with the most sales, of equal ones the newest.
    #[schema(required = true)]
    pub(crate) pico: Option<Second>,
    pub(crate) clima: Weather,
    /// Partition of the sales, and its next offset to be counted.
    #[schema(schema_with = schemas::positions)]
    pub(crate) posiciones: BTreeMap<i32, i64>,
    /// What the store should hold but does not, or not in a form that can be read: the names of values that are null for it.
    pub(crate) ilegibles: Vec<String>,
}

/// One category.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct CategoryCounters {
    #[serde(flatten)]
    pub(crate) figures: CategoryFigures,
    #[schema(required = true)]
    pub(crate) mas_vendido: Option<Product>,
    #[schema(required = true)]
    pub(crate) menos_vendido: Option<Product>,
    /// Most sold first.
    pub(crate) productos: Vec<Product>,
    /// Oldest first; null if it was not asked for.
    #[schema(required = true)]
    pub(crate) historial: Option<Vec<Price>>,
    /// By second of acceptance, oldest first, in 200 rows at the most: if there are more seconds, each row is of several. Null
    /// if it was not asked for.
    #[schema(required = true)]
    pub(crate) precios: Option<Vec<Prices>>,
}

/// The numbers of a category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CategoryFigures {
    #[schema(schema_with = schemas::category)]
    pub(crate) categoria: &'static str,
    #[schema(required = true)]
    pub(crate) ventas: Option<u64>,
    #[schema(required = true, pattern = "^[0-9]+$")]
    pub(crate) unidades: Option<String>,
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) ingresos: Option<String>,
    /// Two decimals, rounded half up.
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) precio_promedio: Option<String>,
    /// Two decimals, rounded half up.
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) cantidad_promedio: Option<String>,
}

/// A product and its units sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Product {
    #[schema(min_length = 1)]
    pub(crate) producto_id: String,
    /// Its name; absent where no workload is configured that has the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1)]
    pub(crate) producto: Option<String>,
    pub(crate) unidades: u64,
}

/// The price of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Price {
    pub(crate) t_ms: u64,
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) precio: String,
}

/// The prices of a category's sales of one second, or of some seconds in a row: each sale once, whatever its quantity. In units
/// of the currency, which is the one that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Prices {
    /// When the first of the seconds began.
    pub(crate) t_ms: u64,
    /// Seconds that the row is of; one without sales among them has no part in it.
    #[schema(minimum = 1)]
    pub(crate) segundos: u64,
    /// Number of sales.
    #[schema(minimum = 1)]
    pub(crate) ventas: u64,
    /// Sum of the prices, exact.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) precio_suma: String,
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) precio_minimo: String,
    /// The sum by the number of sales; two decimals, rounded half up.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) precio_promedio: String,
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$")]
    pub(crate) precio_maximo: String,
}

/// The sales of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Second {
    pub(crate) t_ms: u64,
    pub(crate) ventas: u64,
}

/// Weather reports, as Valkey counted them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Weather {
    #[schema(required = true)]
    pub(crate) total: Option<u64>,
    /// Of either store; most reports first.
    pub(crate) paises: Vec<Country>,
    /// What Redis counted; absent where no Redis is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) redis: Option<WeatherInRedis>,
}

/// The weather reports of the second store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WeatherInRedis {
    #[schema(required = true)]
    pub(crate) total: Option<u64>,
    /// Why its numbers are not known: `ausente`, it does not answer, or `ilegible`, it holds what cannot be read.
    #[schema(required = true, schema_with = schemas::trouble_or_null)]
    pub(crate) motivo: Option<&'static str>,
    /// Whether its total or a country's number is another than Valkey's, as happens for moments while reports come in; null
    /// if its numbers are not known.
    #[schema(required = true)]
    pub(crate) difiere: Option<bool>,
}

/// Weather reports of a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Country {
    #[schema(min_length = 1)]
    pub(crate) pais: String,
    #[schema(required = true)]
    pub(crate) reportes: Option<u64>,
    /// What Redis counted; absent where no Redis is configured.
    #[serde(flatten)]
    pub(crate) redis: Option<CountryInRedis>,
}

/// Weather reports of a country in the second store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CountryInRedis {
    #[schema(required = true)]
    pub(crate) reportes_redis: Option<u64>,
    /// Whether that is another number than Valkey's; null if Redis's numbers are not known.
    #[schema(required = true)]
    pub(crate) difiere: Option<bool>,
}

impl Counters {
    /// Keeps the first products of each ranking.
    pub(crate) fn truncate(&mut self, top: usize) {
        self.productos.truncate(top);
        for of in &mut self.categorias {
            of.productos.truncate(top);
        }
    }

    pub(crate) fn categoria(&self, category: Category) -> &CategoryCounters {
        &self.categorias[category.index()]
    }
}
