//! The proof of every path, and of the two logs against each other.

use std::path::Path as File;
use std::time::Duration;

use anyhow::Result;
use blackfriday_broker::EventLog;
use blackfriday_receipts::Receipts;
use blackfriday_terminal::output::{self, count, grouped};
use blackfriday_verify::{Agreement, Proof, Topics, agree, prove};
use serde_json::{Value, json};

use crate::pipeline::{Events, Path, Servers};

/// How long counting may take after the load's end.
const COUNT_LIMIT: Duration = Duration::from_secs(60);
/// Differences of each kind that are shown.
const SHOWN: usize = 20;

/// What was found on each path, and between the logs.
pub(super) struct Proofs {
    paths: Vec<(Path, Proof)>,
    logs: Option<Agreement>,
}

impl Proofs {
    /// Waits for the consumers, reads the logs, and compares. Nobody but the writers of these receipts has sent anything.
    pub(super) async fn read(servers: &Servers, paths: &[Path], receipts: &[&File]) -> Result<Self> {
        let mut proofs = Self { paths: Vec::new(), logs: None };
        for path in paths {
            let (log, store) = (servers.log(path.log), servers.store(path.store)?);
            let mut proof = prove(&log, &store, path.topics(), read(receipts)?, COUNT_LIMIT).await?;
            proof.only_these = true;
            proofs.paths.push((*path, proof));
        }
        if paths.iter().any(|path| path.events == Events::Weather) {
            let [kafka, rabbitmq] = [EventLog::Kafka, EventLog::RabbitMq].map(|log| servers.log(log));
            let weather = read(receipts)?;
            let mut logs = agree([&kafka, &rabbitmq], Topics::WEATHER, weather, COUNT_LIMIT).await?;
            (logs.only_these, logs.with_receipts) = (true, true);
            proofs.logs = Some(logs);
        }
        Ok(proofs)
    }

    pub(super) fn hold(&self) -> bool {
        self.paths.iter().all(|(_, proof)| proof.holds()) && self.logs.as_ref().is_none_or(Agreement::holds)
    }

    /// As `--json` prints it.
    pub(super) fn to_json(&self) -> Value {
        let path = |(path, proof): &(Path, Proof)| {
            json!({"path": path.to_string(), "accepted": proof.accepted(), "in_log": proof.in_log(),
                   "counted": proof.counted(), "proof": proof.to_json(SHOWN)})
        };
        let paths: Vec<_> = self.paths.iter().map(path).collect();
        json!({"paths": paths, "both_logs": self.logs.as_ref().map(|logs| logs.to_json(SHOWN))})
    }

    /// One row for each path, then what differs, if anything does.
    pub(super) fn print(&self) {
        let row = |(path, proof): &(Path, Proof)| {
            vec![
                path.to_string(),
                grouped(proof.accepted()),
                grouped(proof.in_log()),
                grouped(proof.counted()),
            ]
        };
        let both = self.logs.as_ref().map(|logs| {
            vec![
                "weather in both logs".to_owned(),
                grouped(logs.accepted()),
                grouped(logs.in_both()),
                String::new(),
            ]
        });
        output::table(&["", "accepted", "in the log", "counted"], self.paths.iter().map(row).chain(both));
        for (path, proof) in self.paths.iter().filter(|(_, proof)| !proof.holds()) {
            output::line(format_args!("{path}:"));
            proof.print(SHOWN);
        }
        if let Some(logs) = self.logs.as_ref().filter(|logs| !logs.holds()) {
            logs.print(SHOWN);
        }
        if self.hold() {
            let unknown = |(_, proof): &(Path, Proof)| proof.in_log() > proof.accepted();
            let half = self.logs.as_ref().map(Agreement::half);
            let said = in_words(half, self.paths.iter().any(unknown));
            output::prose(format_args!("{}: {said}", output::good("holds")));
        }
    }
}

/// What holds: of `half` reports one log alone has each, and a log has more than was accepted.
fn in_words(half: Option<u64>, has_more: bool) -> String {
    let mut said =
        "every accepted event is in its log, and every key of the stores is what the logs add up to"
            .to_owned();
    match half {
        None => {}
        Some(0) => said += "; what is for both logs is in both",
        Some(half) => {
            let (reports, alone) =
                (count(half, "report", "reports"), "of unknown outcome in one of them alone");
            said += &format!("; every accepted report is in both logs, and {reports} {alone}");
        }
    }
    if has_more {
        said += ". Whatever more a log holds is of unknown outcome to its client";
    }
    said
}

fn read(receipts: &[&File]) -> Result<Receipts> {
    let mut all = Receipts::default();
    receipts.iter().try_for_each(|path| all.read(path))?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_hold_holds() {
        assert!(in_words(None, false).ends_with("what the logs add up to"));
        assert!(in_words(Some(0), false).ends_with("what is for both logs is in both"));
        let half = in_words(Some(31), true);
        assert!(
            half.contains("every accepted report is in both logs, and 31 reports of unknown outcome in one"),
            "{half}"
        );
        assert!(!half.contains("what is for both logs is in both"), "{half}");
        assert!(half.ends_with("is of unknown outcome to its client"), "{half}");
    }
}
