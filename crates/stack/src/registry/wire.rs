//! One request, by hand, so that `stack` needs no HTTP client. That the answer comes by a certificate of our authority also
//! proves that it is this registry that has the port.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod};

const LIMIT: Duration = Duration::from_secs(2);
const LOCALHOST: &str = "127.0.0.1";
const REQUEST: &[u8] = b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const REFUSAL: &[u8] = b"HTTP/1.1 401 ";

/// Asks whether a registry answers, and refuses clients without a password.
#[derive(Clone)]
pub(super) struct Probe {
    host: String,
    ca: Option<PathBuf>,
}

impl Probe {
    pub(super) fn new(host: String, ca: Option<PathBuf>) -> Self {
        Self { host, ca }
    }

    pub(super) async fn answers(&self) -> bool {
        let probe = self.clone();
        let asked = tokio::task::spawn_blocking(move || probe.ask()).await;
        match asked {
            Ok(Ok(answer)) => answer.starts_with(REFUSAL),
            Ok(Err(error)) => {
                tracing::trace!(%error, "the registry does not answer yet");
                false
            }
            Err(_) => false,
        }
    }

    fn ask(&self) -> io::Result<Vec<u8>> {
        let address: SocketAddr = self.host.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        match &self.ca {
            None => exchange(stream),
            Some(ca) => exchange(encrypted(stream, ca)?),
        }
    }
}

fn encrypted(stream: TcpStream, ca: &Path) -> io::Result<openssl::ssl::SslStream<TcpStream>> {
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_ca_file(ca)?;
    connector.build().connect(LOCALHOST, stream).map_err(|error| io::Error::other(error.to_string()))
}

fn exchange(mut stream: impl Read + Write) -> io::Result<Vec<u8>> {
    stream.write_all(REQUEST)?;
    let mut answer = vec![0; REFUSAL.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
