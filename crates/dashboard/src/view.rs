//! The JSON of the read API. Names are Spanish, as the keys of the store; exact decimals are strings; times are milliseconds
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
pub(crate) struct Resumen {
    /// When the store was read, by the clock of this service.
    pub(crate) leido_ms: u64,
    /// Milliseconds from the acceptance of the newest counted sale to the reading; negative if the clock that accepted it is
    /// ahead of this service's.
    pub(crate) frescura_ms: Option<i64>,
    #[serde(flatten)]
    pub(crate) cuentas: Cuentas,
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Cuentas {
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
    pub(crate) mas_vendido: Option<Producto>,
    pub(crate) menos_vendido: Option<Producto>,
    /// Most sold first.
    pub(crate) productos: Vec<Producto>,
    /// All four, in the order of their numbers.
    pub(crate) categorias: Vec<Categoria>,
    /// Sales by second of acceptance, oldest first; a second without sales is absent.
    pub(crate) serie: Vec<Segundo>,
    /// The newest second of the series that is over.
    pub(crate) ultimo_segundo: Option<Segundo>,
    /// The second of the series with the most sales, of equal ones the newest.
    pub(crate) pico: Option<Segundo>,
    pub(crate) clima: Clima,
    /// Partition of the sales, and its next offset to be counted.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub(crate) posiciones: BTreeMap<i32, i64>,
    /// What the store should hold but does not, or not in a form that can be read: the names of values that are null for it.
    pub(crate) ilegibles: Vec<String>,
}

/// One category.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Categoria {
    #[serde(flatten)]
    pub(crate) cifras: Cifras,
    pub(crate) mas_vendido: Option<Producto>,
    pub(crate) menos_vendido: Option<Producto>,
    /// Most sold first.
    pub(crate) productos: Vec<Producto>,
    /// Oldest first; null if it was not asked for.
    pub(crate) historial: Option<Vec<Precio>>,
}

/// The numbers of a category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Cifras {
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
pub(crate) struct Producto {
    pub(crate) producto_id: String,
    pub(crate) unidades: u64,
}

/// The price of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Precio {
    pub(crate) t_ms: u64,
    pub(crate) precio: String,
}

/// The sales of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Segundo {
    pub(crate) t_ms: u64,
    pub(crate) ventas: u64,
}

/// Weather reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Clima {
    pub(crate) total: Option<u64>,
    /// Most reports first.
    pub(crate) paises: Vec<Pais>,
}

/// Weather reports of a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Pais {
    pub(crate) pais: String,
    pub(crate) reportes: Option<u64>,
}

impl Cuentas {
    /// Keeps the first products of each ranking.
    pub(crate) fn truncate(&mut self, top: usize) {
        self.productos.truncate(top);
        for of in &mut self.categorias {
            of.productos.truncate(top);
        }
    }

    pub(crate) fn categoria(&self, category: Category) -> &Categoria {
        &self.categorias[category.index()]
    }
}
