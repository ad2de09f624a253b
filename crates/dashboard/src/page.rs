//! The page: files that are part of the program. Its content security policy lets it speak to its own origin only.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::config::Config;
use crate::currency::Currency;

const PAGE: &str = include_str!("../assets/page.html");
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// What the page asks for: path, content type, and the file.
const FILES: [(&str, &str, &str); 6] = [
    ("/page.css", "text/css; charset=utf-8", include_str!("../assets/page.css")),
    ("/page.js", SCRIPT, include_str!("../assets/page.js")),
    ("/charts.js", SCRIPT, include_str!("../assets/charts.js")),
    ("/controls.js", SCRIPT, include_str!("../assets/controls.js")),
    ("/labels.js", SCRIPT, include_str!("../assets/labels.js")),
    ("/texts.js", SCRIPT, include_str!("../assets/texts.js")),
];
const DOCUMENT: &str = "/openapi.json";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Every path that is served here.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    ["/", DOCUMENT].into_iter().chain(FILES.map(|(path, ..)| path))
}

/// The page as it is configured, its files, and the OpenAPI document.
pub(crate) fn router(config: &Config, document: String) -> Router {
    let currency = config.currency.as_ref().map(Currency::to_string).unwrap_or_default();
    let kept = config.store.series_seconds.to_string();
    let grafana = config.grafana_url.as_deref().unwrap_or_default().replace('&', "&amp;");
    let settings = [
        ("{{opening}}", config.opening().name()),
        ("{{currency}}", &currency),
        ("{{kept}}", &kept),
        ("{{grafana}}", &grafana),
    ];
    let page = settings.iter().fold(PAGE.to_owned(), |page, (name, value)| page.replace(name, value));
    let page = Bytes::from(page);
    let document = Bytes::from(document);
    let router = Router::new()
        .route("/", get(move || async move { asset("text/html; charset=utf-8", page) }))
        .route(DOCUMENT, get(move || async move { asset("application/json", document) }));
    FILES.into_iter().fold(router, |router, (path, content_type, file)| {
        router.route(path, get(move || async move { asset(content_type, file) }))
    })
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
