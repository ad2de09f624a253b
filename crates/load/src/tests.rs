use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use blackfriday_receipts::{Content, Receipts};
use blackfriday_service::Shutdown;
use blackfriday_stack::eventually;
use blackfriday_workload::Workload;
use bytes::Bytes;
use clap::Parser;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use uuid::Uuid;

use crate::arguments::Arguments;
use crate::plan::Plan;
use crate::report::Report;
use crate::run::{reach, send};

mod answers;
mod times;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    load: Arguments,
}

/// The plan of a command line.
pub(crate) fn plan(arguments: &[&str]) -> Result<Plan> {
    let all = ["load"].iter().chain(arguments);
    Plan::new(Line::try_parse_from(all).expect("well-formed arguments").load, Workload::black_friday())
}

/// What a server answers; `None` closes the connection without an answer.
type Answer = Option<(StatusCode, Value)>;

/// A server that asks `answer` for every request, with its number, headers and body; its URL.
async fn server<F, R>(answer: F) -> String
where
    F: Fn(u64, HeaderMap, Bytes) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (answer, count) = (Arc::new(answer), Arc::new(AtomicU64::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let (answer, number) = (Arc::clone(&answer), count.fetch_add(1, Ordering::Relaxed));
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.expect("a whole body").to_bytes();
                    match answer(number, head.headers, body).await {
                        Some((status, json)) => {
                            let mut response = Response::builder().status(status);
                            if json["type"].is_string() {
                                response = response
                                    .header("content-type", "application/problem+json; charset=utf-8");
                            }
                            Ok(response.body(Full::new(Bytes::from(json.to_string()))).expect("well formed"))
                        }
                        None => Err(std::io::Error::other("close the connection")),
                    }
                }
            });
            // The service's own error closes the connection.
            tokio::spawn(async move {
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok()
            });
        }
    });
    url
}

fn accepted() -> Answer {
    Some((StatusCode::ACCEPTED, json!({"estado": "OK", "id": Uuid::now_v7()})))
}

/// A refusal by a hop of ours, with the identity that it gave.
fn problem(status: StatusCode, id: Option<Uuid>) -> Answer {
    Some((status, json!({"type": "urn:blackfriday:problem:unavailable", "title": "Not now", "id": id})))
}

async fn load(url: &str, arguments: &[&str]) -> Report {
    let all: Vec<_> = ["--url", url].iter().chain(arguments).copied().collect();
    send(Arc::new(plan(&all).expect("a plan")), &Shutdown::new()).await.expect("ends")
}

fn ms(report: &Report, what: &str, quantile: &str) -> f64 {
    report.to_json()[what][quantile].as_f64().expect("a latency")
}
