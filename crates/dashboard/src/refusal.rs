//! What every route may answer in place of what was asked for.

use std::collections::BTreeMap;

use blackfriday_service::problem::{self, Kind};
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

/// The problems that every route may answer.
pub(crate) struct Refusal;

impl IntoResponses for Refusal {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problem::responses(&[
            Kind::InvalidParameter,
            Kind::Overloaded,
            Kind::Unreadable,
            Kind::Unavailable,
            Kind::OutcomeUnknown,
        ])
    }
}
