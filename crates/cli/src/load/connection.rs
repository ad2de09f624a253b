use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Plan;

/// One keep-alive connection to the gateway, made anew when it broke.
pub(crate) struct Connection {
    address: SocketAddr,
    host: HeaderValue,
    path: &'static str,
    timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What happened to a request.
pub(crate) enum Exchange {
    /// It was answered.
    Answered { status: u16, body: Bytes },
    /// There was no connection: it was not sent.
    NotSent,
    /// It may have been sent, and was not answered.
    NoAnswer,
}

impl Connection {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let host = HeaderValue::from_str(&plan.host).context("the gateway's host")?;
        Ok(Self { address: plan.address, host, path: plan.path(), timeout: plan.timeout, sender: None })
    }

    pub(crate) async fn post(&mut self, body: Bytes, key: Option<&str>) -> Exchange {
        let mut request = Request::post(self.path).header(header::HOST, self.host.clone());
        request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(body)).expect("a fixed path and plain headers make a request");
        let limit = self.timeout;
        let Ok(Some(mut sender)) = timeout(limit, self.sender()).await else { return Exchange::NotSent };
        let exchange = timeout(limit, async {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
        });
        match exchange.await {
            Ok(Ok((status, body))) => {
                self.sender = Some(sender);
                Exchange::Answered { status, body }
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
