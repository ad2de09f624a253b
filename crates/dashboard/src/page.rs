//! The page: three files that are part of the program. Its content security policy lets it speak to its own origin only.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use blackfriday_event::Category;

const PAGE: &str = include_str!("../assets/page.html");
const STYLE: &str = include_str!("../assets/page.css");
const SCRIPT: &str = include_str!("../assets/page.js");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn router(opening: Category) -> Router {
    let page = PAGE.replace("{{opening}}", opening.name());
    Router::new()
        .route("/", get(move || async move { asset("text/html; charset=utf-8", page) }))
        .route("/page.css", get(|| async { asset("text/css; charset=utf-8", STYLE.to_owned()) }))
        .route("/page.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT.to_owned()) }))
}

fn asset(content_type: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
