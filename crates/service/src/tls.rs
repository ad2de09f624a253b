//! TLS of the gRPC hop, on both sides: certificates in PEM, read when the process starts.
//!
//! TLS 1.2 or newer, HTTP/2 by ALPN. A side that has an authority for the other accepts only certificates that the authority vouches for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use blackfriday_telemetry::access::{FileError, SettingFile};
use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, Ssl, SslAcceptor, SslConnector, SslContextBuilder, SslFiletype, SslMethod, SslVerifyMode,
    SslVersion, select_next_proto,
};
use openssl::x509::X509Name;
use tokio::io::{AsyncRead, AsyncWrite};

pub use tokio_openssl::SslStream;

const HTTP2: &[u8] = b"\x02h2";

/// The server's side. Clones share it.
#[derive(Clone)]
pub struct ServerTls(Arc<SslAcceptor>);

/// The client's side. Clones share it.
#[derive(Clone)]
pub struct ClientTls {
    connector: Arc<SslConnector>,
    server_name: Arc<str>,
}

impl ServerTls {
    /// With a certificate and its key; with `client_ca`, only for clients whose certificate it vouches for.
    ///
    /// # Errors
    /// A file cannot be read or is not in PEM, or the key is not the certificate's.
    pub fn new(
        certificate: SettingFile<'_>,
        key: SettingFile<'_>,
        client_ca: Option<SettingFile<'_>>,
    ) -> Result<Self, FileError> {
        let begun = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls());
        let mut builder = begun.map_err(|source| certificate.refused(source))?;
        present_certificate(&mut builder, certificate, key)?;
        if let Some(ca) = client_ca {
            trust(&mut builder, ca)?;
            let names = X509Name::load_client_ca_file(ca.path).map_err(|source| ca.refused(source))?;
            builder.set_client_ca_list(names);
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        builder.set_alpn_select_callback(|_, offered| {
            select_next_proto(HTTP2, offered).ok_or(AlpnError::ALERT_FATAL)
        });
        Ok(Self(Arc::new(builder.build())))
    }

    /// The handshake takes place with the first read or write.
    ///
    /// # Errors
    /// OpenSSL has no memory.
    pub fn begin<S: AsyncRead + AsyncWrite>(&self, stream: S) -> io::Result<SslStream<S>> {
        let mut ssl = Ssl::new(self.0.context())?;
        ssl.set_accept_state();
        Ok(SslStream::new(ssl, stream)?)
    }
}

impl ClientTls {
    /// For servers that `ca` vouches for under this name; with a certificate of our own and its key, where they want one.
    ///
    /// # Errors
    /// A file cannot be read or is not in PEM, or the key is not the certificate's.
    pub fn new(
        ca: SettingFile<'_>,
        identity: Option<(SettingFile<'_>, SettingFile<'_>)>,
        server_name: &str,
    ) -> Result<Self, FileError> {
        let refused = |source: ErrorStack| ca.refused(source);
        // Not the builder's defaults, which trust the system's authorities, too.
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(refused)?;
        builder.set_cert_store(openssl::x509::store::X509StoreBuilder::new().map_err(refused)?.build());
        builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(refused)?;
        builder.set_alpn_protos(HTTP2).map_err(refused)?;
        trust(&mut builder, ca)?;
        if let Some((certificate, key)) = identity {
            present_certificate(&mut builder, certificate, key)?;
        }
        Ok(Self { connector: Arc::new(builder.build()), server_name: server_name.into() })
    }

    /// The handshake. That the server refuses our certificate shows only afterwards (RFC 8446, section 4.4.2.4).
    ///
    /// # Errors
    /// The server is not who it should be, or the connection breaks.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<SslStream<S>> {
        let ssl = self.connector.configure()?.into_ssl(&self.server_name)?;
        let mut stream = SslStream::new(ssl, stream)?;
        Pin::new(&mut stream).connect().await.map_err(io::Error::other)?;
        Ok(stream)
    }
}

fn trust(builder: &mut SslContextBuilder, ca: SettingFile<'_>) -> Result<(), FileError> {
    builder.set_ca_file(ca.path).map_err(|source| ca.refused(source))
}

fn present_certificate(
    builder: &mut SslContextBuilder,
    certificate: SettingFile<'_>,
    key: SettingFile<'_>,
) -> Result<(), FileError> {
    builder.set_certificate_chain_file(certificate.path).map_err(|source| certificate.refused(source))?;
    builder.set_private_key_file(key.path, SslFiletype::PEM).map_err(|source| key.refused(source))?;
    builder.check_private_key().map_err(|source| key.refused(source))
}
