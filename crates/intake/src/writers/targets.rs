use std::collections::BTreeSet;
use std::net::SocketAddr;

use blackfriday_telemetry::access::FileError;

/// Why there is no way to the writers.
#[derive(Debug, thiserror::Error)]
pub enum WritersError {
    /// The target cannot be read.
    #[error("writer target {0:?}: must be host:port, several separated by commas")]
    Target(String),
    /// A certificate or key cannot be used.
    #[error("cannot use the certificates for the writers")]
    Tls(#[source] FileError),
}

/// A name and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    host: String,
    port: u16,
}

impl Target {
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

/// Reads `host:port,…`; a scheme `http://` before a host is taken off.
pub(super) fn parse(text: &str) -> Result<Vec<Target>, WritersError> {
    let wrong = || WritersError::Target(text.to_owned());
    let target = |part: &str| {
        let part = part.trim();
        let part = part.strip_prefix("http://").unwrap_or(part).trim_end_matches('/');
        let (host, port) = part.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() { Err(wrong()) } else { Ok(Target { host, port }) }
    };
    text.split(',').map(target).collect()
}

/// Every address of every name. `None` if a name could not be looked up: then what is known stays in use.
pub(super) async fn look_up(targets: &[Target]) -> Option<Vec<SocketAddr>> {
    let mut addresses = BTreeSet::new();
    for Target { host, port } in targets {
        match tokio::net::lookup_host((host.as_str(), *port)).await {
            Ok(found) => addresses.extend(found),
            Err(error) => {
                tracing::warn!(host, %error, "the writers' name was not found");
                return None;
            }
        }
    }
    Some(addresses.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_list_of_hosts_with_ports() {
        let of = |host: &str, port| Target { host: host.into(), port };
        assert_eq!(parse("writers:50051").expect("one"), [of("writers", 50051)]);
        assert_eq!(parse("http://a:1, [::1]:2").expect("two"), [of("a", 1), of("::1", 2)]);
        for text in ["", "writers", "writers:", ":1", "a:1,,b:2", "a:99999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
