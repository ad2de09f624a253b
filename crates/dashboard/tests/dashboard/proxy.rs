use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The way between the browser and the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Connections stay, and nothing arrives.
    Silent,
    /// Connections are closed, also new ones.
    Gone,
}

/// Stands between the two, so that the page's origin outlives every trouble.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (way, watched) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, target, watched.clone()));
            }
        });
        Ok(Self { address, way })
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn join(client: TcpStream, target: SocketAddr, way: watch::Receiver<Way>) -> Result<()> {
    let mut gone = way.clone();
    let (from, to) = client.into_split();
    let (back, forth) = TcpStream::connect(target).await?.into_split();
    tokio::select! {
        _ = gone.wait_for(|way| *way == Way::Gone) => Ok(()),
        ended = pump(from, forth, way.clone()) => ended,
        ended = pump(back, to, way) => ended,
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: watch::Receiver<Way>,
) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        way.wait_for(|way| *way == Way::Open).await?;
        to.write_all(&buffer[..read]).await?;
    }
}
