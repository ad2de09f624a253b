use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use blackfriday_receipts::{Content, Receipts};
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
use uuid::Uuid;

use crate::arguments::Arguments;
use crate::plan::Plan;
use crate::report::Report;
use crate::run::{reach, send};

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

#[tokio::test]
async fn a_stall_is_seen_by_every_sale_that_was_meant_to_be_sent_meanwhile() {
    const STALL: Duration = Duration::from_millis(500);
    let url = server(|number, _, _| async move {
        if number == 40 {
            tokio::time::sleep(STALL).await;
        }
        accepted()
    });
    let report = load(&url.await, &["--rate", "200", "--sales", "200", "--connections", "1"]).await;
    assert!(report.is_good() && report.accepted() == 200);
    // Half of a second is half of all sales: those meant for its first half waited for more than 200 ms.
    let intended = ms(&report, "latency_ms", "p90");
    assert!(intended > 200.0, "p90 from the intended time: {intended} ms");
    let sent = ms(&report, "latency_from_sending_ms", "p90");
    assert!(sent < intended, "only one request was sent into the stall: p90 {sent} ms");
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate_and_a_closed_loop_its_number() {
    let url = server(|_, _, _| async { accepted() }).await;
    let started = Instant::now();
    let report = load(&url, &["--rate", "400", "--duration", "500ms"]).await;
    assert_eq!(report.to_json()["sent"], 200);
    assert!(started.elapsed() >= Duration::from_millis(450), "sent too early: {:?}", started.elapsed());
    assert_eq!(load(&url, &["--sales", "777", "--connections", "8"]).await.to_json()["accepted"], 777);
}

#[tokio::test]
async fn a_gateway_that_never_answers_does_not_hold_the_load_for_ever() {
    let url = server(|_, _, _| std::future::pending()).await;
    let arguments = ["--rate", "100", "--duration", "300ms", "--timeout", "300ms", "--connections", "2"];
    let load = load(&url, &arguments);
    let report = timeout(Duration::from_secs(20), load).await.expect("ends");
    let json = report.to_json();
    let [unknown, not_sent] = ["unknown", "not_sent"].map(|name| json[name].as_u64().expect("a number"));
    assert!(unknown >= 2 && not_sent > 0 && unknown + not_sent == 30, "{json}");
    assert!(!report.is_good());
}

#[tokio::test]
async fn a_shutdown_ends_it_early_with_complete_receipts() {
    let url = server(|_, _, _| async { accepted() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("receipts");
    let receipts = path.to_str().expect("UTF-8");
    let plan = plan(&["--url", &url, "--connections", "4", "--duration", "1h", "--receipts", receipts]);
    let plan = Arc::new(plan.expect("a plan"));
    let (shutdown, accepted) = (Shutdown::new(), Arc::clone(&plan.accepted));
    let stop = async {
        let some = async || accepted.load(Ordering::Relaxed) > 100;
        eventually(Duration::from_secs(20), some).await.expect("sales are accepted");
        shutdown.begin();
    };
    let (report, ()) = tokio::join!(send(plan, &shutdown), stop);
    let mut receipts = Receipts::default();
    receipts.read(&path).expect("a receipts file");
    assert_eq!(receipts.sales.len() as u64, report.expect("ends").accepted());
}

#[tokio::test]
async fn retries_go_under_the_same_key_and_do_not_hide_what_may_have_been_written() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let url = server(move |number, headers, _| {
        let key = headers["idempotency-key"].to_str().expect("text").to_owned();
        seen.lock().expect("not poisoned").push(key);
        async move {
            match number {
                // The first sale: refused, then accepted.
                0 => problem(StatusCode::SERVICE_UNAVAILABLE, None),
                1 => accepted(),
                // The second: no answer, then refused twice. It may have been written.
                2 => None,
                _ => problem(StatusCode::SERVICE_UNAVAILABLE, None),
            }
        }
    });
    let arguments = ["--connections", "1", "--sales", "2", "--idempotency", "--retries", "2"];
    let report = load(&url.await, &arguments).await.to_json();
    assert_eq!((&report["accepted"], &report["unknown"]), (&json!(1), &json!(1)), "{report}");
    let keys = keys.lock().expect("not poisoned");
    assert_eq!(keys.len(), 5);
    assert!(keys[0] == keys[1] && keys[2] == keys[3] && keys[3] == keys[4] && keys[1] != keys[2], "{keys:?}");
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_twice() {
    let bodies = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&bodies);
    let url = server(move |_, headers, _| {
        assert!(!headers.contains_key("idempotency-key"));
        seen.fetch_add(1, Ordering::Relaxed);
        async { None }
    });
    let report = load(&url.await, &["--connections", "1", "--sales", "5"]).await.to_json();
    assert_eq!((&report["unknown"], bodies.load(Ordering::Relaxed)), (&json!(5), 5), "{report}");
}

#[tokio::test]
async fn a_batch_counts_by_sale() {
    let url = server(|number, _, body: Bytes| async move {
        let sales: Vec<Value> = serde_json::from_slice(&body).expect("an array");
        let result = |at: usize| match at {
            0 if number == 0 => json!({"estado": "ERROR", "status": 422, "codigo": "x", "detalle": "y"}),
            _ => json!({"estado": "OK", "id": Uuid::now_v7()}),
        };
        let results: Vec<_> = (0..sales.len()).map(result).collect();
        Some((StatusCode::MULTI_STATUS, json!({"aceptadas": 0, "rechazadas": 0, "resultados": results})))
    });
    let arguments = ["--route", "ventas", "--batch-size", "40", "--sales", "100", "--connections", "2"];
    let report = load(&url.await, &arguments).await.to_json();
    assert_eq!((&report["sent"], &report["accepted"]), (&json!(100), &json!(99)), "{report}");
    assert_eq!(report["refused"], json!({"422": 1}));
}

/// What no connection was free for has waited until the end, and is in the quantiles although nothing answered it.
#[tokio::test]
async fn what_was_never_sent_is_in_the_quantiles_from_the_intended_time() {
    let url = server(|number, _, _| async move {
        if number >= 10 {
            std::future::pending::<()>().await;
        }
        accepted()
    });
    let url = url.await;
    let arguments = ["--rate", "200", "--duration", "500ms", "--timeout", "500ms", "--connections", "1"];
    let report = load(&url, &arguments).await;
    let json = report.to_json();
    assert!(json["not_sent"].as_u64() > Some(60), "{json}");
    let p50 = ms(&report, "latency_ms", "p50");
    assert!(p50 > 250.0, "half of all sales were never sent, and waited for {p50} ms only: {json}");
    assert!(ms(&report, "latency_from_sending_ms", "p50") < 250.0, "{json}");
}

#[tokio::test]
async fn requests_that_cannot_be_sent_are_in_the_quantiles_and_in_the_receipts() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", free.local_addr().expect("bound"));
    drop(free);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("receipts");
    let receipts = path.to_str().expect("UTF-8");
    let arguments = ["--rate", "100", "--sales", "20", "--connections", "2", "--receipts", receipts];
    let report = load(&url, &arguments).await;
    assert_eq!(report.to_json()["refused"], json!({"0": 20}));
    assert!(ms(&report, "latency_ms", "max") > 0.0, "{}", report.to_json());
    let mut receipts = Receipts::default();
    receipts.read(&path).expect("a receipts file");
    assert_eq!(receipts.refused_unnamed.len(), 20, "with what they sold, and no identity");
    assert!(receipts.refused_unnamed.iter().all(Option::is_some));
}

/// A batch of 99 that takes long and one of 1 that does not: nearly every sale took long.
#[tokio::test]
async fn quantiles_of_batches_are_by_sale() {
    let url = server(|_, _, body: Bytes| async move {
        let sales: Vec<Value> = serde_json::from_slice(&body).expect("an array");
        if sales.len() == 99 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let result = |_| json!({"estado": "OK", "id": Uuid::now_v7()});
        let results: Vec<_> = sales.iter().map(result).collect();
        Some((StatusCode::ACCEPTED, json!({"aceptadas": 0, "rechazadas": 0, "resultados": results})))
    });
    let arguments = ["--route", "ventas", "--batch-size", "99", "--sales", "100", "--connections", "1"];
    let report = load(&url.await, &arguments).await;
    assert_eq!(report.accepted(), 100);
    assert!(ms(&report, "latency_ms", "p50") >= 290.0, "{}", report.to_json());
}

/// Nobody takes the connection, and nobody answers: each has the whole time, and no request has it twice.
#[tokio::test]
async fn a_whole_request_has_one_limit() {
    const LIMIT: Duration = Duration::from_millis(600);
    let url = server(|_, _, _| std::future::pending()).await;
    let arguments = ["--sales", "1", "--timeout", "600ms", "--connections", "1"];
    let started = Instant::now();
    let report = load(&url, &arguments).await.to_json();
    assert_eq!(report["unknown"], 1);
    assert!(started.elapsed() < LIMIT * 3 / 2, "{:?} for one request", started.elapsed());
}

/// The first address of a name refuses connections; the second is the gateway's.
#[tokio::test]
async fn all_addresses_of_a_name_are_used() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead = free.local_addr().expect("bound");
    drop(free);
    let url = server(|_, _, _| async { accepted() }).await;
    let live: SocketAddr = url["http://".len()..].parse().expect("an address");
    let mut plan = plan(&["--url", &url, "--sales", "40", "--connections", "4"]).expect("a plan");
    plan.addresses = Arc::new([dead, live]);
    assert!(reach(&plan.addresses).await.is_ok());
    let report = send(Arc::new(plan), &Shutdown::new()).await.expect("ends");
    assert!(report.is_good(), "{}", report.to_json());

    let (first, second) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let count = |seen: &Arc<AtomicU64>| {
        let seen = Arc::clone(seen);
        server(move |_, _, _| {
            seen.fetch_add(1, Ordering::Relaxed);
            async { accepted() }
        })
    };
    let urls = [count(&first).await, count(&second).await];
    let addresses = urls.each_ref().map(|url| url["http://".len()..].parse().expect("an address"));
    let mut plan = self::plan(&["--url", &urls[0], "--sales", "40", "--connections", "4"]).expect("a plan");
    plan.addresses = Arc::new(addresses);
    assert!(send(Arc::new(plan), &Shutdown::new()).await.expect("ends").is_good());
    assert!(first.load(Ordering::Relaxed) > 0 && second.load(Ordering::Relaxed) > 0);
}

