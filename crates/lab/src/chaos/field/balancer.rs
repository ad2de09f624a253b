use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Spreads connections over several addresses, as a cluster's service does: in turns, and to the next one where one refuses.
#[derive(Debug)]
pub(super) struct Balancer {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Balancer {
    pub(super) async fn over(addresses: Vec<SocketAddr>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let address = listener.local_addr()?;
        let addresses = Arc::new(addresses);
        let listening = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            let mut turn = 0;
            while let Ok((client, _)) = listener.accept().await {
                turn += 1;
                connections.spawn(pass(client, Arc::clone(&addresses), turn));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, listening })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn pass(mut client: TcpStream, addresses: Arc<Vec<SocketAddr>>, turn: usize) {
    for nth in 0..addresses.len() {
        if let Ok(mut server) = TcpStream::connect(addresses[(turn + nth) % addresses.len()]).await {
            // Either side may end it at any time.
            copy_bidirectional(&mut client, &mut server).await.ok();
            return;
        }
    }
}
