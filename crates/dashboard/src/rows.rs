//! Flat rows for dashboards that read JSON: an array of objects without objects inside.

use serde::Serialize;
use utoipa::ToSchema;

use crate::currency::Currency;
use crate::schemas;
use crate::view::{CategoryCounters, CategoryFigures, Product, Summary};

/// What is said of all sales, with the most and the least sold product, and how old it is.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Totals {
    #[schema(required = true)]
    ventas: Option<u64>,
    #[schema(required = true, pattern = "^[0-9]+$")]
    unidades: Option<String>,
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    ingresos: Option<String>,
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    precio_maximo: Option<String>,
    #[schema(required = true, pattern = r"^[0-9]+\.[0-9]{2}$")]
    precio_minimo: Option<String>,
    /// Sales of the newest second that has been over for half a second; 0 if there were none in it.
    #[schema(required = true)]
    ventas_por_segundo: Option<u64>,
    #[serde(flatten)]
    extremes: Extremes,
    /// Weather reports.
    #[schema(required = true)]
    reportes_clima: Option<u64>,
    /// Of the second store; absent where no Redis is configured.
    #[serde(flatten)]
    redis: Option<TotalsInRedis>,
    #[schema(required = true)]
    ultima_venta_ms: Option<u64>,
    leido_ms: u64,
    /// Negative if the clock that accepted the newest sale is ahead.
    #[schema(required = true)]
    frescura_ms: Option<i64>,
    /// The currency of all amounts, an ISO 4217 code; absent where none is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[A-Z]{3}$")]
    moneda: Option<Currency>,
}

/// What is said of the weather reports in the second store.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TotalsInRedis {
    #[schema(required = true)]
    reportes_clima_redis: Option<u64>,
    /// Whether the stores disagree on the total or on a country; null if Redis's numbers are not known.
    #[schema(required = true)]
    clima_difiere: Option<bool>,
}

/// A place in a ranking.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RankedProduct {
    /// From 1, most sold.
    #[schema(minimum = 1)]
    puesto: usize,
    #[schema(min_length = 1)]
    producto_id: String,
    /// Its name; absent where no workload is configured that has the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1)]
    producto: Option<String>,
    /// What to write next to a bar: name and id, or the id alone.
    #[schema(min_length = 1)]
    etiqueta: String,
    unidades: u64,
}

/// The numbers of a category, and its most and least sold product.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CategoryRow {
    #[serde(flatten)]
    figures: CategoryFigures,
    #[serde(flatten)]
    extremes: Extremes,
}

/// Most and least sold product, of all categories or of one.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ExtremesRow {
    /// Null: of all.
    #[schema(required = true, schema_with = schemas::category_or_null)]
    categoria: Option<&'static str>,
    #[serde(flatten)]
    extremes: Extremes,
}

/// Most and least sold product.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Extremes {
    #[schema(required = true, min_length = 1)]
    mas_vendido: Option<String>,
    /// Its name and id, or the id alone.
    #[schema(required = true, min_length = 1)]
    mas_vendido_etiqueta: Option<String>,
    #[schema(required = true)]
    mas_vendido_unidades: Option<u64>,
    #[schema(required = true, min_length = 1)]
    menos_vendido: Option<String>,
    /// Its name and id, or the id alone.
    #[schema(required = true, min_length = 1)]
    menos_vendido_etiqueta: Option<String>,
    #[schema(required = true)]
    menos_vendido_unidades: Option<u64>,
}

pub(crate) fn totals(all: &Summary) -> [Totals; 1] {
    let counts = &all.counters;
    [Totals {
        ventas: counts.ventas,
        unidades: counts.unidades.clone(),
        ingresos: counts.ingresos.clone(),
        precio_maximo: counts.precio_maximo.clone(),
        precio_minimo: counts.precio_minimo.clone(),
        ventas_por_segundo: counts.ultimo_segundo.map(|second| second.ventas),
        extremes: Extremes::of(&counts.mas_vendido, &counts.menos_vendido),
        reportes_clima: counts.clima.total,
        redis: counts
            .clima
            .redis
            .map(|redis| TotalsInRedis { reportes_clima_redis: redis.total, clima_difiere: redis.difiere }),
        ultima_venta_ms: counts.ultima_venta_ms,
        leido_ms: all.leido_ms,
        frescura_ms: all.frescura_ms,
        moneda: all.moneda.clone(),
    }]
}

pub(crate) fn ranking(products: &[Product]) -> Vec<RankedProduct> {
    let place = |(place, of): (usize, &Product)| RankedProduct {
        puesto: place + 1,
        producto_id: of.producto_id.clone(),
        producto: of.producto.clone(),
        etiqueta: label(of),
        unidades: of.unidades,
    };
    products.iter().enumerate().map(place).collect()
}

fn label(of: &Product) -> String {
    of.producto.as_ref().map_or_else(|| of.producto_id.clone(), |name| format!("{name} ({})", of.producto_id))
}

/// A row for each category, in the order of their numbers.
pub(crate) fn categories(all: &Summary) -> Vec<CategoryRow> {
    let row = |of: &CategoryCounters| CategoryRow {
        figures: of.figures.clone(),
        extremes: Extremes::of(&of.mas_vendido, &of.menos_vendido),
    };
    all.counters.categorias.iter().map(row).collect()
}

/// Of all first, then by category.
pub(crate) fn extremes(all: &Summary) -> Vec<ExtremesRow> {
    let counts = &all.counters;
    let of_all = Extremes::of(&counts.mas_vendido, &counts.menos_vendido);
    let each = counts.categorias.iter().map(|of| ExtremesRow {
        categoria: Some(of.figures.categoria),
        extremes: Extremes::of(&of.mas_vendido, &of.menos_vendido),
    });
    std::iter::once(ExtremesRow { categoria: None, extremes: of_all }).chain(each).collect()
}

impl Extremes {
    fn of(most: &Option<Product>, least: &Option<Product>) -> Self {
        Self {
            mas_vendido: most.as_ref().map(|of| of.producto_id.clone()),
            mas_vendido_etiqueta: most.as_ref().map(label),
            mas_vendido_unidades: most.as_ref().map(|of| of.unidades),
            menos_vendido: least.as_ref().map(|of| of.producto_id.clone()),
            menos_vendido_etiqueta: least.as_ref().map(label),
            menos_vendido_unidades: least.as_ref().map(|of| of.unidades),
        }
    }
}
