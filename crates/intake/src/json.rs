//! The one reader of a JSON object with known members, for sales and weather reports alike. It reads in one pass without
//! an intermediate value: every member may hold anything, and is judged after the whole object was read, so that all
//! wrong fields are named at once.

mod member;

use std::fmt;
use std::marker::PhantomData;

use blackfriday_event::{FieldError, FieldErrors};
use blackfriday_proto::{ErrorCode, Refusal};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

pub(crate) use self::member::Member;

/// The members that an object may have. Others are ignored.
pub(crate) trait Fields<'a>: Default {
    /// A member's name.
    type Name: Copy;

    /// The member of this name.
    fn name(text: &str) -> Option<Self::Name>;

    /// What it is called in errors, and where it is kept.
    fn slot(&mut self, name: Self::Name) -> (&'static str, &mut Member<'a>);
}

/// A JSON value that should be an object.
#[derive(Debug)]
pub(crate) struct Object<F> {
    /// Its members; none if it is another value.
    pub(crate) fields: F,
    is_object: bool,
    twice: Vec<&'static str>,
}

/// How members are read.
#[derive(Debug)]
pub(crate) struct Reading<F> {
    /// Member by member, for a body with a number that no `f64` holds: it is JSON all the same, and the field is wrong.
    careful: bool,
    of: PhantomData<F>,
}

/// Reads a whole JSON text, carefully if it must be.
///
/// # Errors
/// It is not JSON in UTF-8, or not of the form that `seed` asks for.
pub(crate) fn read_json<'de, F, S: DeserializeSeed<'de>>(
    text: &'de [u8],
    seed: impl Fn(Reading<F>) -> S,
    of_form: impl Fn() -> Refusal,
) -> Result<S::Value, Refusal> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let detail = format!("the body is not UTF-8 at byte {}", error.valid_up_to());
        Refusal::new(ErrorCode::NotJson, detail)
    })?;
    let read = |careful| {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = seed(Reading { careful, of: PhantomData }).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    };
    let read = read(false).or_else(|error: serde_json::Error| {
        // serde_json tells its kinds of errors apart in the text only.
        if error.to_string().starts_with("number out of range") { read(true) } else { Err(error) }
    });
    read.map_err(|error| if error.is_data() { of_form() } else { not_json(&error) })
}

/// Reads a JSON text that should be one object.
///
/// # Errors
/// It is not JSON in UTF-8.
pub(crate) fn read_object<'de, F: Fields<'de>>(text: &'de [u8]) -> Result<Object<F>, Refusal> {
    read_json(text, |reading: Reading<F>| reading, || wrong("body", "must be an object").into())
}

pub(crate) fn wrong(field: &'static str, message: &str) -> FieldErrors {
    FieldError::new(field, message).into()
}

/// Both, or the errors of both.
pub(crate) fn both<A, B>(
    a: Result<A, FieldErrors>,
    b: Result<B, FieldErrors>,
) -> Result<(A, B), FieldErrors> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(FieldErrors(a)), Err(FieldErrors(b))) => Err(FieldErrors([a, b].concat())),
        (Err(errors), _) | (_, Err(errors)) => Err(errors),
    }
}

fn not_json(error: &serde_json::Error) -> Refusal {
    Refusal::new(ErrorCode::NotJson, format!("the body is not JSON: {error}"))
}

impl<F> Object<F> {
    /// Whether it is an object, rather than any other value.
    pub(crate) fn is_object(&self) -> bool {
        self.is_object
    }

    /// A field: what `read` makes of its member, unless that is missing or was given twice. An error says which.
    pub(crate) fn field<T>(
        &self,
        name: &'static str,
        member: &Member<'_>,
        read: impl FnOnce(&Member<'_>) -> Result<T, FieldError>,
    ) -> Result<T, FieldError> {
        if self.twice.contains(&name) {
            return Err(FieldError::new(name, "must be given once"));
        }
        read(member).map_err(|error| match member {
            Member::Absent => FieldError::new(name, format!("is missing: {}", error.message)),
            _ => error,
        })
    }

    /// What was read of the fields, with an error for each member next to them that was given twice.
    pub(crate) fn with_others<T>(
        &self,
        read: Result<T, FieldErrors>,
        others: &[&'static str],
    ) -> Result<T, FieldErrors> {
        let twice = self.twice.iter().filter(|name| others.contains(name));
        let twice: Vec<_> = twice.map(|name| FieldError::new(*name, "must be given once")).collect();
        match read {
            Ok(fields) if twice.is_empty() => Ok(fields),
            Ok(_) => Err(FieldErrors(twice)),
            Err(FieldErrors(errors)) => Err(FieldErrors([errors, twice].concat())),
        }
    }
}

impl<F> Copy for Reading<F> {}

impl<F> Clone for Reading<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'de, F: Fields<'de>> DeserializeSeed<'de> for Reading<F> {
    type Value = Object<F>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<F>, D::Error> {
        if !self.careful {
            return deserializer.deserialize_any(self);
        }
        let raw = <&RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return no_object();
        }
        serde_json::Deserializer::from_str(raw.get()).deserialize_map(self).map_err(D::Error::custom)
    }
}

impl<'de, F: Fields<'de>> Visitor<'de> for Reading<F> {
    type Value = Object<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<F>, A::Error> {
        let mut object = Object { fields: F::default(), is_object: true, twice: Vec::new() };
        while let Some(name) = map.next_key_seed(Name::<F>(PhantomData))? {
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let (name, member) = object.fields.slot(name);
            // However often: the error is one, and so is its room.
            if !matches!(member, Member::Absent) && !object.twice.contains(&name) {
                object.twice.push(name);
            }
            *member = if self.careful { Member::of_raw(map.next_value()?) } else { map.next_value()? };
        }
        Ok(object)
    }

    fn visit_unit<E>(self) -> Result<Object<F>, E> {
        no_object()
    }

    fn visit_bool<E>(self, _: bool) -> Result<Object<F>, E> {
        no_object()
    }

    fn visit_i64<E>(self, _: i64) -> Result<Object<F>, E> {
        no_object()
    }

    fn visit_u64<E>(self, _: u64) -> Result<Object<F>, E> {
        no_object()
    }

    fn visit_f64<E>(self, _: f64) -> Result<Object<F>, E> {
        no_object()
    }

    fn visit_str<E>(self, _: &str) -> Result<Object<F>, E> {
        no_object()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Object<F>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        no_object()
    }
}

/// Remembered rather than refused, so that the reader of a batch can go on with the next item.
fn no_object<F: Default, E>() -> Result<Object<F>, E> {
    Ok(Object { fields: F::default(), is_object: false, twice: Vec::new() })
}

/// Reads a member's name.
struct Name<F>(PhantomData<F>);

impl<'de, F: Fields<'de>> DeserializeSeed<'de> for Name<F> {
    type Value = Option<F::Name>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, F: Fields<'de>> Visitor<'de> for Name<F> {
    type Value = Option<F::Name>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(F::name(text))
    }
}