/// One answer of many comes late: the rate is by the time in which there was something to send.
#[tokio::test]
async fn a_straggler_does_not_lower_the_rate() {
    let url = server(|number, _, _| async move {
        if number == 3 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        accepted()
    });
    let url = url.await;
    for arguments in [
        ["--duration", "300ms", "--connections", "8", "--timeout", "5s"].as_slice(),
        ["--duration", "300ms", "--connections", "8", "--timeout", "5s", "--rate", "200"].as_slice(),
    ] {
        let json = load(&url, arguments).await.to_json();
        let active = json["active_seconds"].as_f64().expect("a time");
        assert!((0.25..1.0).contains(&active), "{json}");
    }
}

#[tokio::test]
async fn receipts_name_what_was_sent_and_how_it_was_answered() {
    let url = server(|number, _, _| async move {
        match number {
            0 => accepted(),
            1 => problem(StatusCode::SERVICE_UNAVAILABLE, Some(Uuid::from_u128(7))),
            2 => problem(StatusCode::TOO_MANY_REQUESTS, None),
            // A proxy's own word.
            3 => Some((StatusCode::SERVICE_UNAVAILABLE, json!({}))),
            4 => Some((StatusCode::TOO_MANY_REQUESTS, json!("slow down"))),
            5 => Some((StatusCode::REQUEST_TIMEOUT, json!({}))),
            _ => None,
        }
    });
    let url = url.await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("receipts");
    let receipts = path.to_str().expect("UTF-8");
    load(&url, &["--connections", "1", "--sales", "7", "--receipts", receipts]).await;
    let mut read = Receipts::default();
    read.read(&path).expect("a receipts file");
    let traffic = blackfriday_workload::Traffic::new(Workload::black_friday(), None);
    let sold = |number| Some(Content::of_sale(&traffic.sale(number)));
    assert_eq!(read.sales[0].content, sold(0));
    assert_eq!((read.refused[0].receipt.id, read.refused[0].status), (Uuid::from_u128(7), 503));
    assert_eq!(read.refused[0].receipt.content, sold(1));
    assert_eq!((read.refused_unnamed, read.unnamed), (vec![sold(2)], (3..7).map(sold).collect()));

    // A key gives an identity where no answer does.
    load(&url, &["--connections", "1", "--sales", "1", "--idempotency", "--receipts", receipts]).await;
    let mut read = Receipts::default();
    read.read(&path).expect("a receipts file");
    assert_eq!((read.unknown.len(), read.unnamed.len()), (1, 0));
    assert_eq!(read.unknown[0].id.get_version_num(), 8, "the identity that a key gives");
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let error = reach(&[address]).await.expect_err("nobody listens");
    assert_eq!(blackfriday_terminal::failure::exit_code(&error, &[]), 69);
}
