use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

/// What both programs need to know.
pub(super) struct Settings<'a> {
    pub(super) listen: SocketAddr,
    pub(super) data: &'a Path,
    pub(super) htpasswd: &'a Path,
    /// Certificate and key.
    pub(super) tls: Option<(&'a Path, &'a Path)>,
}

/// Zot. Without an `accessControl` section everything is for the users of the htpasswd file, and only for them.
pub(super) fn zot(settings: &Settings<'_>) -> String {
    let mut http = json!({
        "address": settings.listen.ip().to_string(),
        "port": settings.listen.port().to_string(),
        "realm": "blackfriday",
        "auth": {"htpasswd": {"path": settings.htpasswd}},
    });
    if let Some((certificate, key)) = settings.tls {
        http["tls"] = json!({"cert": certificate, "key": key});
    }
    let whole = json!({
        "distSpecVersion": "1.1.1",
        // A deployment pins digests that may have lost their tag to a later push: nothing is collected.
        "storage": {"rootDirectory": settings.data, "gc": false},
        "http": http,
        "log": {"level": "info"},
    });
    pretty(&whole)
}

/// Docker's registry, whose YAML takes JSON as well.
pub(super) fn docker_registry(settings: &Settings<'_>) -> String {
    let mut http = json!({
        "addr": settings.listen.to_string(),
        // It may be reached by several names, and through a forwarded port.
        "relativeurls": true,
    });
    if let Some((certificate, key)) = settings.tls {
        http["tls"] = json!({"certificate": certificate, "key": key});
    }
    let whole = json!({
        "version": 0.1,
        "log": {"level": "info", "formatter": "json"},
        "storage": {"filesystem": {"rootdirectory": settings.data}},
        "auth": {"htpasswd": {"realm": "blackfriday", "path": settings.htpasswd}},
        "http": http,
    });
    pretty(&whole)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_and_passwords_are_in_both() {
        let path = Path::new("/somewhere");
        for tls in [None, Some((path, path))] {
            let listen = SocketAddr::from(([127, 0, 0, 1], 5000));
            let settings = Settings { listen, data: path, htpasswd: path, tls };
            for text in [zot(&settings), docker_registry(&settings)] {
                let json: Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(json["http"]["tls"].is_object(), tls.is_some(), "{text}");
                assert!(text.contains("htpasswd") && text.contains("5000"));
            }
        }
    }
}
