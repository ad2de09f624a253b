//! The answers' JSON, which both hops write and the gateway reads back from the relay.
//!
//! Invariant: an answer's size is bounded by the number of items, whatever is wrong with them.

use blackfriday_event::{EventId, FieldError};
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal};
use blackfriday_service::{FieldProblem, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{Object, Type};

use crate::logs::LogStates;
use crate::problem::field_problem;

/// Refused items whose result has every word; the others have status, code and identity only. Otherwise items of two
/// bytes would get an answer hundreds of times as large as their request.
pub(crate) const TOLD_IN_FULL: usize = 100;
/// The most bytes of an item's result in full, of one that was sent, and of one that was not.
const FULL_BYTES: usize = 1024;
const SENT_BYTES: usize = 136;
const WRONG_BYTES: usize = 64;
/// What an item that is not sent takes while the others are.
const WAITING_BYTES: usize = 128;
const WRONG_FIELDS: &str = "see errores";

/// An accepted event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// `OK`.
    #[schema(pattern = "^OK$", example = "OK")]
    pub estado: String,
    /// Its identity, a UUID.
    #[schema(format = "uuid", example = "019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11")]
    pub id: String,
}

/// A weather report that every log has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WeatherAccepted {
    /// The report's identity.
    #[serde(flatten)]
    pub accepted: Accepted,
    /// `OK` for each log, where the logs are told apart.
    #[serde(flatten)]
    pub logs: LogStates,
}

/// Why a weather report is not in every log, or not known to be: a problem, with the state in each log that it was to go
/// to.
#[derive(Debug, Serialize, ToSchema)]
pub struct WeatherProblem {
    /// The problem.
    #[serde(flatten)]
    pub problem: Problem,
    /// In each log; absent where the report was refused before it could be sent.
    #[serde(flatten)]
    pub logs: LogStates,
    /// The key that this report, which came without one, has been sent under: with it as `Idempotency-Key` the report can
    /// be sent again and counts once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid", nullable = false, example = "019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11")]
    pub idempotency_key: Option<String>,
}

/// The answer to a batch: a result for each item, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchAnswer {
    /// Items accepted.
    pub aceptadas: usize,
    /// Items not accepted, or not known to be.
    pub rechazadas: usize,
    /// One for each item, in order; of the first hundred only if no item was valid.
    pub resultados: Vec<ItemAnswer>,
}

/// Why nothing of a batch was accepted: a problem, with a result for each item.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchProblem {
    /// The problem that all items have in common.
    #[serde(flatten)]
    pub problem: Problem,
    /// The results; absent where the batch was refused as a whole.
    #[serde(flatten)]
    pub answer: Option<BatchAnswer>,
}

/// What became of one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "estado")]
pub enum ItemAnswer {
    /// Accepted.
    #[serde(rename = "OK")]
    Accepted {
        /// Its identity, a UUID.
        #[schema(format = "uuid")]
        id: String,
    },
    /// Not accepted, or not known to be.
    #[serde(rename = "ERROR")]
    Refused {
        /// The status that the item alone would have got.
        #[schema(minimum = 400, maximum = 599)]
        status: u16,
        /// The problem's name, as in `urn:blackfriday:problem:<codigo>`.
        #[schema(schema_with = codes)]
        codigo: String,
        /// What happened; only in the first hundred results of refused items.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        #[schema(min_length = 1)]
        detalle: String,
        /// Every wrong field; only in the first hundred results of refused items.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schema(min_items = 1)]
        errores: Vec<FieldProblem>,
        /// Its identity, where one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(format = "uuid", nullable = false)]
        id: Option<String>,
    },
}

fn codes() -> Object {
    let names = ErrorCode::ALL.map(ErrorCode::name);
    let described = "The problem's name, as in `urn:blackfriday:problem:<codigo>`.";
    Object::builder().schema_type(Type::String).enum_values(Some(names)).description(Some(described)).build()
}

impl Accepted {
    pub(crate) fn of(id: EventId) -> Self {
        Self { estado: "OK".to_owned(), id: id.to_string() }
    }

    /// The body of `202` for one event.
    pub(crate) fn body(id: EventId) -> String {
        format!("{{\"estado\":\"OK\",\"id\":\"{id}\"}}")
    }
}

impl BatchAnswer {
    pub(crate) fn new(outcomes: &[EventOutcome]) -> Self {
        let aceptadas = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let mut refused = 0;
        let item = |outcome: &EventOutcome| {
            refused += usize::from(outcome.is_err());
            ItemAnswer::of(outcome, refused <= TOLD_IN_FULL)
        };
        let resultados = outcomes.iter().map(item).collect();
        Self { aceptadas, rechazadas: outcomes.len() - aceptadas, resultados }
    }

    /// Of items that were all refused before any was sent: the first ones say what is wrong.
    pub(crate) fn of_refused(outcomes: &[EventOutcome]) -> Self {
        let first = &outcomes[..outcomes.len().min(TOLD_IN_FULL)];
        Self { rechazadas: outcomes.len(), ..Self::new(first) }
    }

    /// The most bytes that an answer to so many items takes, of which so many are wrong, from before they are sent.
    pub(crate) fn room_bytes(items: usize, wrong: usize) -> usize {
        let brief = if wrong < items { wrong * (WRONG_BYTES + WAITING_BYTES) } else { 0 };
        (items - wrong) * SENT_BYTES + brief + items.min(TOLD_IN_FULL) * FULL_BYTES
    }
}

