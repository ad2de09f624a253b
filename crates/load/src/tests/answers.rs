//! How answers become outcomes and receipts.

use super::*;

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
    let why = report["first_unknown"].as_str().expect("an outcome is unknown");
    assert!(why.starts_with("no answer"), "not the answer to a retry: {why}");
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

/// `202` says that every log has it; `504` that one of them may not.
#[tokio::test]
async fn weather_reports_have_receipts_of_their_own() {
    let url = server(|number, headers, body: Bytes| async move {
        assert!(headers.contains_key("idempotency-key"));
        let report: Value = serde_json::from_slice(&body).expect("a report");
        assert!(report["country"].is_string(), "{report}");
        match number {
            0 => problem(StatusCode::GATEWAY_TIMEOUT, Some(Uuid::from_u128(7))),
            _ => accepted(),
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("receipts");
    let receipts = path.to_str().expect("UTF-8");
    let arguments =
        ["--route", "input", "--connections", "1", "--reports", "3", "--idempotency", "--receipts", receipts];
    let report = load(&url.await, &arguments).await.to_json();
    assert_eq!((&report["accepted"], &report["unknown"]), (&json!(2), &json!(1)), "{report}");
    let mut read = Receipts::default();
    read.read(&path).expect("a receipts file");
    let traffic = blackfriday_workload::Traffic::new(Workload::black_friday(), None);
    let sent = |number| Some(Content::of_weather(&traffic.weather(number)));
    let contents: Vec<_> = read.weather.iter().map(|receipt| receipt.content).collect();
    assert_eq!(contents, [sent(1), sent(2)]);
    assert_eq!((read.unknown[0].id, read.unknown[0].content), (Uuid::from_u128(7), sent(0)));
    assert!(read.sales.is_empty());
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let error = reach(&[address]).await.expect_err("nobody listens");
    assert_eq!(blackfriday_terminal::failure::exit_code(&error, &[]), 69);
}
