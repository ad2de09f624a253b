use blackfriday_event::{EventId, FieldErrors, IdempotencyKey, WeatherDraft};
use blackfriday_proto::{SaleError, WeatherCommand};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::sale_json::{not_json, wrong};

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
    // An array would be taken for the fields in their order.
    if !value.is_object() {
        return Err(wrong("body", "must be an object with a weather report's fields").into());
    }
    let json: WeatherJson = serde_json::from_value(value).map_err(|error| not_json(&error))?;
    // A member of another type is as wrong as an empty one, but an absent description is allowed.
    let description = if json.description.is_null() { Some("") } else { json.description.as_str() };
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let draft =
        WeatherDraft::new(description.unwrap_or("\u{0}"), &text(&json.country), &text(&json.weather))?;
    if !trusted {
        return Ok(WeatherCommand::new(draft, key));
    }
    let inner = beside(&json.idempotency_key, "idempotency_key")?.map(IdempotencyKey::new);
    let mut command = WeatherCommand::new(draft, inner.transpose().map_err(FieldErrors::from)?.or(key));
    if let (Some(id), None) = (beside(&json.id, "id")?, &command.idempotency_key) {
        command.id = id.parse::<EventId>().map_err(FieldErrors::from)?;
    }
    command.traceparent = beside(&json.traceparent, "traceparent")?.map(str::to_owned);
    Ok(command)
}

/// The text of a member that may be absent or null.
fn beside<'a>(value: &'a Value, name: &'static str) -> Result<Option<&'a str>, FieldErrors> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(wrong(name, "must be text")),
    }
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
        let fields = br#"["Rain","GT","Rainy","","",""]"#;
        assert_eq!(parse_weather(fields, None, false).expect_err("array").code, ErrorCode::InvalidField);
        let key = br#"{"country":"GT","weather":"Rainy","idempotency_key":7}"#;
        assert!(parse_weather(key, None, false).is_ok() && parse_weather(key, None, true).is_err());
    }
}
