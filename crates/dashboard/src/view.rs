//! The JSON of the read API. Names are Spanish, as the keys of the store; exact numbers are decimal strings.

use std::time::SystemTime;

use blackfriday_event::{Category, Timestamp};
use blackfriday_store::{CategorySnapshot, ProductUnits, Snapshot};
use serde::Serialize;

/// Everything, at one instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Resumen {
    /// Sales counted; null while there are none.
    ventas: Option<u64>,
    precio_maximo: Option<String>,
    precio_minimo: Option<String>,
    mas_vendido: Option<Producto>,
    menos_vendido: Option<Producto>,
    productos: Vec<Producto>,
    pub(crate) categorias: Vec<Categoria>,
    pub(crate) serie: Vec<Segundo>,
    /// Age of the newest counted sale, in milliseconds.
    frescura_ms: Option<u64>,
    pub(crate) clima: Clima,
    posiciones: std::collections::BTreeMap<i32, i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Categoria {
    pub(crate) categoria: &'static str,
    ventas: Option<u64>,
    precio_promedio: Option<String>,
    cantidad_promedio: Option<String>,
    unidades: Option<String>,
    ingresos: Option<String>,
    mas_vendido: Option<Producto>,
    menos_vendido: Option<Producto>,
    pub(crate) productos: Vec<Producto>,
    pub(crate) historial: Vec<Precio>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Producto {
    producto_id: String,
    unidades: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Precio {
    t_ms: u64,
    precio: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Segundo {
    t_ms: u64,
    ventas: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Clima {
    total: Option<u64>,
    pub(crate) paises: Vec<Pais>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Pais {
    pais: String,
    reportes: Option<u64>,
}

impl Resumen {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let categorias: Vec<_> = Category::ALL
            .iter()
            .map(|c| Categoria::of(c.name(), snapshot.categories.get(c.name())))
            .collect();
        let ventas = categorias.iter().filter_map(|categoria| categoria.ventas).reduce(|a, b| a + b);
        let now = Timestamp::from(SystemTime::now()).millis();
        let paises = snapshot.weather.by_country.iter();
        Self {
            ventas,
            precio_maximo: snapshot.price_max.clone(),
            precio_minimo: snapshot.price_min.clone(),
            mas_vendido: snapshot.most_sold.first().map(Producto::of),
            menos_vendido: snapshot.least_sold.as_ref().map(Producto::of),
            productos: snapshot.most_sold.iter().map(Producto::of).collect(),
            categorias,
            serie: snapshot
                .series
                .iter()
                .map(|at| Segundo { t_ms: at.second * 1000, ventas: at.sales })
                .collect(),
            frescura_ms: snapshot.newest_accepted_at_ms().map(|newest| now.saturating_sub(newest)),
            clima: Clima {
                total: snapshot.weather.total.as_ref().and_then(|total| total.parse().ok()),
                paises: paises
                    .map(|(pais, n)| Pais { pais: pais.clone(), reportes: n.parse().ok() })
                    .collect(),
            },
            posiciones: snapshot.positions.clone(),
        }
    }

    /// The top products, of all categories or of one.
    pub(crate) fn productos(&self, categoria: Option<Category>) -> &[Producto] {
        match categoria {
            None => &self.productos,
            Some(category) => &self.categorias[category.index()].productos,
        }
    }
}

impl Categoria {
    fn of(categoria: &'static str, snapshot: Option<&CategorySnapshot>) -> Self {
        let nothing = CategorySnapshot::default();
        let of = snapshot.unwrap_or(&nothing);
        Self {
            categoria,
            ventas: of.sales.as_ref().and_then(|sales| sales.parse().ok()),
            precio_promedio: of.price_mean.clone(),
            cantidad_promedio: of.units_mean.clone(),
            unidades: of.units_sum.clone(),
            ingresos: of.revenue_sum.clone(),
            mas_vendido: of.most_sold.first().map(Producto::of),
            menos_vendido: of.least_sold.as_ref().map(Producto::of),
            productos: of.most_sold.iter().map(Producto::of).collect(),
            historial: of
                .history
                .iter()
                .map(|at| Precio { t_ms: at.at_ms, precio: at.price.clone() })
                .collect(),
        }
    }
}

impl Producto {
    fn of(product: &ProductUnits) -> Self {
        Self { producto_id: product.product_id.clone(), unidades: product.units }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_store_has_no_numbers_at_all() {
        let json = serde_json::to_value(Resumen::of(&Snapshot::default())).expect("serializes");
        for name in
            ["ventas", "precio_maximo", "precio_minimo", "mas_vendido", "menos_vendido", "frescura_ms"]
        {
            assert!(json[name].is_null(), "{name}");
        }
        assert!(json["clima"]["total"].is_null());
        for categoria in json["categorias"].as_array().expect("an array") {
            assert!(categoria["ventas"].is_null() && categoria["ingresos"].is_null());
        }
    }
}
