//! After a try that may have written the event, a refusal would be a lie, whatever the later tries say.

use std::sync::Arc;

use anyhow::{Context, Result};
use blackfriday_proto::ErrorCode;
use tonic::Code;

use crate::Relay;
use crate::client::{Answer, sale, sales};
use crate::test_writer::{End, TestWriter};

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", "k-1");
const REPORT: &str = r#"{"description":"Llueve","country":"GT","weather":"Rainy"}"#;

/// Ends of a call after which nobody knows whether it was written.
const UNKNOWN: [End; 7] = [
    End::Bare(Code::Unavailable),
    End::Bare(Code::ResourceExhausted),
    End::Bare(Code::DeadlineExceeded),
    End::Bare(Code::InvalidArgument),
    End::Bare(Code::PermissionDenied),
    End::Status(ErrorCode::OutcomeUnknown),
    End::Broken,
];

/// Three writers, which end calls by one script.
struct Trio {
    writers: [TestWriter; 3],
    relay: Relay,
}

impl Trio {
    async fn ready() -> Result<Self> {
        let first = TestWriter::start()?;
        let another = || TestWriter::start_at(([127, 0, 0, 1], 0).into(), Arc::clone(&first.seen));
        let writers = [another()?, another()?, first];
        let addresses = writers.each_ref().map(|writer| writer.address);
        Ok(Self { relay: Relay::ready(&addresses, &[]).await?, writers })
    }

    /// The answers to one sale, to two, and to a report, each with calls that end so. The second number is that of calls.
    async fn ask(&self, keyed: bool, script: &[Option<End>]) -> Result<[(Answer, usize); 3]> {
        let headers: Vec<_> = [JSON].into_iter().chain(keyed.then_some(KEY)).collect();
        let seen = &self.writers[0].seen;
        let ask = async |path, body: String| {
            let before = seen.count() + seen.weather().len();
            seen.end_next(script.iter().copied());
            let answer = self.relay.http.send(path, &headers, body).await?;
            seen.end_next([]);
            anyhow::Ok((answer, seen.count() + seen.weather().len() - before))
        };
        Ok([
            ask("/procesar", sale("one")).await?,
            ask("/procesar", sales(2)).await?,
            ask("/publicar", REPORT.to_owned()).await?,
        ])
    }
}

fn refusals() -> impl Iterator<Item = End> {
    let each = ErrorCode::ALL.into_iter().map(End::Refused);
    let whole = ErrorCode::ALL.into_iter().map(End::Status);
    each.chain(whole).chain(UNKNOWN).chain([End::Short])
}

#[tokio::test]
async fn no_refusal_follows_a_try_that_may_have_written_the_event() -> Result<()> {
    let trio = Trio::ready().await?;
    trio.writers[0].seen.end(Some(End::Refused(ErrorCode::Overloaded)));
    for unknown in UNKNOWN {
        for later in refusals() {
            let script = [Some(unknown), Some(later)];
            for (answer, calls) in trio.ask(true, &script).await? {
                let told = format!("{script:?}, {calls} calls: {answer:?}");
                assert_eq!((answer.status.as_u16(), answer.problem()), (504, "outcome-unknown"), "{told}");
                assert!(calls >= 2 || calls == 1 && matches!(later, End::Status(_)), "tried again: {told}");
                let results = answer.json["resultados"]
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![answer.json.clone()]);
                for result in results {
                    assert!(result["id"].is_string(), "{told}");
                    assert!(result["codigo"].as_str().is_none_or(|code| code == "outcome-unknown"), "{told}");
                }
            }
        }
        for (answer, calls) in trio.ask(true, &[Some(unknown), None]).await? {
            assert_eq!((answer.status.as_u16(), calls), (202, 2), "{unknown:?}: {answer:?}");
        }
    }
    Ok(())
}

/// Only the writer's own word makes a second try of an unkeyed event safe. A report without a key gets one here.
#[tokio::test]
async fn an_unkeyed_event_is_sent_once_unless_the_writer_itself_did_not_write_it() -> Result<()> {
    let trio = Trio::ready().await?;
    for unknown in UNKNOWN {
        let [one, two, report] = trio.ask(false, &[Some(unknown), None]).await?;
        for (answer, calls) in [one, two] {
            assert_eq!((answer.status.as_u16(), calls), (504, 1), "{unknown:?}: {answer:?}");
        }
        let (answer, calls) = report;
        assert_eq!((answer.status.as_u16(), calls), (202, 2), "{unknown:?}: {answer:?}");
    }
    for safe in [End::Refused(ErrorCode::Unavailable), End::Status(ErrorCode::Unavailable)] {
        for (answer, calls) in trio.ask(false, &[Some(safe), None]).await? {
            assert_eq!((answer.status.as_u16(), calls), (202, 2), "{safe:?}: {answer:?}");
        }
    }
    Ok(())
}

/// An unknown try of a batch counts for each of its sales; a later acceptance of some does not hide the others'.
#[tokio::test]
async fn without_another_writer_an_unknown_outcome_stays_one() -> Result<()> {
    let writer = TestWriter::start()?;
    let relay = Relay::ready(&[writer.address], &[]).await?;
    writer.seen.end(Some(End::Bare(Code::Unavailable)));
    for (path, body) in
        [("/procesar", sale("one")), ("/procesar", sales(2)), ("/publicar", REPORT.to_owned())]
    {
        let answer = relay.http.send(path, &[JSON, KEY], body).await?;
        assert_eq!(answer.status, 504, "no other writer is known: {answer:?}");
    }
    writer.seen.end(Some(End::Short));
    let short = relay.http.post("/procesar", sales(2)).await?;
    assert_eq!(short.status, 504, "{short:?}");
    let first = short.json["resultados"][0]["id"].as_str().context("an id to look for")?;
    assert!(!first.is_empty());
    Ok(())
}
