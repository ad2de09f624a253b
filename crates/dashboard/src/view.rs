//! The JSON of the read API. Fields are named as in the JSON, in Spanish as the keys of the store; exact decimals are strings; times are milliseconds
//! since the Unix epoch.
//!
//! Invariant: a number is here only if the store holds it, or is an exact sum of such numbers. What it does not hold is
//! `null`, never zero; what it holds but cannot be read is `null`, too, and is named in `ilegibles`.

mod read;

use std::collections::BTreeMap;

use blackfriday_event::Category;
use serde::Serialize;
use utoipa::ToSchema;

/// Everything, at one instant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    /// When the store was read, by the clock of this service.
    pub(crate) leido_ms: u64,
    /// Milliseconds from the acceptance of the newest counted sale to the reading; negative if the clock that accepted it is
    /// ahead of this service's.
    pub(crate) frescura_ms: Option<i64>,
    #[serde(flatten)]
    pub(crate) counters: Counters,
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Counters {
    /// Sales counted, of all categories.
    pub(crate) ventas: Option<u64>,
    /// Units sold, of all categories.
    pub(crate) unidades: Option<String>,
    /// Sum of price × units, of all categories.
    pub(crate) ingresos: Option<String>,
    pub(crate) precio_maximo: Option<String>,
    pub(crate) precio_minimo: Option<String>,
    /// When the newest counted sale was accepted, by the clock of its writer.
    pub(crate) ultima_venta_ms: Option<u64>,
    pub(crate) mas_vendido: Option<Product>,
    pub(crate) menos_vendido: Option<Product>,
    /// Most sold first.
    pub(crate) productos: Vec<Product>,
    /// All four, in the order of their numbers.
    pub(crate) categorias: Vec<CategoryCounters>,
    /// Sales by second of acceptance, oldest first; a second without sales is absent.
    pub(crate) serie: Vec<Second>,
    /// The newest second of the series that is over.
    pub(crate) ultimo_segundo: Option<Second>,
    /// The second of the series with the most sales, of equal ones the newest.
    pub(crate) pico: Option<Second>,
    pub(crate) clima: Weather,
    /// Partition of the sales, and its next offset to be counted.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub(crate) posiciones: BTreeMap<i32, i64>,
    /// What the store should hold but does not, or not in a form that can be read: the names of values that are null for it.
    pub(crate) ilegibles: Vec<String>,
}

/// One category.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct CategoryCounters {
    #[serde(flatten)]
    pub(crate) figures: CategoryFigures,
    pub(crate) mas_vendido: Option<Product>,
    pub(crate) menos_vendido: Option<Product>,
    /// Most sold first.
    pub(crate) productos: Vec<Product>,
    /// Oldest first; null if it was not asked for.
    pub(crate) historial: Option<Vec<Price>>,
}

/// The numbers of a category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CategoryFigures {
    pub(crate) categoria: &'static str,
    pub(crate) ventas: Option<u64>,
    pub(crate) unidades: Option<String>,
    pub(crate) ingresos: Option<String>,
    /// Two decimals, rounded half up.
    pub(crate) precio_promedio: Option<String>,
    /// Two decimals, rounded half up.
    pub(crate) cantidad_promedio: Option<String>,
}

/// A product and its units sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Product {
    pub(crate) producto_id: String,
    pub(crate) unidades: u64,
}

/// The price of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Price {
    pub(crate) t_ms: u64,
    pub(crate) precio: String,
}

/// The sales of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Second {
    pub(crate) t_ms: u64,
    pub(crate) ventas: u64,
}

/// Weather reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Weather {
    pub(crate) total: Option<u64>,
    /// Most reports first.
    pub(crate) paises: Vec<Country>,
}

/// Weather reports of a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Country {
    pub(crate) pais: String,
    pub(crate) reportes: Option<u64>,
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
