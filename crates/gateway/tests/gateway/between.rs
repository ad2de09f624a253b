//! What is between gateway and relay answers for itself: that is not the relay's word.

use anyhow::Result;
use blackfriday_proto::ErrorCode;
use blackfriday_service::{Kind, Problem};
use serde_json::json;

use crate::client::{Answer, sale, sales};
use crate::proxy::{Proxy, Step};
use crate::test_writer::TestWriter;
use crate::{Gateway, Relay};

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", "k-1");
const REPORT: &str = r#"{"description":"Llueve","country":"GT","weather":"Rainy"}"#;

struct Hops {
    writer: TestWriter,
    proxy: Proxy,
    gateway: Gateway,
    _relay: Relay,
}

impl Hops {
    async fn ready() -> Result<Self> {
        let writer = TestWriter::start()?;
        let relay = Relay::before(&writer).await?;
        let proxy = Proxy::before(relay.address)?;
        let gateway = Gateway::start(&["--relay-url", &format!("http://{}", proxy.address)])?;
        Ok(Self { writer, proxy, gateway, _relay: relay })
    }

    /// The answers to one sale, to two and to a report, and how often each was sent to the proxy.
    async fn ask(&self, keyed: bool, steps: &[Step]) -> Result<[(Answer, usize); 3]> {
        let headers: Vec<_> = [JSON].into_iter().chain(keyed.then_some(KEY)).collect();
        let ask = async |path, body: String| {
            self.proxy.next(steps.iter().cloned());
            let answer = self.gateway.http.send(path, &headers, body).await?;
            anyhow::Ok((answer, self.proxy.taken()))
        };
        Ok([
            ask("/venta", sale("one")).await?,
            ask("/ventas", sales(2)).await?,
            ask("/input", REPORT.to_owned()).await?,
        ])
    }
}

