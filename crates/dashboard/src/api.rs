//! The read API. `/api/resumen` is everything at one instant; the other routes are flat arrays of objects, as dashboards
//! that read JSON want them. Times are milliseconds since the Unix epoch.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use blackfriday_event::{Category, FieldError};
use blackfriday_service::{FieldProblem, Problem};
use serde::{Deserialize, Serialize};

use crate::live::Live;
use crate::view::Resumen;

const MAX_PRODUCTS: usize = 1000;

type Shared = State<Arc<Live>>;

/// What may be asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Parameters {
    categoria: Option<String>,
    n: Option<String>,
}

pub(crate) async fn resumen(State(live): Shared) -> Response {
    answer(&live, None, json).await
}

pub(crate) async fn categorias(State(live): Shared) -> Response {
    answer(&live, None, |resumen| json(&resumen.categorias)).await
}

pub(crate) async fn serie(State(live): Shared) -> Response {
    answer(&live, None, |resumen| json(&resumen.serie)).await
}

pub(crate) async fn clima(State(live): Shared) -> Response {
    answer(&live, None, |resumen| json(&resumen.clima.paises)).await
}

pub(crate) async fn productos(State(live): Shared, Query(parameters): Query<Parameters>) -> Response {
    match (parameters.category(), parameters.count()) {
        (Ok(category), Ok(count)) => answer(&live, count, |resumen| json(resumen.productos(category))).await,
        (category, count) => wrong([category.err(), count.err()]),
    }
}

pub(crate) async fn historial(State(live): Shared, Query(parameters): Query<Parameters>) -> Response {
    let required = || FieldError::new("categoria", "must be given: Electronica, Ropa, Hogar or Belleza");
    let category = parameters.category().and_then(|category| category.ok_or_else(required));
    match (category, parameters.count()) {
        (Ok(category), Ok(count)) => {
            let newest = |resumen: &Resumen| {
                let points = &resumen.categorias[category.index()].historial;
                json(&points[points.len().saturating_sub(count.unwrap_or(usize::MAX))..])
            };
            answer(&live, None, newest).await
        }
        (category, count) => wrong([category.err(), count.err()]),
    }
}

impl Parameters {
    fn category(&self) -> Result<Option<Category>, FieldError> {
        self.categoria.as_deref().map(Category::parse).transpose()
    }

    fn count(&self) -> Result<Option<usize>, FieldError> {
        let count = |text: &str| {
            let count = text.parse().ok().filter(|count| (1..=MAX_PRODUCTS).contains(count));
            count.ok_or_else(|| FieldError::new("n", "must be a whole number from 1 to 1000"))
        };
        self.n.as_deref().map(count).transpose()
    }
}

async fn answer(live: &Live, top: Option<usize>, part: impl FnOnce(&Resumen) -> Response) -> Response {
    match live.read(top).await {
        Ok(resumen) => part(&resumen),
        Err(error) if error.is_retryable() => Problem::unavailable("Valkey is away").into_response(),
        Err(error) => {
            tracing::error!(%error, "the counters cannot be read");
            Problem::new(500, "internal", "A defect", "the counters cannot be read").into_response()
        }
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

fn wrong(errors: [Option<FieldError>; 2]) -> Response {
    let mut problem = Problem::new(422, "invalid-field", "A parameter is wrong", "see errors");
    let field = |error: FieldError| FieldProblem { field: error.field.to_owned(), message: error.message };
    problem.errors = errors.into_iter().flatten().map(field).collect();
    problem.into_response()
}
