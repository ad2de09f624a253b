//! User, passwords and certificates at Valkey. `telemetry::access` reads the files for every server, but the flags are
//! each server's own: clap's derive makes names and help at compile time, and no two servers ask for the same. Valkey has
//! Sentinels with another login, and its files are read again for each connection.

use std::path::{Path, PathBuf};

use blackfriday_telemetry::access::{Secret, SettingFile};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates,
};

use crate::address::{Endpoint, ValkeyUrl};
use crate::error::ConnectionError;

/// How we log in to Valkey and its Sentinels. Files are read again for each connection, so that a secret may be changed
/// while we run.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Valkey")]
pub struct ValkeyAccess {
    /// The user; wins over the URL's.
    #[arg(
        id = "valkey_username",
        long = "valkey-username",
        value_name = "NAME",
        env = "BLACKFRIDAY_VALKEY_USERNAME"
    )]
    pub username: Option<String>,
    /// The user's password; wins over the URL's. Better the variable or a file: everybody on the machine sees arguments.
    #[arg(
        id = "valkey_password",
        long = "valkey-password",
        value_name = "PASSWORD",
        env = "BLACKFRIDAY_VALKEY_PASSWORD",
        hide_env_values = true,
        conflicts_with = "valkey_password_file"
    )]
    pub password: Option<Secret>,
    /// A file whose first line is the user's password.
    #[arg(
        id = "valkey_password_file",
        long = "valkey-password-file",
        value_name = "FILE",
        env = "BLACKFRIDAY_VALKEY_PASSWORD_FILE"
    )]
    pub password_file: Option<PathBuf>,
    /// The user at the Sentinels, which are asked without a password unless they have one of their own.
    #[arg(
        id = "valkey_sentinel_username",
        long = "valkey-sentinel-username",
        value_name = "NAME",
        env = "BLACKFRIDAY_VALKEY_SENTINEL_USERNAME"
    )]
    pub sentinel_username: Option<String>,
    /// The password at the Sentinels. Better the variable or a file.
    #[arg(
        id = "valkey_sentinel_password",
        long = "valkey-sentinel-password",
        value_name = "PASSWORD",
        env = "BLACKFRIDAY_VALKEY_SENTINEL_PASSWORD",
        hide_env_values = true,
        conflicts_with = "valkey_sentinel_password_file"
    )]
    pub sentinel_password: Option<Secret>,
    /// A file whose first line is the password at the Sentinels.
    #[arg(
        id = "valkey_sentinel_password_file",
        long = "valkey-sentinel-password-file",
        value_name = "FILE",
        env = "BLACKFRIDAY_VALKEY_SENTINEL_PASSWORD_FILE"
    )]
    pub sentinel_password_file: Option<PathBuf>,
    /// Certificates, in PEM, of the authorities that may vouch for Valkey and its Sentinels; without it the system's.
    #[arg(id = "valkey_ca", long = "valkey-ca", value_name = "FILE", env = "BLACKFRIDAY_VALKEY_CA")]
    pub ca: Option<PathBuf>,
    /// Our own certificate, in PEM.
    #[arg(
        id = "valkey_certificate",
        long = "valkey-certificate",
        value_name = "FILE",
        env = "BLACKFRIDAY_VALKEY_CERTIFICATE",
        requires = "valkey_key"
    )]
    pub certificate: Option<PathBuf>,
    /// The key of our certificate, in PEM.
    #[arg(
        id = "valkey_key",
        long = "valkey-key",
        value_name = "FILE",
        env = "BLACKFRIDAY_VALKEY_KEY",
        requires = "valkey_certificate"
    )]
    pub key: Option<PathBuf>,
    /// How these settings are written: other than here where a process has the flags of a second server.
    #[arg(skip)]
    pub names: SettingNames,
}

/// The settings as they are written on the command line, for errors about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingNames {
    /// Of [`ValkeyAccess::username`].
    pub username: &'static str,
    /// Of [`ValkeyAccess::sentinel_username`].
    pub sentinel_username: &'static str,
    /// Of [`ValkeyAccess::password_file`].
    pub password: &'static str,
    /// Of [`ValkeyAccess::sentinel_password_file`].
    pub sentinel_password: &'static str,
    /// Of [`ValkeyAccess::ca`].
    pub ca: &'static str,
    /// Of [`ValkeyAccess::certificate`].
    pub certificate: &'static str,
    /// Of [`ValkeyAccess::key`].
    pub key: &'static str,
}

