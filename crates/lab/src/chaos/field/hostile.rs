use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Bodies of this length, which is allowed, and of which the last byte never comes.
const BODY: usize = 7 << 20;
/// Together they hold more than all bodies may take.
const CLIENTS: usize = 32;
const PIECE: usize = 64 << 10;

/// Clients that want a service to run out of memory. Dropping it hangs up.
#[derive(Debug)]
pub(crate) struct Hostile {
    _clients: JoinSet<()>,
    refused: Arc<AtomicBool>,
}

impl Hostile {
    /// Begins to send to the route of many sales.
    pub(crate) fn start(to: SocketAddr) -> Self {
        let (mut clients, refused) = (JoinSet::new(), Arc::<AtomicBool>::default());
        for _ in 0..CLIENTS {
            let refused = Arc::clone(&refused);
            clients.spawn(async move {
                // Whatever ends it, the service does not take more of it.
                send(to).await.ok();
                refused.store(true, Ordering::Relaxed);
            });
        }
        Self { _clients: clients, refused }
    }

    /// Whether one of them was refused, or its connection broken.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

async fn send(to: SocketAddr) -> Result<()> {
    let (mut answer, mut request) = TcpStream::connect(to).await?.into_split();
    let head = format!(
        "POST /ventas HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\ncontent-length: {BODY}\r\n\r\n"
    );
    request.write_all(head.as_bytes()).await?;
    let body = async {
        for _ in 0..BODY / PIECE - 1 {
            request.write_all(&[b' '; PIECE]).await?;
        }
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        sent = body => sent,
        _ = answer.read_u8() => Ok(()),
    }
}