impl ItemAnswer {
    /// What the next hop said of one item, read back.
    pub fn into_outcome(self) -> EventOutcome {
        match self {
            Self::Accepted { id } => {
                let malformed =
                    |_| Refusal::new(ErrorCode::OutcomeUnknown, "the next hop's answer has no identity");
                id.parse().map_err(malformed)
            }
            Self::Refused { status, codigo, detalle, errores, id } => Err(Refusal {
                code: code_of(status, &codigo),
                message: if detalle.is_empty() { codigo } else { detalle },
                fields: errores
                    .into_iter()
                    .map(|error| FieldError::new(error.field, error.message))
                    .collect(),
                id: id.and_then(|id| id.parse().ok()),
            }),
        }
    }

    fn of(outcome: &EventOutcome, in_full: bool) -> Self {
        let error = match outcome {
            Ok(id) => return Self::Accepted { id: id.to_string() },
            Err(error) => error,
        };
        let (detalle, fields) = match &error.fields[..] {
            _ if !in_full => (String::new(), &[][..]),
            [] => (error.message.clone(), &[][..]),
            // Each field is named once.
            fields => (WRONG_FIELDS.to_owned(), fields),
        };
        Self::Refused {
            status: error.code.http_status(),
            codigo: error.code.name().to_owned(),
            detalle,
            errores: fields.iter().cloned().map(field_problem).collect(),
            id: error.id.map(|id| id.to_string()),
        }
    }
}

/// The code that the next hop gave, by status and name together: a pair that is not one of ours says nothing about the outcome.
pub fn code_of(status: u16, name: &str) -> ErrorCode {
    ErrorCode::of_name(name).filter(|code| code.http_status() == status).unwrap_or(ErrorCode::OutcomeUnknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pair_of_status_and_name_says_that_nothing_was_written() {
        for code in ErrorCode::ALL {
            assert_eq!(code_of(code.http_status(), code.name()), code);
            for other in ErrorCode::ALL.into_iter().filter(|other| other.http_status() != code.http_status())
            {
                assert_eq!(code_of(other.http_status(), code.name()), ErrorCode::OutcomeUnknown);
            }
        }
        for (status, name) in
            [(503, ""), (429, "too-many"), (500, "a-later-name"), (202, "invalid-field"), (0, "internal")]
        {
            let refused = ItemAnswer::Refused {
                status,
                codigo: name.to_owned(),
                detalle: "nothing was written".to_owned(),
                errores: Vec::new(),
                id: None,
            };
            assert_eq!(
                refused.into_outcome().expect_err("refused").code,
                ErrorCode::OutcomeUnknown,
                "{status} {name}"
            );
        }
    }

    #[test]
    fn a_batch_answer_survives_the_way_back() {
        let (good, bad) = (EventId::new_v7(), EventId::new_v7());
        let error = Refusal {
            fields: vec![FieldError::new("precio", "must be a number")],
            ..Refusal::new(ErrorCode::InvalidField, WRONG_FIELDS)
        };
        let outcomes = [Ok(good), Err(error), Err(Refusal::new(ErrorCode::OutcomeUnknown, "late").of(bad))];
        let answer = BatchAnswer::new(&outcomes);
        assert_eq!((answer.aceptadas, answer.rechazadas), (1, 2));
        let json = serde_json::to_string(&answer).expect("serializes");
        assert!(json.starts_with(&format!(
            "{{\"aceptadas\":1,\"rechazadas\":2,\"resultados\":[{{\"estado\":\"OK\",\"id\":\"{good}\"}}"
        )));
        let back: BatchAnswer = serde_json::from_str(&json).expect("reads back");
        let back: Vec<_> = back.resultados.into_iter().map(ItemAnswer::into_outcome).collect();
        assert_eq!(back, outcomes);
    }

    #[test]
    fn an_answer_is_bounded_whatever_the_items() {
        let wrong = || {
            let fields = ["categoria", "producto_id", "precio", "cantidad_vendida"];
            let message = "is missing: must be Electronica, Ropa, Hogar, Belleza or their number 1 to 4";
            let fields = fields.map(|field| FieldError::new(field, message)).to_vec();
            Err(Refusal { fields, ..Refusal::new(ErrorCode::InvalidField, "m".repeat(500)) })
        };
        let bytes = |answer: &BatchAnswer| serde_json::to_vec(answer).expect("serializes").len();
        let lost = || Err(Refusal::new(ErrorCode::OutcomeUnknown, "m".repeat(500)).of(EventId::new_v7()));
        let mut outcomes: Vec<_> = (0..5000).map(|_| wrong()).collect();
        let refused = BatchAnswer::of_refused(&outcomes);
        assert_eq!((refused.rechazadas, refused.resultados.len()), (5000, TOLD_IN_FULL));
        assert!(bytes(&refused) <= BatchAnswer::room_bytes(5000, 5000), "{}", bytes(&refused));
        assert!(BatchAnswer::room_bytes(5000, 5000) < 128 << 10);
        outcomes.extend((0..5000).map(|_| lost()));
        let mixed = BatchAnswer::new(&outcomes);
        assert_eq!((mixed.rechazadas, mixed.resultados.len()), (10_000, 10_000));
        assert!(
            bytes(&mixed) + 5000 * WAITING_BYTES <= BatchAnswer::room_bytes(10_000, 5000),
            "{}",
            bytes(&mixed)
        );
        let ItemAnswer::Refused { detalle, errores, .. } = &mixed.resultados[TOLD_IN_FULL - 1] else {
            panic!("refused")
        };
        assert_eq!((detalle.as_str(), errores.len()), (WRONG_FIELDS, 4));
        let brief = serde_json::to_string(&mixed.resultados[TOLD_IN_FULL]).expect("serializes");
        assert_eq!(brief, r#"{"estado":"ERROR","status":422,"codigo":"invalid-field"}"#);
    }
}
