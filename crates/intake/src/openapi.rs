//! What the OpenAPI documents of gateway and relay share: how a request is made, the problems that it may meet, and the
//! route that serves the document. Routes describe themselves.

use std::collections::BTreeMap;

use axum::Extension;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use blackfriday_service::openapi::completed;
use blackfriday_service::problem::{self, FieldProblem, Problem};
use http::header;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Type};
use utoipa::{IntoParams, IntoResponses, OpenApi as _};

use crate::answer::{Accepted, BatchAnswer, BatchProblem, ItemAnswer, WeatherAccepted, WeatherProblem};
use crate::idempotency::HEADER_PATTERN;
use crate::logs::{LogState, LogStates};
use crate::problem::KINDS;
use crate::sale_json::SaleBody;
use crate::weather_json::WeatherBody;

/// Where a service serves its document.
pub const ROUTE: &str = "/openapi.json";

/// The schemas of request bodies.
const BODIES: [&str; 4] = ["Sale", "Sales", "OneOrManySales", "WeatherReport"];

/// The problems that a route for one sale may answer.
pub struct SaleProblems;

impl IntoResponses for SaleProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problem::responses(&KINDS)
    }
}

/// The problems that a route for many sales may answer.
pub struct BatchProblems;

impl IntoResponses for BatchProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problem::responses_as(&KINDS, "BatchProblem")
    }
}

/// The problems that a route for weather reports may answer.
pub struct WeatherProblems;

impl IntoResponses for WeatherProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problem::responses_as(&KINDS, "WeatherProblem")
    }
}

/// What a request may carry next to its body.
pub struct Headers;

const KEY: &str = "1 to 128 visible ASCII characters, bare or in quotes; more than one such header is refused. The same key \
    is counted once in 24 hours. The same key with another event is a conflict: that event is answered, but not counted, and \
    goes to the dead letters. The key of a batch gives each item a key of its own, made of the batch's key, the item's \
    content and, among equal items, its number: the batch may be repeated whole or in part, in any order. Equal items must \
    be repeated together, or have an `idempotency_key` each.";
const TRACE: &str = "W3C trace context: its trace is continued where this system records by its own share. Its flag cannot \
    raise that. What is not one is ignored.";

impl IntoParams for Headers {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let key = text().pattern(Some(HEADER_PATTERN)).examples(["order-4711"]);
        [("Idempotency-Key", KEY, key), ("traceparent", TRACE, text())].map(header_field).to_vec()
    }
}

fn header_field((name, described, schema): (&str, &str, ObjectBuilder)) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(described))
        .schema(Some(schema))
        .build()
}

/// A batch as an array.
pub struct Sales;

impl utoipa::PartialSchema for Sales {
    fn schema() -> RefOr<Schema> {
        let described = "At least one; as many as the service is configured to take. A wrong item does not harm the others.";
        let sales = ArrayBuilder::new().items(Ref::from_schema_name("Sale")).min_items(Some(1));
        sales.description(Some(described)).into()
    }
}

impl utoipa::ToSchema for Sales {}

/// One sale or a batch.
pub struct OneOrManySales;

impl utoipa::PartialSchema for OneOrManySales {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new().item(Ref::from_schema_name("Sale")).item(Ref::from_schema_name("Sales")).into()
    }
}

impl utoipa::ToSchema for OneOrManySales {}

/// The answer to one sale or to a batch of which all were accepted.
pub struct OneOrManyAccepted;

impl utoipa::PartialSchema for OneOrManyAccepted {
    fn schema() -> RefOr<Schema> {
        let one = OneOfBuilder::new().item(Ref::from_schema_name("Accepted"));
        one.item(Ref::from_schema_name("BatchAnswer")).into()
    }
}

impl utoipa::ToSchema for OneOrManyAccepted {}

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(
    SaleBody,
    Sales,
    WeatherBody,
    Accepted,
    WeatherAccepted,
    BatchAnswer,
    ItemAnswer,
    LogState,
    LogStates,
    FieldProblem,
    Problem,
    BatchProblem,
    WeatherProblem,
)))]
struct Schemas;

/// A document without routes, of a service of this name.
pub fn begun(title: &str, description: &str) -> OpenApi {
    let mut document = Schemas::openapi();
    let license = LicenseBuilder::new().name("Apache-2.0").build();
    document.info = InfoBuilder::new()
        .title(title)
        .description(Some(description))
        .license(Some(license))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    document
}

/// A document with all its routes, as it is served.
pub fn written(document: OpenApi) -> String {
    completed(document, &BODIES).to_json().expect("a document of strings always serializes")
}

/// The document of a service, for [`serve`].
#[derive(Debug, Clone)]
pub struct Served(Bytes);

impl From<String> for Served {
    fn from(document: String) -> Self {
        Self(document.into())
    }
}

/// This document.
#[utoipa::path(get, path = ROUTE, operation_id = "openapi", responses((status = 200, description = "OpenAPI", body = Object)))]
pub async fn serve(Extension(Served(document)): Extension<Served>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