impl Default for SettingNames {
    fn default() -> Self {
        Self {
            username: "--valkey-username",
            sentinel_username: "--valkey-sentinel-username",
            password: "--valkey-password-file",
            sentinel_password: "--valkey-sentinel-password-file",
            ca: "--valkey-ca",
            certificate: "--valkey-certificate",
            key: "--valkey-key",
        }
    }
}

impl ValkeyAccess {
    /// A client of a server with data.
    pub(crate) fn of_server(&self, at: &Endpoint, url: &ValkeyUrl) -> Result<Client, ConnectionError> {
        let password = secret(self.password.as_ref(), self.password_file.as_deref(), self.names.password)?;
        self.client(at, with(url.login.clone(), self.username.as_deref(), password), url.tls)
    }

    /// A client of a Sentinel.
    pub(crate) fn of_sentinel(&self, at: &Endpoint, url: &ValkeyUrl) -> Result<Client, ConnectionError> {
        let (text, file) = (self.sentinel_password.as_ref(), self.sentinel_password_file.as_deref());
        let password = secret(text, file, self.names.sentinel_password)?;
        let login = RedisConnectionInfo::default().set_skip_set_lib_name();
        self.client(at, with(login, self.sentinel_username.as_deref(), password), url.tls)
    }

    fn client(
        &self,
        at: &Endpoint,
        login: RedisConnectionInfo,
        tls: bool,
    ) -> Result<Client, ConnectionError> {
        let (host, port) = (at.host.clone(), at.port);
        let address = if tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let info = address.into_connection_info()?.set_redis_settings(login);
        if tls { self.with_certificates(info) } else { Ok(Client::open(info)?) }
    }

    fn with_certificates(&self, info: ConnectionInfo) -> Result<Client, ConnectionError> {
        let file = |path: &Option<PathBuf>, option| {
            path.as_deref()
                .map(|path| SettingFile::new(option, path).read().map_err(ConnectionError::File))
                .transpose()
        };
        let named = self.names;
        let ca = file(&self.ca, named.ca)?;
        if ca.as_deref().is_some_and(|pem| !holds_a_certificate(pem)) {
            let source = (ErrorKind::InvalidClientConfig, "no certificate").into();
            return Err(ConnectionError::Certificate { option: named.ca, source });
        }
        let authorities = TlsCertificates { client_tls: None, root_cert: ca };
        let unreadable = |option| move |source: RedisError| ConnectionError::Certificate { option, source };
        let checked = Client::build_with_tls(info.clone(), authorities.clone());
        let certificate = file(&self.certificate, named.certificate)?;
        let (Some(client_cert), Some(client_key)) = (certificate, file(&self.key, named.key)?) else {
            return checked.map_err(unreadable(named.ca));
        };
        checked.map_err(unreadable(named.ca))?;
        let client_tls = Some(ClientTlsConfig { client_cert, client_key });
        Client::build_with_tls(info, TlsCertificates { client_tls, ..authorities })
            .map_err(unreadable(named.certificate))
    }
}

fn with(login: RedisConnectionInfo, username: Option<&str>, password: Option<Secret>) -> RedisConnectionInfo {
    let login = username.into_iter().fold(login, RedisConnectionInfo::set_username);
    password.into_iter().fold(login, |login, password| login.set_password(password.expose()))
}

fn secret(
    text: Option<&Secret>,
    file: Option<&Path>,
    option: &'static str,
) -> Result<Option<Secret>, ConnectionError> {
    let in_file = |path| SettingFile::new(option, path).secret().map_err(ConnectionError::File);
    let text = text.filter(|text| !text.expose().is_empty());
    file.map(in_file).or_else(|| text.cloned().map(Ok)).transpose()
}

/// The client would take a file without any for no file, and trust the system's authorities.
fn holds_a_certificate(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----")
}
