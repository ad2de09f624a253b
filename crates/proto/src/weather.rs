use blackfriday_event::{FieldErrors, WeatherDraft};

use crate::clima;
use crate::command::WeatherCommand;
use crate::sale::identity;

impl From<WeatherCommand> for clima::WeatherReport {
    fn from(command: WeatherCommand) -> Self {
        Self {
            description: command.draft.description,
            country: command.draft.country,
            weather: command.draft.weather,
            id: command.id.as_bytes().to_vec(),
            clave_idempotencia: command
                .idempotency_key
                .map(|key| key.as_str().to_owned())
                .unwrap_or_default(),
            traceparent: command.traceparent.unwrap_or_default(),
        }
    }
}

impl TryFrom<clima::WeatherReport> for WeatherCommand {
    type Error = FieldErrors;

    fn try_from(request: clima::WeatherReport) -> Result<Self, FieldErrors> {
        let draft = WeatherDraft::new(&request.description, &request.country, &request.weather);
        let (id, idempotency_key) = identity(&request.id, &request.clave_idempotencia);
        match (draft, id, idempotency_key) {
            (Ok(draft), Ok(id), Ok(idempotency_key)) => {
                let traceparent = Some(request.traceparent).filter(|text| !text.is_empty());
                Ok(Self { draft, id, idempotency_key, traceparent })
            }
            (draft, id, key) => {
                let mut errors = draft.err().map(|errors| errors.0).unwrap_or_default();
                errors.extend(id.err());
                errors.extend(key.err());
                Err(FieldErrors(errors))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_command_survives_the_wire(
            description in "[ -~\n]{0,200}", country in "[a-zA-Z]{1,64}", weather in "[a-z]{1,64}",
        ) {
            let draft = WeatherDraft::new(&description, &country, &weather).expect("valid");
            let command = WeatherCommand::new(draft, None);
            let request = clima::WeatherReport::from(command.clone());
            prop_assert_eq!(WeatherCommand::try_from(request), Ok(command));
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let request = clima::WeatherReport { clave_idempotencia: "a b".into(), ..Default::default() };
        let errors = WeatherCommand::try_from(request).expect_err("everything is wrong");
        let fields: Vec<_> = errors.0.iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["country", "weather", "idempotency_key"]);
    }
}
