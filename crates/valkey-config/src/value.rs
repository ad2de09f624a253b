//! What may stand in a file. Each check gives the value, or says what is allowed; it never repeats the text.

use std::fmt;

use blackfriday_telemetry::access::Secret;

pub(crate) const SERVER_PORT: u16 = 6379;
pub(crate) const SENTINEL_PORT: u16 = 26379;

/// Where a server or a Sentinel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    /// Host names do not know upper and lower case (RFC 4343).
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// 16 to 256 letters, digits and marks that need no quotes: Sentinel writes its passwords back without any.
pub(crate) fn secret(text: &str) -> Result<Secret, &'static str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._~+/=-".contains(c);
    if (16..=256).contains(&text.len()) && text.chars().all(is_allowed) {
        return Ok(text.parse().expect("any text is a secret"));
    }
    Err("16 to 256 letters, digits and . _ ~ + / = - are wanted")
}

/// A name of a group, a user or a host.
pub(crate) fn word(text: &str) -> Result<String, &'static str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !text.is_empty() && text.chars().all(is_allowed) {
        return Ok(text.to_owned());
    }
    Err("letters, digits and . _ - are wanted")
}

/// A host name or an IPv4 address.
pub(crate) fn host(text: &str) -> Result<String, &'static str> {
    let wrong = "a host name or an IPv4 address is wanted";
    if text.starts_with('-') { Err(wrong) } else { word(text).map_err(|_| wrong) }
}

/// `HOST` or `HOST:PORT`.
pub(crate) fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, &'static str> {
    let wrong = "HOST or HOST:PORT is wanted, with a host name or an IPv4 address";
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port_of(port).ok_or("the port is wanted as 1 to 65535")?),
        None => (text, default_port),
    };
    Ok(Endpoint { host: host(name).map_err(|_| wrong)?, port })
}

/// As [`endpoint()`], of a server.
pub(crate) fn server(text: &str) -> Result<Endpoint, &'static str> {
    endpoint(text, SERVER_PORT)
}

/// As [`endpoint()`], of a Sentinel.
pub(crate) fn sentinel(text: &str) -> Result<Endpoint, &'static str> {
    endpoint(text, SENTINEL_PORT)
}

/// Not `str::parse`, which takes a sign, too.
fn port_of(text: &str) -> Option<u16> {
    let is_number = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().filter(|&port| port > 0)
}

/// What holds of any text: nothing that a file holds becomes a second directive, or a second argument.
#[cfg(any(test, fuzzing))]
pub(crate) fn is_one_word_or_refused(text: &str) {
    let is_one_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    for taken in [word(text).ok(), host(text).ok(), secret(text).ok().map(|taken| taken.expose().to_owned())]
    {
        assert!(taken.is_none_or(|taken| taken == text && is_one_word(&taken)));
    }
    if let Ok(endpoint) = server(text) {
        assert!(endpoint.port > 0 && is_one_word(&endpoint.host));
        assert_eq!(server(&endpoint.to_string()), Ok(endpoint));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_is_one_word(text in prop_oneof![any::<String>(), "[a-z0-9._:~+/=-]{0,260}", "[a-z.]{1,9}:[0-9]{0,6}"]) {
            is_one_word_or_refused(&text);
        }
    }

    #[test]
    fn a_secret_is_long_and_needs_no_quotes() {
        assert_eq!(secret("0123456789abcdef").expect("16").expose(), "0123456789abcdef");
        secret(&"~".repeat(256)).expect("256");
        let with = |odd: &str| format!("0123456789abcdef{odd}0123456789abcdef");
        for odd in [" ", "\"", "'", "\\", "\n", "\r", "\t", "\0", "#", "ñ", "\nuser x on nopass +@all"] {
            let error = secret(&with(odd)).expect_err(odd);
            assert!(error.contains("letters"), "{error}");
        }
        for wrong in ["", "short", &"a".repeat(257)] {
            secret(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_maybe_a_port() {
        let found = |text| server(text).map(|endpoint| endpoint.to_string());
        assert_eq!(found("valkey-0.valkey.svc").expect("a host"), "valkey-0.valkey.svc:6379");
        assert_eq!(found("10.0.0.7:1").expect("with a port"), "10.0.0.7:1");
        assert_eq!(sentinel("s").expect("a host").port, 26379);
        let wrong = [
            "",
            ":1",
            "-h",
            "h:",
            "h:0",
            "h:+1",
            "h:65536",
            "h:1:2",
            "h 1",
            "h\nprotected-mode no",
            "[::1]",
            "h;x",
        ];
        for text in wrong {
            assert!(found(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn host_names_are_compared_as_such() {
        assert!(server("Valkey-0").expect("a host").is(&server("valkey-0:6379").expect("a host")));
        assert!(!server("valkey-0:1").expect("a host").is(&server("valkey-0").expect("a host")));
    }
}
