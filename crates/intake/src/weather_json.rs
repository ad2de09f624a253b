use blackfriday_event::{EventId, FieldError, FieldErrors, IdempotencyKey, WeatherDraft};
use blackfriday_proto::{SaleError, WeatherCommand};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::sale_json::not_json;

/// One weather report. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = WeatherReport)]
pub struct WeatherBody {
    /// At most 1024 bytes of text.
    #[schema(example = "Está lloviendo", max_length = 1024)]
    pub description: String,
    /// 1 to 64 bytes of visible text.
    #[schema(example = "GT", min_length = 1, max_length = 64)]
    pub country: String,
    /// 1 to 64 bytes of visible text.
    #[schema(example = "Lluvioso", min_length = 1, max_length = 64)]
    pub weather: String,
}

#[derive(Deserialize)]
struct WeatherJson {
    #[serde(default)]
    description: Value,
    #[serde(default)]
    country: Value,
    #[serde(default)]
    weather: Value,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    idempotency_key: Value,
    #[serde(default)]
    traceparent: Value,
}

/// Reads one weather report; `trusted` as for a sale.
pub(crate) fn parse_weather(
    body: &[u8],
    key: Option<IdempotencyKey>,
    trusted: bool,
) -> Result<WeatherCommand, SaleError> {
    let value: Value = serde_json::from_slice(body).map_err(|error| not_json(&error))?;
    let wrong =
        |_| FieldErrors::from(FieldError::new("body", "must be an object with a weather report's fields"));
    let json: WeatherJson = serde_json::from_value(value).map_err(wrong)?;
    // A member of another type is as wrong as an empty one, but an absent description is allowed.
    let description = if json.description.is_null() { Some("") } else { json.description.as_str() };
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let draft =
        WeatherDraft::new(description.unwrap_or("\u{0}"), &text(&json.country), &text(&json.weather))?;
    let inner = json.idempotency_key.as_str().filter(|_| trusted).map(IdempotencyKey::new);
    let mut command = WeatherCommand::new(draft, inner.transpose().map_err(FieldErrors::from)?.or(key));
    if trusted {
        if let (Some(id), None) = (json.id.as_str(), &command.idempotency_key) {
            command.id = id.parse::<EventId>().map_err(FieldErrors::from)?;
        }
        command.traceparent = json.traceparent.as_str().map(str::to_owned);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use blackfriday_proto::ErrorCode;

    use super::*;

    #[test]
    fn a_report_is_read_and_every_wrong_field_is_named() {
        let report = parse_weather(br#"{"country":"GT","weather":"Rainy"}"#, None, false).expect("valid");
        assert_eq!((report.draft.description.as_str(), report.draft.country.as_str()), ("", "GT"));
        let error =
            parse_weather(br#"{"description":7,"country":[],"weather":""}"#, None, false).expect_err("wrong");
        let fields: Vec<_> = error.fields.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["description", "country", "weather"]);
        assert_eq!(parse_weather(b"{", None, false).expect_err("cut").code, ErrorCode::NotJson);
        assert_eq!(parse_weather(b"[]", None, false).expect_err("array").code, ErrorCode::InvalidField);
    }
}