/// Answers that a proxy may give on its own behalf, also after it has handed the request on.
fn strange() -> Vec<Step> {
    let bare = [200, 202, 400, 403, 404, 408, 413, 415, 422, 429, 500, 502, 503, 504];
    let problem = "application/problem+json";
    let mut steps: Vec<_> = bare.map(|status| Step::Say(status, "text/html", "<h1>no</h1>")).into();
    steps.extend([
        Step::ForwardAnd(503, "text/plain", "upstream timed out"),
        Step::ForwardAnd(
            429,
            problem,
            r#"{"type":"about:blank","title":"Too many","status":429,"detail":"slower"}"#,
        ),
        // Of the right kind, but not as the relay writes it.
        Step::Say(503, "application/json", r#"{"type":"urn:blackfriday:problem:unavailable","detail":"no"}"#),
        Step::Say(502, problem, r#"{"type":"urn:blackfriday:problem:unavailable","detail":"no"}"#),
        Step::Say(429, problem, r#"{"type":"urn:blackfriday:problem:of-a-later-version","detail":"no"}"#),
        Step::Say(503, problem, r#"{"type":"urn:other:problem:unavailable","detail":"no"}"#),
        Step::Say(202, "application/json", r#"{"estado":"OK","id":"019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11"}"#),
        Step::Say(503, problem, ""),
    ]);
    steps
}

fn assert_unknown(answer: &Answer, told: &str) {
    assert_eq!((answer.status.as_u16(), answer.problem()), (504, "outcome-unknown"), "{told}: {answer:?}");
    let results = answer.json["resultados"].as_array().cloned().unwrap_or_else(|| vec![answer.json.clone()]);
    for result in results {
        assert!(result["id"].is_string(), "{told}: {answer:?}");
        assert!(result["codigo"].as_str().is_none_or(|code| code == "outcome-unknown"), "{told}: {answer:?}");
    }
}

#[tokio::test]
async fn the_word_of_something_in_between_leaves_the_outcome_unknown() -> Result<()> {
    let hops = Hops::ready().await?;
    for step in strange() {
        let [one, two, report] = hops.ask(false, std::slice::from_ref(&step)).await?;
        for (answer, sent) in [one, two] {
            assert_unknown(&answer, &format!("{step:?}"));
            assert_eq!(sent, 1, "unkeyed, so sent once: {step:?}");
        }
        // A report has a key in any case.
        let (answer, sent) = report;
        assert!(
            sent == 2 && answer.status == 202 || sent == 1 && answer.status == 504,
            "{step:?}: {answer:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_keyed_event_is_sent_again_and_only_an_acceptance_replaces_the_unknown_outcome() -> Result<()> {
    let hops = Hops::ready().await?;
    for step in strange().into_iter().chain([Step::Break]) {
        let told = format!("{step:?}");
        // Some of them are results, though of other events: these are not asked for again.
        for (answer, sent) in hops.ask(true, &[step.clone(), Step::Forward]).await? {
            assert!(
                sent == 2 && answer.status == 202 || sent == 1 && answer.status == 504,
                "{told}: {answer:?}"
            );
        }
        for code in ErrorCode::ALL {
            for (answer, _) in hops.ask(true, &[step.clone(), Step::Problem(code)]).await? {
                assert_unknown(&answer, &format!("{told}, then {code:?}"));
            }
        }
        for (answer, sent) in
            hops.ask(true, &[step.clone(), step.clone(), step.clone(), step.clone()]).await?
        {
            assert_unknown(&answer, &told);
            assert!(sent <= 3, "{told}: tries are limited");
        }
    }
    for code in ErrorCode::ALL {
        hops.writer.seen.refuse(Some(code));
        for (answer, sent) in hops.ask(true, &[Step::Break]).await? {
            assert_unknown(&answer, &format!("{code:?} of the relay's own, for each event"));
            assert_eq!(sent, 2);
        }
    }
    Ok(())
}

/// What our own HTTP server refuses before it has read a request was surely not written; the same status of something
/// else says nothing.
#[tokio::test]
async fn a_refusal_of_the_relays_server_is_a_promise() -> Result<()> {
    let hops = Hops::ready().await?;
    let own = [
        (Kind::NotFound, 500, "internal", 1),
        (Kind::MethodNotAllowed, 500, "internal", 1),
        (Kind::Late, 503, "unavailable", 3),
        (Kind::BrokenOff, 503, "unavailable", 3),
    ];
    for (kind, status, name, tries) in own {
        let body: &'static str = serde_json::to_string(&Problem::new(kind, "as told"))?.leak();
        let step = Step::Say(kind.status(), "application/problem+json", body);
        for (answer, sent) in hops.ask(false, &[step.clone(), step.clone(), step.clone()]).await? {
            assert_eq!((answer.status.as_u16(), answer.problem(), sent), (status, name, tries), "{step:?}");
        }
        let foreign = Step::Say(kind.status(), "text/html", "<h1>no</h1>");
        let steps = vec![foreign.clone(); 3];
        for (answer, _) in hops.ask(false, &steps).await? {
            assert_unknown(&answer, &format!("{foreign:?}"));
        }
        // Our name for it under another status is not ours.
        let strange = Step::Say(502, "application/problem+json", body);
        for (answer, _) in hops.ask(false, &vec![strange.clone(); 3]).await? {
            assert_unknown(&answer, &format!("{strange:?}"));
        }
    }
    assert_eq!((hops.writer.seen.count(), hops.writer.seen.weather().len()), (0, 0));
    Ok(())
}

/// The gateway's own URL as its relay's: there is no such route.
#[tokio::test]
async fn a_relay_url_that_leads_elsewhere_is_a_misconfiguration_and_not_an_unknown_outcome() -> Result<()> {
    let elsewhere = Gateway::start(&["--relay-url", "http://127.0.0.1:9"])?;
    let gateway = Gateway::start(&["--relay-url", &format!("http://{}", elsewhere.address)])?;
    for (path, body) in [("/venta", sale("one")), ("/ventas", sales(2)), ("/input", REPORT.to_owned())] {
        let answer = gateway.http.post(path, body).await?;
        assert_eq!((answer.status.as_u16(), answer.problem()), (500, "internal"), "{answer:?}");
        let told = answer.json["detail"].to_string() + &answer.json["resultados"][0]["detalle"].to_string();
        assert!(told.contains("404"), "{told}");
    }
    Ok(())
}

/// A relay that does not trust its hops takes the events, but under identities of its own.
#[tokio::test]
async fn a_relay_that_does_not_trust_the_gateway_is_named() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::untrusting(&writer).await?;
    let gateway = Gateway::before(&relay, &[])?;
    let answer = gateway.http.post("/venta", sale("one")).await?;
    assert_eq!((answer.status.as_u16(), answer.problem()), (504, "outcome-unknown"), "{answer:?}");
    assert!(
        answer.json["detail"].as_str().is_some_and(|detail| detail.contains("--trust-hops")),
        "{answer:?}"
    );
    assert_eq!(writer.seen.sales().len(), 1);
    Ok(())
}

/// Of a batch, only what has a key is sent again.
#[tokio::test]
async fn a_batch_with_and_without_keys_is_sent_again_in_part() -> Result<()> {
    let hops = Hops::ready().await?;
    let keyed = json!({"categoria": 1, "producto_id": "keyed", "precio": 1, "cantidad_vendida": 1,
        "idempotency_key": "k-2"});
    let body = format!("[{},{keyed},{}]", sale("first"), sale("last"));
    hops.proxy.next([Step::Say(503, "text/html", "")]);
    let answer = hops.gateway.http.post("/ventas", body).await?;
    assert_eq!((answer.status.as_u16(), hops.proxy.taken()), (207, 2), "{answer:?}");
    let results = answer.json["resultados"].as_array().expect("results");
    let states: Vec<_> = results.iter().map(|result| result["estado"].as_str().unwrap_or_default()).collect();
    assert_eq!(states, ["ERROR", "OK", "ERROR"]);
    assert_eq!(results[0]["status"], 504);
    let arrived: Vec<_> = hops.writer.seen.sales().into_iter().map(|sale| sale.producto_id).collect();
    assert_eq!(arrived, ["keyed"]);
    Ok(())
}
