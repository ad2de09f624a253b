//! Rates, limits and quantiles.

use super::*;

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

/// A server that never answers: a request has its time once, connecting included.
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
