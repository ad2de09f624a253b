use blackfriday_event::{EventId, FieldError, FieldErrors};
use tonic::Status;
use tonic::metadata::MetadataValue;

use crate::blackfriday::{CampoInvalido, ProductSaleError};
use crate::code::{ErrorCode, WRITER_MARK};

/// What became of one event: its identity once it is accepted.
pub type EventOutcome = Result<EventId, Refusal>;

/// A refusal of one event, as it travels from hop to hop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of refusal.
    pub code: ErrorCode,
    /// What happened, in one sentence.
    pub message: String,
    /// Every wrong field.
    pub fields: Vec<FieldError>,
    /// The event's identity, where one was given.
    pub id: Option<EventId>,
}

impl Refusal {
    /// A refusal without wrong fields.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new(), id: None }
    }

    /// The same refusal, of the event with this identity.
    #[must_use]
    pub fn of(self, id: EventId) -> Self {
        Self { id: Some(id), ..self }
    }
}

impl From<FieldErrors> for Refusal {
    fn from(errors: FieldErrors) -> Self {
        let message = errors.to_string();
        Self { code: ErrorCode::InvalidField, message, fields: errors.0, id: None }
    }
}

impl From<Refusal> for ProductSaleError {
    fn from(error: Refusal) -> Self {
        let campo =
            |field: FieldError| CampoInvalido { campo: field.field.into_owned(), mensaje: field.message };
        Self {
            codigo: error.code.to_wire().into(),
            mensaje: error.message,
            campos: error.fields.into_iter().map(campo).collect(),
            id: error.id.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        }
    }
}

impl From<ProductSaleError> for Refusal {
    fn from(error: ProductSaleError) -> Self {
        let field = |campo: CampoInvalido| FieldError::new(campo.campo, campo.mensaje);
        Self {
            code: ErrorCode::of_wire(error.codigo),
            message: error.mensaje,
            fields: error.campos.into_iter().map(field).collect(),
            id: EventId::from_slice(&error.id).ok(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(error: Refusal) -> Self {
        let mut status = Self::new(error.code.grpc_code(), error.message);
        status.metadata_mut().insert(WRITER_MARK, MetadataValue::from_static(error.code.name()));
        status
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::new(ErrorCode::of_grpc(status.code()), status.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        let error = Refusal {
            fields: vec![FieldError::new("precio", "must be a number")],
            id: Some(EventId::new_v7()),
            ..Refusal::new(ErrorCode::InvalidField, "precio: must be a number")
        };
        assert_eq!(Refusal::from(ProductSaleError::from(error.clone())), error);
    }
}
