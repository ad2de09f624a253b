use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// A listening socket could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}{}", by_flag(.flag))]
pub struct BindError {
    address: SocketAddr,
    /// What said so.
    flag: Option<&'static str>,
    #[source]
    source: std::io::Error,
}

/// Listens on an address, with `SO_REUSEADDR` so that a restart need not wait for old connections.
///
/// # Errors
/// The address is in use, not ours, or not allowed.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = listen(address).map_err(|source| BindError { address, flag: None, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    Ok(listener)
}

impl BindError {
    /// Names the flag that has the address, unless one is named already.
    #[must_use]
    pub fn by(mut self, flag: &'static str) -> Self {
        self.flag.get_or_insert(flag);
        self
    }
}

fn by_flag(flag: &Option<&'static str>) -> String {
    flag.map(|flag| format!(", as {flag} says")).unwrap_or_default()
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
