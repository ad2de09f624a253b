//! The read API. `/api/resumen` is everything at one instant; every other route is a flat array of objects, as dashboards
//! that read JSON want them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use blackfriday_event::Category;
use blackfriday_service::{Kind, Problem};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::live::Live;
use crate::parameters::Parameters;
use crate::refusal::Refusal;
use crate::rows::{self, CategoryRow, ExtremesRow, RankedProduct, Totals};
use crate::schemas::{AnyCategory, OneCategory};
use crate::trouble::{ReadError, Trouble};
use crate::view::{Country, Price, Prices, Second, Summary, by_second};

type Shared = State<Arc<Live>>;
type Asked = Query<Vec<(String, String)>>;
type Answer = Result<Response, Problem>;

/// Every route of the API, as each describes itself.
pub(crate) fn router() -> OpenApiRouter<Arc<Live>> {
    OpenApiRouter::new()
        .routes(routes!(resumen))
        .routes(routes!(totales))
        .routes(routes!(categorias))
        .routes(routes!(productos))
        .routes(routes!(extremos))
        .routes(routes!(historial))
        .routes(routes!(precios))
        .routes(routes!(serie))
        .routes(routes!(clima))
}

/// Everything, at one instant.
#[utoipa::path(get, path = "/api/resumen", tag = "api",
    params(("n" = Option<u16>, Query, minimum = 1, maximum = 1000,
        description = "Products of each ranking, 1 to 1000; without it, as configured")),
    responses((status = 200, body = Summary), Refusal))]
async fn resumen(State(live): Shared, Query(asked): Asked) -> Answer {
    let asked = Parameters::read(&asked, &["n"])?;
    answer(&live, asked.rows, &Category::ALL, json).await
}

/// Totals, highest and lowest price, most and least sold product, and freshness, in one row.
#[utoipa::path(get, path = "/api/totales", tag = "api", responses((status = 200, body = [Totals]), Refusal))]
async fn totales(State(live): Shared, Query(asked): Asked) -> Answer {
    Parameters::read(&asked, &[])?;
    answer(&live, None, &[], |all| json(&rows::totals(all))).await
}

/// Reports, totals, averages, most and least sold product: a row for each of the four categories.
#[utoipa::path(get, path = "/api/categorias", tag = "api", responses((status = 200, body = [CategoryRow]), Refusal))]
async fn categorias(State(live): Shared, Query(asked): Asked) -> Answer {
    Parameters::read(&asked, &[])?;
    answer(&live, None, &[], |all| json(&rows::categories(all))).await
}

/// The most sold products, of all categories or of one.
#[utoipa::path(get, path = "/api/productos", tag = "api",
    params(AnyCategory,
        ("n" = Option<u16>, Query, minimum = 1, maximum = 1000,
        description = "Rows, 1 to 1000; without it, as configured")),
    responses((status = 200, body = [RankedProduct]), Refusal))]
async fn productos(State(live): Shared, Query(asked): Asked) -> Answer {
    let asked = Parameters::read(&asked, &["categoria", "n"])?;
    let ranking = |all: &Summary| {
        let counts = &all.counters;
        json(&rows::ranking(asked.category.map_or(&counts.productos, |of| &counts.categoria(of).productos)))
    };
    answer(&live, asked.rows, &[], ranking).await
}

/// The most and the least sold product: a row for all categories together (`categoria` is null), then one for each.
#[utoipa::path(get, path = "/api/extremos", tag = "api", responses((status = 200, body = [ExtremesRow]), Refusal))]
async fn extremos(State(live): Shared, Query(asked): Asked) -> Answer {
    Parameters::read(&asked, &[])?;
    answer(&live, None, &[], |all| json(&rows::extremes(all))).await
}

/// The prices of a category's newest sales, oldest first.
#[utoipa::path(get, path = "/api/historial", tag = "api",
    params(OneCategory,
        ("n" = Option<u16>, Query, minimum = 1, maximum = 1000,
        description = "The newest rows only, 1 to 1000")),
    responses((status = 200, body = [Price]), Refusal))]
async fn historial(State(live): Shared, Query(asked): Asked) -> Answer {
    let asked = Parameters::read(&asked, &["categoria", "n"])?;
    let category = asked.required_category()?;
    let prices = |all: &Summary| {
        let history = all.counters.categoria(category).historial.as_deref();
        json(newest(history.unwrap_or_default(), asked.rows))
    };
    answer(&live, None, &[category], prices).await
}

/// A category's prices by second of acceptance, oldest first: lowest, mean and highest. A second without sales is absent.
#[utoipa::path(get, path = "/api/precios", tag = "api",
    params(OneCategory,
        ("n" = Option<u16>, Query, minimum = 1, maximum = 1000,
        description = "The newest rows only, 1 to 1000")),
    responses((status = 200, body = [Prices]), Refusal))]
async fn precios(State(live): Shared, Query(asked): Asked) -> Answer {
    let asked = Parameters::read(&asked, &["categoria", "n"])?;
    let category = asked.required_category()?;
    let read = live.snapshot().await.map_err(|error| refused(&error))?;
    let held = read.snapshot.categories.get(category.name()).map(|of| &of.prices[..]);
    let rows = by_second(held.unwrap_or_default());
    held_answer(&live, json(newest(&rows, asked.rows)))
}

/// Sales by second of acceptance, oldest first. A second without sales is absent.
#[utoipa::path(get, path = "/api/serie", tag = "api",
    params(("n" = Option<u16>, Query, minimum = 1, maximum = 1000,
        description = "The newest rows only, 1 to 1000")),
    responses((status = 200, body = [Second]), Refusal))]
async fn serie(State(live): Shared, Query(asked): Asked) -> Answer {
    let asked = Parameters::read(&asked, &["n"])?;
    answer(&live, None, &[], |all| json(newest(&all.counters.serie, asked.rows))).await
}

/// Weather reports by country, most reports first; of both stores where there is a second one.
#[utoipa::path(get, path = "/api/clima", tag = "api",
    params(("n" = Option<u16>, Query, minimum = 1, maximum = 1000,
        description = "The first rows only, 1 to 1000")),
    responses((status = 200, body = [Country]), Refusal))]
async fn clima(State(live): Shared, Query(asked): Asked) -> Answer {
    let asked = Parameters::read(&asked, &["n"])?;
    let first = |all: &Summary| {
        let countries = &all.counters.clima.paises;
        json(&countries[..asked.rows.unwrap_or(usize::MAX).min(countries.len())])
    };
    answer(&live, None, &[], first).await
}

async fn answer(
    live: &Live,
    top: Option<usize>,
    histories: &[Category],
    part: impl FnOnce(&Summary) -> Response,
) -> Answer {
    let all = live.read(top, histories).await.map_err(|error| refused(&error))?;
    held_answer(live, part(&all))
}

fn held_answer(live: &Live, answer: Response) -> Answer {
    live.held(answer).map_err(|full| Problem::new(Kind::Overloaded, full.to_string()))
}

fn refused(error: &ReadError) -> Problem {
    error.log("Valkey");
    match error.trouble() {
        Trouble::Away => Problem::new(Kind::Unavailable, "Valkey does not answer"),
        Trouble::Unreadable => Problem::new(Kind::Unreadable, error.in_full()),
    }
}

fn newest<T>(rows: &[T], n: Option<usize>) -> &[T] {
    &rows[rows.len().saturating_sub(n.unwrap_or(usize::MAX))..]
}

fn json(value: &(impl Serialize + ?Sized)) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}
