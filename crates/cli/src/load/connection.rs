use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Plan;

/// A gateway that asks for a longer pause is asked again after this one.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5);

/// One keep-alive connection to the gateway, made anew when it broke.
pub(super) struct Connection {
    address: SocketAddr,
    host: HeaderValue,
    path: &'static str,
    timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What happened to a request.
pub(super) enum Exchange {
    /// It was answered.
    Answered {
        status: u16,
        body: Bytes,
        /// How long the gateway asks to wait before the next try.
        retry_after: Option<Duration>,
    },
    /// There was no connection: it was not sent.
    NotSent,
    /// It may have been sent, and was not answered.
    NoAnswer,
}

impl Exchange {
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            Self::NotSent | Self::NoAnswer => None,
        }
    }
}

impl Connection {
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        let host = HeaderValue::from_str(&plan.host).context("the gateway's host")?;
        Ok(Self { address: plan.address, host, path: plan.path(), timeout: plan.timeout, sender: None })
    }

    pub(super) async fn post(&mut self, body: Bytes, key: Option<&str>) -> Exchange {
        let mut request = Request::post(self.path).header(header::HOST, self.host.clone());
        request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(body)).expect("a fixed path and plain headers make a request");
        let limit = self.timeout;
        let Ok(Some(mut sender)) = timeout(limit, self.sender()).await else { return Exchange::NotSent };
        let exchange = timeout(limit, async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>((head, body.collect().await?.to_bytes()))
        });
        match exchange.await {
            Ok(Ok((head, body))) => {
                self.sender = Some(sender);
                let retry_after = retry_after(&head.headers);
                Exchange::Answered { status: head.status.as_u16(), body, retry_after }
            }
            Ok(Err(error)) if error.is_canceled() => Exchange::NotSent,
            Ok(Err(_)) | Err(_) => Exchange::NoAnswer,
        }
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

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}
