//! What a body is, by its head and by its first bytes: JSON or lines of it, in UTF-8, not compressed. Anything else is
//! refused by name, and from the head where that says it.

use blackfriday_proto::{ErrorCode, Refusal};
use http::{HeaderMap, header};

/// What kind of body a content type announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Lines,
}

/// How bodies begin that are not JSON in UTF-8. The longer ones first.
const BEGINNINGS: [(&[u8], ErrorCode, &str); 12] = [
    (b"\0\0\xfe\xff", ErrorCode::NotJson, "a UTF-32 byte order mark: send UTF-8"),
    (b"\xff\xfe\0\0", ErrorCode::NotJson, "a UTF-32 byte order mark: send UTF-8"),
    (b"\xef\xbb\xbf", ErrorCode::NotJson, "a UTF-8 byte order mark: leave it out (RFC 8259, section 8.1)"),
    (b"\xfe\xff", ErrorCode::NotJson, "a UTF-16 byte order mark: send UTF-8"),
    (b"\xff\xfe", ErrorCode::NotJson, "a UTF-16 byte order mark: send UTF-8"),
    (b"\x1f\x8b", ErrorCode::UnsupportedMediaType, "gzip data: send it as it is"),
    (b"\x28\xb5\x2f\xfd", ErrorCode::UnsupportedMediaType, "zstd data: send it as it is"),
    (b"\x78\x01", ErrorCode::UnsupportedMediaType, "deflate data: send it as it is"),
    (b"\x78\x5e", ErrorCode::UnsupportedMediaType, "deflate data: send it as it is"),
    (b"\x78\x9c", ErrorCode::UnsupportedMediaType, "deflate data: send it as it is"),
    (b"\x78\xda", ErrorCode::UnsupportedMediaType, "deflate data: send it as it is"),
    (b"BZh", ErrorCode::UnsupportedMediaType, "bzip2 data: send it as it is"),
];

/// Bytes of a client's word that an answer repeats.
const MAX_REPEATED: usize = 40;

impl Media {
    /// By a request's head.
    ///
    /// # Errors
    /// Another media type, another charset than UTF-8, or a content encoding.
    pub(crate) fn of_head(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let (given, None) = (types.next(), types.next()) else {
            return Err(unsupported("the content type must be given once"));
        };
        let text = given.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut parts = text.split(';').map(str::trim);
        let media = of_essence(&parts.next().unwrap_or_default().to_ascii_lowercase())?;
        parts.try_for_each(check_parameter)?;
        headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .try_for_each(|value| check_encoding(value.as_bytes()))?;
        Ok(media)
    }

    /// Looks at the first bytes.
    ///
    /// # Errors
    /// It is compressed although the head does not say so, or text in another encoding.
    pub(crate) fn check_beginning(body: &[u8]) -> Result<(), Refusal> {
        let refused = |code, what| Err(Refusal::new(code, format!("the body begins with {what}")));
        for (beginning, code, what) in BEGINNINGS {
            if body.starts_with(beginning) {
                return refused(code, what);
            }
        }
        match body {
            [0, byte, ..] | [byte, 0, ..] if *byte != 0 => {
                refused(ErrorCode::NotJson, "text in UTF-16 or UTF-32: send UTF-8")
            }
            [0, 0, 0, _, ..] => refused(ErrorCode::NotJson, "text in UTF-32: send UTF-8"),
            _ => Ok(()),
        }
    }
}

/// The refusal of lines where one object is asked for.
pub(crate) fn not_lines() -> Refusal {
    unsupported("the content type must be application/json here")
}

fn of_essence(essence: &str) -> Result<Media, Refusal> {
    match essence {
        "application/json" => Ok(Media::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Media::Lines),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Media::Json),
        _ => Err(unsupported("the content type must be application/json, or application/x-ndjson for many")),
    }
}

fn check_parameter(parameter: &str) -> Result<(), Refusal> {
    let Some((name, value)) = parameter.split_once('=') else { return Ok(()) };
    let charset = value.trim().trim_matches('"');
    // ASCII is a part of UTF-8.
    let known =
        ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| known.eq_ignore_ascii_case(charset));
    if known || !name.trim().eq_ignore_ascii_case("charset") {
        return Ok(());
    }
    Err(unsupported(&format!("the charset {} is not understood: send UTF-8", repeated(charset.as_bytes()))))
}

