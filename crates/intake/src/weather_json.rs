//! A weather report as JSON.

use blackfriday_event::{FieldErrors, IdempotencyKey, WeatherDraft};
use blackfriday_proto::{Refusal, WeatherCommand};
use utoipa::ToSchema;

use crate::event_json::{DraftFields, EventJson, parse_event};
use crate::json::Member;
use crate::schemas;

pub(crate) const DESCRIPTION: &str = "description";
pub(crate) const COUNTRY: &str = "country";
pub(crate) const WEATHER: &str = "weather";

/// One weather report. Its members' names may be written in any case; other members are ignored.
#[derive(ToSchema)]
#[schema(as = WeatherReport)]
pub struct WeatherBody {
    /// At most 1024 bytes of text.
    #[schema(schema_with = schemas::description)]
    pub description: Option<String>,
    /// 1 to 64 bytes of visible text.
    #[schema(schema_with = schemas::country)]
    pub country: String,
    /// 1 to 64 bytes of visible text.
    #[schema(schema_with = schemas::weather)]
    pub weather: String,
    /// The report's own key, as in the header `Idempotency-Key`.
    #[schema(schema_with = schemas::key)]
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Default)]
struct WeatherFields<'a> {
    description: Member<'a>,
    country: Member<'a>,
    weather: Member<'a>,
}

/// A field's name.
#[derive(Debug, Clone, Copy)]
enum Name {
    Description,
    Country,
    Weather,
}

/// Reads one weather report; `trusted` as for a sale.
pub(crate) fn parse_weather(
    body: &[u8],
    key: Option<IdempotencyKey>,
    trusted: bool,
) -> Result<WeatherCommand, Refusal> {
    parse_event::<WeatherFields<'_>>(body, key, trusted)
}

impl<'a> DraftFields<'a> for WeatherFields<'a> {
    type Draft = WeatherDraft;
    type Name = Name;
    const WHAT: &'static str = "a weather report";

    /// In any case: clients of the assignment write `Country`, too.
    fn name(text: &str) -> Option<Name> {
        let names = [(DESCRIPTION, Name::Description), (COUNTRY, Name::Country), (WEATHER, Name::Weather)];
        names.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, name)| name)
    }

    fn slot(&mut self, name: Name) -> (&'static str, &mut Member<'a>) {
        match name {
            Name::Description => (DESCRIPTION, &mut self.description),
            Name::Country => (COUNTRY, &mut self.country),
            Name::Weather => (WEATHER, &mut self.weather),
        }
    }

    fn draft(json: &EventJson<'a, Self>) -> Result<WeatherDraft, FieldErrors> {
        let fields = &json.fields.own;
        // A member of another type is as wrong as a text that is not allowed; an absent description is allowed.
        let description = match &fields.description {
            Member::Absent | Member::Null => "",
            member => text(member).unwrap_or("\u{0}"),
        };
        let (country, weather) = (text(&fields.country), text(&fields.weather));
        let checked =
            WeatherDraft::new(description, country.unwrap_or_default(), weather.unwrap_or_default());
        let (draft, mut errors) = match checked {
            Ok(draft) => (Some(draft), Vec::new()),
            Err(FieldErrors(errors)) => (None, errors),
        };
        let members =
            [(DESCRIPTION, &fields.description), (COUNTRY, &fields.country), (WEATHER, &fields.weather)];
        let mut named = Vec::new();
        for (name, member) in members {
            let at = errors.iter().position(|error| error.field == name);
            let error = at.map(|at| errors.swap_remove(at));
            named.extend(json.field(name, member, |_| error.map_or(Ok(()), Err)).err());
        }
        draft.filter(|_| named.is_empty()).ok_or(FieldErrors(named))
    }
}

fn text<'m>(member: &'m Member<'_>) -> Option<&'m str> {
    if let Member::Text(text) = member { Some(text) } else { None }
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
        let fields: Vec<_> = error.fields.iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["description", "country", "weather"]);
        assert_eq!(parse_weather(b"{", None, false).expect_err("cut").code, ErrorCode::NotJson);
        assert_eq!(parse_weather(b"[]", None, false).expect_err("array").code, ErrorCode::InvalidField);
        let fields = br#"["Rain","GT","Rainy","","",""]"#;
        assert_eq!(parse_weather(fields, None, false).expect_err("array").code, ErrorCode::InvalidField);
        for trusted in [false, true] {
            let key = br#"{"country":"","weather":"Rainy","idempotency_key":7}"#;
            let error = parse_weather(key, None, trusted).expect_err("wrong");
            let fields: Vec<_> = error.fields.iter().map(|error| &*error.field).collect();
            assert_eq!(fields, ["country", "idempotency_key"]);
        }
    }
}
