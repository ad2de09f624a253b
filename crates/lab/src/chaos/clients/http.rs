use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Longer than the longest that a gateway takes for an answer.
const LIMIT: Duration = Duration::from_secs(8);

/// A keep-alive connection, made again when it broke.
pub(super) struct Http {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What to send.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) path: &'static str,
    pub(super) media: &'static str,
    pub(super) key: Option<String>,
    pub(super) body: Bytes,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Reply {
    /// It was answered.
    Answered { status: u16, is_problem: bool, body: Bytes },
    /// No byte of it was written.
    NotSent,
    /// It may have been received.
    NoAnswer,
}

impl Post {
    pub(super) fn json(path: &'static str, body: String) -> Self {
        Self { path, media: "application/json", key: None, body: body.into() }
    }
}

impl Http {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, sender: None }
    }

    /// One request: connecting, sending and the whole answer have one limit. Whoever drops this hangs up.
    pub(super) async fn post(&mut self, post: &Post) -> Reply {
        let until = Instant::now() + LIMIT;
        loop {
            let is_used = self.sender.is_some();
            let Ok(Some(sender)) = timeout_at(until, self.sender()).await else { return Reply::NotSent };
            match timeout_at(until, self.exchange(sender, post)).await {
                Ok(Ok(reply)) => return reply,
                // Hyper has not written a byte: the server had closed a connection that was at rest.
                Ok(Err(error)) if error.is_canceled() && is_used => {}
                Ok(Err(error)) if error.is_canceled() => return Reply::NotSent,
                Ok(Err(_)) | Err(_) => return Reply::NoAnswer,
            }
        }
    }

    async fn exchange(
        &mut self,
        mut sender: SendRequest<Full<Bytes>>,
        post: &Post,
    ) -> Result<Reply, hyper::Error> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(post.path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, post.media);
        if let Some(key) = &post.key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(post.body.clone())).expect("a fixed path and plain headers");
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.sender = Some(sender);
        let media = head.headers.get(header::CONTENT_TYPE);
        let is_problem = media.is_some_and(|media| media.as_bytes().starts_with(b"application/problem+json"));
        Ok(Reply::Answered { status: head.status.as_u16(), is_problem, body })
    }

    async fn sender(&mut self) -> Option<SendRequest<Full<Bytes>>> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Some(sender);
        }
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
        Some(sender)
    }
}
