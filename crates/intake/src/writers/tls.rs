//! The flags of TLS with the writers. Unlike Kafka and the store they know no password; an authority alone turns TLS on, and
//! the certificate's name may be given, because targets are addresses.

use std::path::PathBuf;

use blackfriday_service::tls::ClientTls;
use blackfriday_telemetry::access::{FileError, SettingFile};

/// TLS with the writers, if there is an authority.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Writers")]
pub struct WritersTls {
    /// Certificates, in PEM, of the authorities that may vouch for the writers: then TLS is spoken with them.
    #[arg(
        id = "writer_tls_ca",
        long = "writer-tls-ca",
        value_name = "FILE",
        env = "BLACKFRIDAY_WRITER_TLS_CA"
    )]
    pub ca: Option<PathBuf>,
    /// Our own certificate, in PEM, for writers that want one.
    #[arg(
        id = "writer_tls_certificate",
        long = "writer-tls-certificate",
        value_name = "FILE",
        env = "BLACKFRIDAY_WRITER_TLS_CERTIFICATE",
        requires_all = ["writer_tls_ca", "writer_tls_key"]
    )]
    pub certificate: Option<PathBuf>,
    /// The key of our certificate, in PEM.
    #[arg(
        id = "writer_tls_key",
        long = "writer-tls-key",
        value_name = "FILE",
        env = "BLACKFRIDAY_WRITER_TLS_KEY",
        requires = "writer_tls_certificate"
    )]
    pub key: Option<PathBuf>,
    /// The name in the writers' certificates; without it the first target's host.
    #[arg(
        id = "writer_tls_server_name",
        long = "writer-tls-server-name",
        value_name = "NAME",
        env = "BLACKFRIDAY_WRITER_TLS_SERVER_NAME"
    )]
    pub server_name: Option<String>,
}

impl WritersTls {
    /// Reads the files, if there is an authority. `host` is the name where no other is given.
    pub(super) fn client(&self, host: &str) -> Result<Option<ClientTls>, FileError> {
        let Some(ca) = &self.ca else { return Ok(None) };
        let ca = SettingFile::new("--writer-tls-ca", ca);
        let identity = self.certificate.as_deref().zip(self.key.as_deref()).map(|(certificate, key)| {
            let certificate = SettingFile::new("--writer-tls-certificate", certificate);
            (certificate, SettingFile::new("--writer-tls-key", key))
        });
        let name = self.server_name.as_deref().unwrap_or(host);
        ClientTls::new(ca, identity, name).map(Some)
    }
}
