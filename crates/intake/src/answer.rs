use blackfriday_event::EventId;
use blackfriday_proto::{ErrorCode, SaleError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An accepted event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// `OK`.
    #[schema(example = "OK")]
    pub estado: String,
    /// Its identity, a UUID.
    #[schema(example = "019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11")]
    pub id: String,
}

/// The answer to a batch: a result for each item, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchAnswer {
    /// Items accepted.
    pub aceptadas: usize,
    /// Items not accepted, or not known to be.
    pub rechazadas: usize,
    /// One for each item.
    pub resultados: Vec<ItemAnswer>,
}

/// What became of one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "estado")]
pub enum ItemAnswer {
    /// Accepted.
    #[serde(rename = "OK")]
    Accepted {
        /// Its identity, a UUID.
        id: String,
    },
    /// Not accepted, or not known to be.
    #[serde(rename = "ERROR")]
    Refused {
        /// The status that the item alone would have got.
        status: u16,
        /// The problem's name, as in `urn:blackfriday:problem:<codigo>`.
        codigo: String,
        /// What happened.
        detalle: String,
        /// Every wrong field.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        errores: Vec<FieldAnswer>,
        /// Its identity, where one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldAnswer {
    /// The field's name.
    pub field: String,
    /// What is allowed there.
    pub message: String,
}

impl Accepted {
    /// The body of `202` for one event.
    pub(crate) fn body(id: EventId) -> String {
        format!("{{\"estado\":\"OK\",\"id\":\"{id}\"}}")
    }
}

impl BatchAnswer {
    pub(crate) fn new(outcomes: &[Result<EventId, SaleError>]) -> Self {
        let aceptadas = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let resultados = outcomes.iter().map(ItemAnswer::of).collect();
        Self { aceptadas, rechazadas: outcomes.len() - aceptadas, resultados }
    }
}

impl ItemAnswer {
    /// What the next hop said of one item, read back.
    pub fn into_outcome(self) -> Result<EventId, SaleError> {
        match self {
            Self::Accepted { id } => {
                let malformed =
                    |_| SaleError::new(ErrorCode::OutcomeUnknown, "the next hop's answer has no identity");
                id.parse().map_err(malformed)
            }
            Self::Refused { status, codigo, detalle, errores, id } => Err(SaleError {
                code: code_of(status, &codigo),
                message: detalle,
                fields: errores.into_iter().map(|error| (error.field, error.message)).collect(),
                id: id.and_then(|id| id.parse().ok()),
            }),
        }
    }

    fn of(outcome: &Result<EventId, SaleError>) -> Self {
        match outcome {
            Ok(id) => Self::Accepted { id: id.to_string() },
            Err(error) => Self::Refused {
                status: error.code.http_status(),
                codigo: error.code.name().to_owned(),
                detalle: error.message.clone(),
                errores: error
                    .fields
                    .iter()
                    .cloned()
                    .map(|(field, message)| FieldAnswer { field, message })
                    .collect(),
                id: error.id.map(|id| id.to_string()),
            },
        }
    }
}

/// The code that the next hop gave, by status and name together: a pair that is none of ours says nothing about the outcome.
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
        let error = SaleError {
            fields: vec![("precio".into(), "must be a number".into())],
            ..SaleError::new(ErrorCode::InvalidField, "precio: must be a number")
        };
        let outcomes = [Ok(good), Err(error), Err(SaleError::new(ErrorCode::OutcomeUnknown, "late").of(bad))];
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
}
