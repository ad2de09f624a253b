use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// Keep-alive connections to one server.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    server: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) json: Value,
}

impl Http {
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), server }
    }

    /// POST as JSON.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
        self.send(path, &[("content-type", "application/json")], body).await
    }

    /// POST with these headers only.
    pub(crate) async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        self.request(Method::POST, path, headers, body).await
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.server));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into()))?).await.context("request")?;
        let (status, headers) = (response.status(), response.headers().clone());
        let header = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let body = response.into_body().collect().await.context("read the answer")?.to_bytes();
        Ok(Answer {
            status,
            content_type: header("content-type").unwrap_or_default(),
            retry_after: header("retry-after"),
            json: serde_json::from_slice(&body).unwrap_or(Value::Null),
        })
    }
}

impl Answer {
    /// The names of the wrong fields.
    pub(crate) fn wrong_fields(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().into_iter().flatten();
        errors.filter_map(|error| error["field"].as_str()).collect()
    }

    /// Whether it is a refusal because a log has just not taken another report.
    pub(crate) fn is_closed(&self) -> bool {
        self.json["detail"].as_str().is_some_and(|detail| detail.contains("at the moment"))
    }

    /// The last part of the problem's type.
    pub(crate) fn problem(&self) -> &str {
        self.json["type"]
            .as_str()
            .and_then(|kind| kind.strip_prefix("urn:blackfriday:problem:"))
            .unwrap_or("")
    }
}

/// A valid sale of this product.
pub(crate) fn sale(product: &str) -> String {
    json!({"categoria": "Ropa", "producto_id": product, "precio": 9.99, "cantidad_vendida": 2}).to_string()
}

/// Valid sales of `P-0 … P-<count − 1>`.
pub(crate) fn sales(count: usize) -> String {
    let items: Vec<_> = (0..count).map(|at| sale(&format!("P-{at}"))).collect();
    format!("[{}]", items.join(","))
}
