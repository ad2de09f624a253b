//! Flat rows for dashboards that read JSON: an array of objects without objects inside.

use serde::Serialize;
use utoipa::ToSchema;

use crate::view::{Product, Summary};

/// What is said of all sales, and how old it is.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Totals {
    ventas: Option<u64>,
    unidades: Option<String>,
    ingresos: Option<String>,
    precio_maximo: Option<String>,
    precio_minimo: Option<String>,
    /// Sales of the newest second that is over.
    ventas_por_segundo: Option<u64>,
    /// Weather reports.
    reportes_clima: Option<u64>,
    ultima_venta_ms: Option<u64>,
    leido_ms: u64,
    /// Negative if the clock that accepted the newest sale is ahead.
    frescura_ms: Option<i64>,
}

/// A place in a ranking.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RankedProduct {
    /// From 1, most sold.
    puesto: usize,
    producto_id: String,
    unidades: u64,
}

/// Most and least sold product, of all categories or of one.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Extremes {
    /// Null: of all.
    categoria: Option<&'static str>,
    mas_vendido: Option<String>,
    mas_vendido_unidades: Option<u64>,
    menos_vendido: Option<String>,
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
        reportes_clima: counts.clima.total,
        ultima_venta_ms: counts.ultima_venta_ms,
        leido_ms: all.leido_ms,
        frescura_ms: all.frescura_ms,
    }]
}

pub(crate) fn ranking(products: &[Product]) -> Vec<RankedProduct> {
    let place = |(place, of): (usize, &Product)| RankedProduct {
        puesto: place + 1,
        producto_id: of.producto_id.clone(),
        unidades: of.unidades,
    };
    products.iter().enumerate().map(place).collect()
}

/// Of all first, then by category.
pub(crate) fn extremes(all: &Summary) -> Vec<Extremes> {
    let row = |categoria, most: &Option<Product>, least: &Option<Product>| Extremes {
        categoria,
        mas_vendido: most.as_ref().map(|of| of.producto_id.clone()),
        mas_vendido_unidades: most.as_ref().map(|of| of.unidades),
        menos_vendido: least.as_ref().map(|of| of.producto_id.clone()),
        menos_vendido_unidades: least.as_ref().map(|of| of.unidades),
    };
    let counts = &all.counters;
    let each = counts
        .categorias
        .iter()
        .map(|of| row(Some(of.figures.categoria), &of.mas_vendido, &of.menos_vendido));
    std::iter::once(row(None, &counts.mas_vendido, &counts.menos_vendido)).chain(each).collect()
}
