use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::http::response::Parts;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// An answer as a test looks at it.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// The body, or `Null` if it is not JSON.
    pub json: Value,
}

/// One POST of JSON on a connection of its own.
///
/// # Errors
/// No answer within 20 s.
pub async fn post(to: SocketAddr, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
    post_with(to, path, body, &[]).await
}

/// One POST of JSON with further headers, on a connection of its own.
///
/// # Errors
/// No answer within 20 s.
pub async fn post_with(
    to: SocketAddr,
    path: &str,
    body: impl Into<Bytes>,
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, to.to_string())
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    exchange(to, request.body(Full::new(body.into()))?).await
}

/// One GET on a connection of its own.
///
/// # Errors
/// No answer within 20 s.
pub async fn get(from: SocketAddr, path: &str) -> Result<Answer> {
    let request = Request::builder().uri(path).header(header::HOST, from.to_string());
    exchange(from, request.body(Full::default())?).await
}

/// The body of one GET on a connection of its own.
pub(crate) async fn get_text(from: SocketAddr, path: &str) -> Result<String> {
    let request = Request::builder().uri(path).header(header::HOST, from.to_string());
    let (_, body) = bytes(from, request.body(Full::default())?).await?;
    String::from_utf8(body.to_vec()).context("a body in UTF-8")
}

async fn exchange(with: SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer> {
    let (head, body) = bytes(with, request).await?;
    let header = head.headers.get(header::RETRY_AFTER);
    let retry_after_s = header.and_then(|value| value.to_str().ok()?.parse().ok());
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Answer { status: head.status, retry_after_s, json })
}

async fn bytes(with: SocketAddr, request: Request<Full<Bytes>>) -> Result<(Parts, Bytes)> {
    timeout(LIMIT, async {
        let stream = TcpStream::connect(with).await.context("connect")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await.context("send the request")?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("read the body")?.to_bytes();
        connection.abort();
        Ok((head, body))
    })
    .await
    .context("no answer in 20 s")?
}
