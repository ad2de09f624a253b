use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Passes connections on to a service, and can cut all of them at once. New ones go through.
#[derive(Debug)]
pub struct Cable {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<Mutex<JoinSet<()>>>,
    listening: JoinHandle<()>,
}

impl Cable {
    /// Begins to pass connections on.
    ///
    /// # Errors
    /// No port is free.
    pub async fn to(service: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let (address, connections) = (listener.local_addr()?, Arc::<Mutex<JoinSet<()>>>::default());
        let open = Arc::clone(&connections);
        let listening = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                open.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(service).await {
                        // Either side may end it at any time, which is what this is for.
                        copy_bidirectional(&mut client, &mut server).await.ok();
                    }
                });
            }
        });
        Ok(Self { address, connections, listening })
    }

    /// Ends all connections that there are, in the middle of whatever they carry.
    pub fn cut(&self) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}
