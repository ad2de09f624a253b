//! What is behind the gateway goes away, comes back, is slow, or is the writers themselves.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_event::{EventId, FieldErrors};
use blackfriday_service::bind;
use blackfriday_stack::eventually;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::client::{sale, sales};
use crate::test_writer::{LIMIT, TestWriter};
use crate::{Gateway, Relay, usable};

#[tokio::test]
async fn a_relay_that_is_away_is_told_at_once_and_used_when_it_is_back() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &[])?;
    assert_eq!(gateway.http.post("/venta", sale("before")).await?.status, 202);

    relay.context.shutdown.begin();
    timeout(LIMIT, relay.running).await???;
    for (route, body) in [("/venta", sale("away")), ("/ventas", sales(3))] {
        let away = timeout(Duration::from_secs(3), gateway.http.post(route, body)).await??;
        assert_eq!((away.status.as_u16(), away.retry_after.as_deref()), (503, Some("1")), "{away:?}");
        assert_eq!(away.problem(), "unavailable");
    }

    let back = Relay::start_on(bind(relay.address)?, writer.address).await?;
    assert_eq!(gateway.http.post("/venta", sale("after")).await?.status, 202);
    let products: Vec<_> = writer.seen.sales().into_iter().map(|sale| sale.producto_id).collect();
    assert_eq!(products, ["before", "after"]);
    drop(back);
    Ok(())
}

#[tokio::test]
async fn a_slow_writer_leaves_the_outcome_unknown_within_the_gateways_time() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &["--http-request-timeout-ms", "600"])?;
    writer.seen.hold(true);
    let began = Instant::now();
    let (one, many) =
        tokio::try_join!(gateway.http.post("/venta", sale("slow")), gateway.http.post("/ventas", sales(2)),)?;
    assert!(began.elapsed() < Duration::from_secs(3), "the gateway's 600 ms, not the relay's 5 s");
    assert_eq!((one.status.as_u16(), one.problem()), (504, "outcome-unknown"));
    let id: EventId =
        one.json["id"].as_str().context("an id to look for")?.parse().map_err(FieldErrors::from)?;
    assert!(writer.seen.sales().iter().any(|sale| sale.id == id.as_bytes()));
    assert_eq!(many.status, 504);
    assert!(many.json["resultados"][1]["id"].is_string());
    let timeouts: Vec<_> = writer.seen.calls().into_iter().filter_map(|call| call.timeout).collect();
    assert_eq!(timeouts.len(), 2);
    for text in timeouts {
        let (digits, unit) = text.split_at(text.len() - 1);
        let micros = digits.parse::<u64>()?
            * match unit {
                "n" => return Err(anyhow::anyhow!("nanoseconds only for what is over: {text}")),
                "u" => 1,
                "m" => 1_000,
                _ => 1_000_000,
            };
        assert!(micros <= 600_000, "{text}");
    }
    Ok(())
}

/// A client outside has no say in how long we wait, and so none in what becomes of its event.
#[tokio::test]
async fn a_deadline_from_outside_is_ignored() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let relayed = Gateway::before(&relay, &[])?;
    let direct = Gateway::start(&["--upstream", "writer", "--writer-target", &writer.address.to_string()])?;
    eventually(LIMIT, async || usable(&direct.context, "gateway") == [1, 1]).await?;
    for gateway in [&relayed, &direct] {
        for left in ["0", "1", "-1", "soon", "99999999999999999999"] {
            let headers = [("content-type", "application/json"), ("x-deadline-ms", left)];
            let report = r#"{"country":"GT","weather":"Rainy"}"#.to_owned();
            for (path, body) in [("/venta", sale("a")), ("/ventas", sales(2)), ("/input", report)] {
                let answer = gateway.http.send(path, &headers, body).await?;
                assert_eq!(answer.status, 202, "{left}, {path}: {answer:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn concurrent_clients_share_the_way_to_the_relay() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &["--lane-calls", "1", "--lane-queue-sales", "100"])?;
    writer.seen.hold(true);
    let first = gateway.http.post("/venta", sale("first"));
    let others = async {
        eventually(LIMIT, async || writer.seen.count() == 1).await?;
        let queued = "blackfriday_lane_queued_sales{service=\"gateway\"} 64";
        let release = async {
            eventually(LIMIT, async || gateway.context.registry.encode().contains(queued)).await?;
            let told = gateway.context.registry.encode();
            for line in [
                "blackfriday_limit{service=\"gateway\",flag=\"lane-queue-sales\"} 100",
                "blackfriday_limit_used{service=\"gateway\",flag=\"lane-queue-sales\"} 64",
                "blackfriday_limit_used{service=\"gateway\",flag=\"http-max-in-flight\"} 65",
                "blackfriday_limit_used{service=\"gateway\",flag=\"max-in-flight-reports\"} 0",
            ] {
                assert!(told.contains(&format!("{line}\n")), "{line} in {told}");
            }
            writer.seen.hold(false);
            anyhow::Ok(())
        };
        let others = (0..64).map(|at| {
            let http = gateway.http.clone();
            async move { http.post("/venta", sale(&format!("P-{at}"))).await }
        });
        let (answers, ()) = tokio::try_join!(try_join_all(others), release)?;
        anyhow::Ok(answers)
    };
    let (first, others) = tokio::try_join!(first, others)?;
    assert!(first.status == 202 && others.iter().all(|answer| answer.status == 202));
    let sizes: Vec<_> = writer.seen.calls().iter().map(|call| call.sales.len()).collect();
    assert_eq!(sizes, [1, 64]);
    Ok(())
}

#[tokio::test]
async fn the_writers_can_be_the_upstream_without_a_relay() -> Result<()> {
    let (first, second) = (TestWriter::start()?, TestWriter::start()?);
    let target = format!("{},{}", first.address, second.address);
    let gateway = Gateway::start(&["--upstream", "writer", "--writer-target", &target])?;
    eventually(LIMIT, async || usable(&gateway.context, "gateway") == [2, 2]).await?;
    for at in 0..10 {
        assert_eq!(gateway.http.post("/venta", sale(&format!("P-{at}"))).await?.status, 202);
    }
    assert_eq!((first.seen.sales().len(), second.seen.sales().len()), (5, 5));
    assert!(gateway.context.readiness.is_ready());
    Ok(())
}

#[tokio::test]
async fn without_a_writer_it_is_not_ready_but_without_the_relay_it_is() -> Result<()> {
    let nobody = format!("127.0.0.1:{}", blackfriday_stack::free_port()?);
    let alone = Gateway::start(&["--upstream", "writer", "--writer-target", &nobody])?;
    eventually(LIMIT, async || alone.context.readiness.missing() == ["writer"]).await?;
    assert_eq!(alone.http.post("/venta", sale("a")).await?.status, 503);

    let before_nothing = Gateway::start(&["--relay-url", &format!("http://{nobody}")])?;
    let answer = before_nothing.http.post("/venta", sale("a")).await?;
    assert_eq!((answer.status.as_u16(), answer.retry_after.as_deref()), (503, Some("1")));
    assert!(before_nothing.context.readiness.is_ready(), "its own answer says more than a load balancer's");
    Ok(())
}
