//! The page: files that are part of the program. Its content security policy lets it speak to its own origin only.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use blackfriday_event::Category;

use crate::openapi;

const PAGE: &str = include_str!("../assets/page.html");
const STYLE: &str = include_str!("../assets/page.css");
const SCRIPTS: [(&str, &str); 3] = [
    ("/page.js", include_str!("../assets/page.js")),
    ("/charts.js", include_str!("../assets/charts.js")),
    ("/texts.js", include_str!("../assets/texts.js")),
];
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn router(opening: Category) -> Router {
    let page = Bytes::from(PAGE.replace("{{opening}}", opening.name()));
    let document = Bytes::from(openapi::document());
    let mut router = Router::new()
        .route("/", get(move || async move { asset("text/html; charset=utf-8", page) }))
        .route("/page.css", get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/openapi.json", get(move || async move { asset("application/json", document) }));
    for (path, script) in SCRIPTS {
        router =
            router.route(path, get(move || async move { asset("text/javascript; charset=utf-8", script) }));
    }
    router
}

fn asset(content_type: &'static str, text: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