fn check_encoding(value: &[u8]) -> Result<(), Refusal> {
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    match codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")) {
        None => Ok(()),
        Some(coding) => {
            let coding = repeated(coding);
            Err(unsupported(&format!(
                "the content encoding {coding} is not understood: send the body as it is"
            )))
        }
    }
}

/// A client's word, as far as it can be shown.
fn repeated(word: &[u8]) -> String {
    let shown = &word[..word.len().min(MAX_REPEATED)];
    shown.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }).collect()
}

fn unsupported(detail: &str) -> Refusal {
    Refusal::new(ErrorCode::UnsupportedMediaType, detail)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(fields: &[(HeaderName, &'static str)]) -> Result<Media, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        Media::of_head(&headers).map_err(|error| {
            assert_eq!(error.code, ErrorCode::UnsupportedMediaType);
            error.message
        })
    }

    #[test]
    fn json_is_known_by_its_head() {
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"; version=1",
            "application/vnd.sale+json;charset=us-ascii",
        ] {
            assert_eq!(of(&[(header::CONTENT_TYPE, json)]), Ok(Media::Json), "{json}");
        }
        let plain = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CONTENT_ENCODING, "identity")];
        assert_eq!(of(&plain), Ok(Media::Lines));
    }

    #[test]
    fn whatever_else_is_named_in_the_refusal() {
        for other in ["text/json", "application/xml", "", "application/x-www-form-urlencoded"] {
            assert!(
                of(&[(header::CONTENT_TYPE, other)]).is_err_and(|text| text.contains("application/json"))
            );
        }
        for charset in ["utf-16", "ISO-8859-1", "windows-1252"] {
            let value: &'static str = format!("application/json; charset={charset}").leak();
            assert!(of(&[(header::CONTENT_TYPE, value)]).is_err_and(|text| text.contains(charset)));
        }
        for (encoding, named) in [("gzip", "gzip"), ("identity, BR", "BR"), ("x y\u{7f}", "x?y?")] {
            let Ok(value) = HeaderValue::from_str(encoding) else { continue };
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CONTENT_ENCODING, value);
            let error = Media::of_head(&headers).expect_err(encoding);
            assert!(error.message.contains(named), "{error}");
        }
        let twice = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_TYPE, "text/plain")];
        assert!(of(&twice).is_err_and(|text| text.contains("once")));
    }

    #[test]
    fn a_body_of_another_kind_is_known_by_its_beginning() {
        for (body, code, named) in [
            (&b"\x1f\x8b\x08\0"[..], ErrorCode::UnsupportedMediaType, "gzip"),
            (b"\x28\xb5\x2f\xfd\0", ErrorCode::UnsupportedMediaType, "zstd"),
            (b"x\x9cab", ErrorCode::UnsupportedMediaType, "deflate"),
            (b"\xef\xbb\xbf{}", ErrorCode::NotJson, "UTF-8 byte order mark"),
            (b"\xff\xfe{\0}\0", ErrorCode::NotJson, "UTF-16 byte order mark"),
            (b"\xfe\xff\0{\0}", ErrorCode::NotJson, "UTF-16 byte order mark"),
            (b"\xff\xfe\0\0{\0\0\0", ErrorCode::NotJson, "UTF-32 byte order mark"),
            (b"{\0}\0", ErrorCode::NotJson, "UTF-16"),
            (b"\0{\0}", ErrorCode::NotJson, "UTF-16"),
            (b"\0\0\0{", ErrorCode::NotJson, "UTF-32"),
        ] {
            let error = Media::check_beginning(body).expect_err(named);
            assert!(error.code == code && error.message.contains(named), "{error}");
        }
        for body in [&b""[..], b"{", b"[1]", b" {}", b"x", b"7"] {
            assert!(Media::check_beginning(body).is_ok(), "{body:?}");
        }
    }
}
