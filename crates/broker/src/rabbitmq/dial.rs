//! Finding a server and the way to it: names, TCP, TLS.

use std::pin::Pin;
use std::time::Duration;

use openssl::ssl::SslConnector;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_openssl::SslStream;

use super::config::RabbitMqConfig;
use super::error::LinkError;
use crate::error::BrokerError;

/// For the way to a server.
pub(super) const DIAL_LIMIT: Duration = Duration::from_secs(3);
/// For the way to a server and the login there, together. RabbitMQ 4 answers a wrong password after 3 s, so that passwords
/// are not tried out quickly.
pub(super) const LOGIN_LIMIT: Duration = Duration::from_secs(6);

/// Both directions of a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// What connections are made with. Clones are cheap.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) servers: Vec<String>,
    pub(super) vhost: String,
    pub(super) username: String,
    password: String,
    tls: Option<SslConnector>,
}

impl Dial {
    /// # Errors
    /// No server is named, or a file of TLS cannot be used.
    pub(super) fn new(config: &RabbitMqConfig) -> Result<Self, BrokerError> {
        let servers = config.addresses();
        if servers.is_empty() {
            return Err(BrokerError::Client("--rabbitmq-servers names no server".into()));
        }
        let tls = config.security.connector().map_err(|error| BrokerError::Client(error.into()))?;
        Ok(Self {
            servers,
            vhost: config.vhost.clone(),
            username: config.security.username.clone(),
            password: config.security.password().to_owned(),
            tls,
        })
    }

    /// SASL's `PLAIN`: no other identity, user, password.
    pub(super) fn plain(&self) -> String {
        format!("\0{}\0{}", self.username, self.password)
    }

    /// # Errors
    /// The name does not resolve, nobody listens there, or it is not whom it should be.
    pub(super) async fn connect(&self, address: &str) -> Result<Box<dyn Stream>, LinkError> {
        let unresolved = |reason: String| LinkError::Resolve { address: address.to_owned(), reason };
        let found = lookup_host(address).await.map_err(|error| unresolved(error.to_string()))?;
        let found: Vec<_> = found.collect();
        if found.is_empty() {
            return Err(unresolved("it has none".to_owned()));
        }
        let unreached = |reason: String| LinkError::Connect { address: address.to_owned(), reason };
        let tcp = timeout(DIAL_LIMIT, TcpStream::connect(&found[..])).await;
        let tcp = tcp.map_err(|_| unreached(format!("no answer in {} s", DIAL_LIMIT.as_secs())))?;
        let tcp = tcp.map_err(|error| unreached(error.to_string()))?;
        // A small frame need not wait for a full segment; without it they go out a little later.
        tcp.set_nodelay(true).ok();
        match &self.tls {
            Some(connector) => Ok(Box::new(secure(connector, tcp, address).await?)),
            None => Ok(Box::new(tcp)),
        }
    }
}

async fn secure(
    connector: &SslConnector,
    tcp: TcpStream,
    address: &str,
) -> Result<SslStream<TcpStream>, LinkError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |reason: String| LinkError::Tls { address: address.to_owned(), reason };
    let ssl = connector.configure().and_then(|connect| connect.into_ssl(host));
    let ssl = ssl.map_err(|error| failed(error.to_string()))?;
    let mut stream = SslStream::new(ssl, tcp).map_err(|error| failed(error.to_string()))?;
    let agreed = timeout(DIAL_LIMIT, Pin::new(&mut stream).connect()).await;
    let agreed = agreed.map_err(|_| failed(format!("no answer in {} s", DIAL_LIMIT.as_secs())))?;
    agreed.map_err(|error| failed(error.to_string()))?;
    Ok(stream)
}
