use std::ffi::OsStr;
use std::fmt;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use redis::{IntoConnectionInfo, RedisConnectionInfo};
use url::Url;

const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const FORM: &str = "must be redis://[user:password@]host:port[/database], or \
                    redis+sentinel://[user:password@]host:port,host:port/name[/database]; rediss:// for TLS";

/// One server, or a group of Sentinels that know which one is the primary. Its password is not printed.
#[derive(Clone)]
pub struct ValkeyUrl {
    pub(crate) place: Place,
    /// User, password and database on the server, as far as the URL names them.
    pub(crate) login: RedisConnectionInfo,
    pub(crate) tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server(Endpoint),
    Sentinels { sentinels: Vec<Endpoint>, name: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Reads a [`ValkeyUrl`] of the command line. Not a plain function: clap's error would repeat the value, and with it the
/// password.
#[derive(Clone, Debug)]
pub struct UrlParser;

impl ValkeyUrl {
    /// # Errors
    /// It is neither a server nor a group of Sentinels. The error does not repeat the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let (scheme, by_sentinels) = match scheme.strip_suffix("+sentinel") {
            Some(scheme) => (scheme, true),
            None => (scheme, false),
        };
        let tls = match scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(FORM.to_owned()),
        };
        let (place, login) = if by_sentinels { sentinels(rest)? } else { server(rest)? };
        Ok(Self { place, login, tls })
    }
}

impl fmt::Debug for ValkeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentinel = if matches!(self.place, Place::Sentinels { .. }) { "+sentinel" } else { "" };
        write!(f, "redis{}{sentinel}://", if self.tls { "s" } else { "" })?;
        match (self.login.username(), self.login.password()) {
            (None, None) => {}
            (user, None) => write!(f, "{}@", user.unwrap_or_default())?,
            (user, Some(_)) => write!(f, "{}:***@", user.unwrap_or_default())?,
        }
        match &self.place {
            Place::Server(server) => write!(f, "{server}/{}", self.login.db()),
            Place::Sentinels { sentinels, name } => {
                write!(f, "{}/{name}/{}", list(sentinels), self.login.db())
            }
        }
    }
}

/// Without the password.
impl fmt::Display for ValkeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl TypedValueParser for UrlParser {
    type Value = ValkeyUrl;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<ValkeyUrl, clap::Error> {
        ValkeyUrl::parse(&value.to_string_lossy()).map_err(|error| {
            let text = format!("invalid value for '--valkey-url' or BLACKFRIDAY_VALKEY_URL: {error}\n");
            clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        })
    }
}

/// `host:port,host:port`.
pub(crate) fn list(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn server(rest: &str) -> Result<(Place, RedisConnectionInfo), String> {
    let url = Url::parse(&format!("redis://{rest}")).map_err(|error| error.to_string())?;
    let endpoint = endpoint(&url, SERVER_PORT)?;
    Ok((Place::Server(endpoint), login(url)?))
}

/// The URL standard knows one host, so the list is taken apart by hand.
fn sentinels(rest: &str) -> Result<(Place, RedisConnectionInfo), String> {
    let (authority, path) = rest.split_once('/').ok_or(FORM)?;
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (name, database) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() || name.contains(['?', '#', '%']) {
        return Err(FORM.to_owned());
    }
    let sentinels = hosts.split(',').map(sentinel).collect::<Result<Vec<_>, _>>()?;
    let at = if credentials.is_empty() { "" } else { "@" };
    let login_url = Url::parse(&format!("redis://{credentials}{at}primary/{database}"));
    let login = login(login_url.map_err(|error| error.to_string())?)?;
    Ok((Place::Sentinels { sentinels, name: name.to_owned() }, login))
}

fn sentinel(host: &str) -> Result<Endpoint, String> {
    let url = Url::parse(&format!("redis://{host}")).map_err(|error| error.to_string())?;
    endpoint(&url, SENTINEL_PORT)
}

fn endpoint(url: &Url, port: u16) -> Result<Endpoint, String> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Endpoint { host, port: url.port().unwrap_or(port) })
}

fn login(url: Url) -> Result<RedisConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|_| FORM)?;
    // The client's name and version are of no use, and a permission less is needed.
    Ok(info.redis_settings().clone().set_skip_set_lib_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        format!("{:?}", ValkeyUrl::parse(text).expect("a place"))
    }

    #[test]
    fn a_place_is_a_server_or_a_list_of_sentinels() {
        assert_eq!(printed("valkey://valkey"), "redis://valkey:6379/0");
        assert_eq!(printed("rediss://u:p@[::1]:6380/3"), "rediss://u:***@[::1]:6380/3");
        assert_eq!(printed("redis+sentinel://a,b:1/one"), "redis+sentinel://a:26379,b:1/one/0");
        assert_eq!(
            printed("valkeys+sentinel://u:p%40x@[::1],10.0.0.1:2/one/3"),
            "rediss+sentinel://u:***@[::1]:26379,10.0.0.1:2/one/3"
        );
        let url = ValkeyUrl::parse("valkey+sentinel://:a%2Fb@h/one").expect("a place");
        assert_eq!((url.login.username(), url.login.password()), (None, Some("a/b")));
    }

    #[test]
    fn what_is_neither_is_refused_without_being_repeated() {
        for text in [
            "",
            "valkey:6379",
            "http://valkey",
            "redis://",
            "redis://u:hunter2@valkey/x",
            "redis+sentinel://u:hunter2@a,b",
            "redis+sentinel://u:hunter2@a,b/",
            "redis+sentinel://u:hunter2@a,,b/one",
            "redis+sentinel://u:hunter2@a:port/one",
            "redis+sentinel://a/one/two",
        ] {
            let error = ValkeyUrl::parse(text).expect_err(text);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
