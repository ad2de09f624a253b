use blackfriday_event::{EventId, FieldErrors, IdempotencyKey, WeatherDraft};
use blackfriday_proto::{Refusal, WeatherCommand};
use utoipa::ToSchema;

use crate::idempotency;
use crate::json::{Fields, Member, Object, both, read_object, wrong};

/// One weather report. Its members' names may be written in any case; other members are ignored.
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
    /// The report's own key, as in the header `Idempotency-Key`.
    #[schema(example = "station-7-1764320000", min_length = 1, max_length = 128)]
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Default)]
struct WeatherFields<'a> {
    description: Member<'a>,
    country: Member<'a>,
    weather: Member<'a>,
    id: Member<'a>,
    idempotency_key: Member<'a>,
    traceparent: Member<'a>,
}

/// A member's name.
#[derive(Debug, Clone, Copy)]
enum Name {
    Description,
    Country,
    Weather,
    Id,
    IdempotencyKey,
    Traceparent,
}

/// Members beside a report.
const BESIDE: [&str; 3] = ["id", "idempotency_key", "traceparent"];

/// Reads one weather report; `trusted` as for a sale.
pub(crate) fn parse_weather(
    body: &[u8],
    key: Option<IdempotencyKey>,
    trusted: bool,
) -> Result<WeatherCommand, Refusal> {
    let json: Object<WeatherFields<'_>> = read_object(body)?;
    if !json.is_object() {
        return Err(wrong("body", "must be an object with a weather report's fields").into());
    }
    let fields = &json.fields;
    let own = idempotency::of_member(&fields.idempotency_key, trusted);
    let (draft, own) = both(json.with_beside(draft(&json), &BESIDE), own)?;
    let mut command = WeatherCommand::new(draft, idempotency::of_one(own, key)?);
    if !trusted {
        return Ok(command);
    }
    if let (Some(id), None) = (fields.id.text("id")?, &command.idempotency_key) {
        command.id = id.parse::<EventId>().map_err(FieldErrors::from)?;
    }
    command.traceparent = fields.traceparent.text("traceparent")?.map(str::to_owned);
    Ok(command)
}

/// Every wrong field, in the order of the fields.
fn draft(json: &Object<WeatherFields<'_>>) -> Result<WeatherDraft, FieldErrors> {
    let fields = &json.fields;
    // A member of another type is as wrong as a text that is not allowed; an absent description is allowed.
    let description = match &fields.description {
        Member::Absent | Member::Null => "",
        member => text(member).unwrap_or("\u{0}"),
    };
    let (country, weather) = (text(&fields.country), text(&fields.weather));
    let checked = WeatherDraft::new(description, country.unwrap_or_default(), weather.unwrap_or_default());
    let (draft, mut errors) = match checked {
        Ok(draft) => (Some(draft), Vec::new()),
        Err(FieldErrors(errors)) => (None, errors),
    };
    let members =
        [("description", &fields.description), ("country", &fields.country), ("weather", &fields.weather)];
    let mut named = Vec::new();
    for (name, member) in members {
        let at = errors.iter().position(|error| error.field == name);
        let error = at.map(|at| errors.swap_remove(at));
        named.extend(json.field(name, member, |_| error.map_or(Ok(()), Err)).err());
    }
    draft.filter(|_| named.is_empty()).ok_or(FieldErrors(named))
}

fn text<'m>(member: &'m Member<'_>) -> Option<&'m str> {
    if let Member::Text(text) = member { Some(text) } else { None }
}

impl<'a> Fields<'a> for WeatherFields<'a> {
    type Name = Name;

    /// A report's own members in any case: clients of the assignment write `Country`, too.
    fn name(text: &str) -> Option<Name> {
        let report =
            [("description", Name::Description), ("country", Name::Country), ("weather", Name::Weather)];
        match text {
            "id" => Some(Name::Id),
            "idempotency_key" => Some(Name::IdempotencyKey),
            "traceparent" => Some(Name::Traceparent),
            text => {
                report.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, name)| name)
            }
        }
    }

    fn slot(&mut self, name: Name) -> (&'static str, &mut Member<'a>) {
        match name {
            Name::Description => ("description", &mut self.description),
            Name::Country => ("country", &mut self.country),
            Name::Weather => ("weather", &mut self.weather),
            Name::Id => ("id", &mut self.id),
            Name::IdempotencyKey => ("idempotency_key", &mut self.idempotency_key),
            Name::Traceparent => ("traceparent", &mut self.traceparent),
        }
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
