//! A way to the registry that breaks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Forwards connections to a server on loopback, and cuts each after so many bytes of answers.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    limits: Arc<Limits>,
    task: AbortHandle,
}

struct Limits {
    /// Bytes of answers for one connection.
    each: AtomicU64,
    /// Connections that are still let through; the next ones are closed at once.
    connections: AtomicU64,
    /// Bytes of answers so far.
    passed: AtomicU64,
}

impl Proxy {
    pub(crate) async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let limits = Arc::new(Limits {
            each: AtomicU64::new(u64::MAX),
            connections: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
        });
        let task = tokio::spawn(forward(listener, target, Arc::clone(&limits))).abort_handle();
        Self { address, limits, task }
    }

    pub(crate) fn limit(&self, each: u64, connections: u64) {
        self.limits.each.store(each, Ordering::SeqCst);
        self.limits.connections.store(connections, Ordering::SeqCst);
    }

    pub(crate) fn passed(&self) -> u64 {
        self.limits.passed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(listener: TcpListener, target: String, limits: Arc<Limits>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let left = limits.connections.load(Ordering::SeqCst);
        limits.connections.store(left.saturating_sub(1), Ordering::SeqCst);
        if left > 0 {
            connections.spawn(connect(client, target.clone(), Arc::clone(&limits)));
        }
    }
}

async fn connect(client: TcpStream, target: String, limits: Arc<Limits>) {
    let server = TcpStream::connect(target).await.expect("the registry runs");
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let requests = async { copy(&mut from_client, &mut to_server).await.is_ok() };
    let answers = async {
        let (mut buffer, mut passed) = (vec![0; 16 * 1024], 0);
        loop {
            let read = from_server.read(&mut buffer).await.unwrap_or(0);
            if read == 0 || to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
            passed += read as u64;
            limits.passed.fetch_add(read as u64, Ordering::SeqCst);
            if passed >= limits.each.load(Ordering::SeqCst) {
                return;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = requests => {}
    }
}
