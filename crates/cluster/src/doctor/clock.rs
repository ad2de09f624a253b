//! Whether everybody has the same time: times of acceptance and certificates depend on it.

use std::time::{Duration, SystemTime};

use super::object::{Answer, List, Object};
use super::report::Check;

const WARNING: Duration = Duration::from_secs(1);
const PROBLEM: Duration = Duration::from_secs(5);
const REMEDY: &str = "timedatectl status     # here and on the nodes; and let NTP set the clocks";

/// The API server's time as it was heard, between two moments of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) before: SystemTime,
    pub(super) after: SystemTime,
    /// Whole seconds: the server's time was in the second that begins here.
    pub(super) server: Option<SystemTime>,
}

/// The header `Date` among what `kubectl -v=8` says.
pub(super) fn date(said: &str) -> Option<SystemTime> {
    let value = said.lines().find_map(|line| line.trim().strip_prefix("Date: "))?;
    httpdate::parse_http_date(value).ok()
}

pub(super) fn server(heard: &Heard) -> Check {
    let Some(server) = heard.server else {
        return Check::warning(
            "clock",
            "the API server's time was not to be heard",
            "kubectl get --raw /version -v=8",
        );
    };
    // What is surely between the two clocks, whatever the way took.
    let ahead = server.duration_since(heard.after).unwrap_or_default();
    let behind = heard.before.duration_since(server + Duration::from_secs(1)).unwrap_or_default();
    match ahead.max(behind) {
        apart if apart <= WARNING => Check::ok("clock", "the API server's is ours"),
        apart => of(apart, format!("the API server's is {} s {} ours", seconds(apart), side(ahead))),
    }
}

/// A node renews its lease by its own clock every ten seconds: a renewal in our future comes from a clock that is ahead.
pub(super) fn nodes(leases: &Answer<List<Object>>, now: SystemTime) -> Option<Check> {
    let leases = match leases.seen("node clocks") {
        Ok(leases) => leases?,
        Err(denied) => return Some(denied),
    };
    let renewed = |lease: &Object| Some((lease.metadata.name.clone(), renewed(lease)?));
    let ahead = leases.items.iter().filter_map(renewed).max_by_key(|(_, renewed)| *renewed);
    let (name, latest) = ahead?;
    let apart = latest.duration_since(now).unwrap_or_default();
    Some(if apart <= WARNING {
        Check::ok("node clocks", "none is ahead of ours")
    } else {
        of(apart, format!("that of {name} is {} s ahead of ours", seconds(apart))).named("node clocks")
    })
}

fn renewed(lease: &Object) -> Option<SystemTime> {
    humantime::parse_rfc3339(lease.spec["renewTime"].as_str()?).ok()
}

fn of(apart: Duration, seen: String) -> Check {
    if apart > PROBLEM {
        Check::problem("clock", seen, REMEDY)
    } else {
        Check::warning("clock", seen, REMEDY)
    }
}

fn seconds(apart: Duration) -> String {
    format!("{:.1}", apart.as_secs_f64())
}

fn side(ahead: Duration) -> &'static str {
    if ahead.is_zero() { "behind" } else { "ahead of" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::report::Verdict;
    use super::*;

    const SAID: &str = "I1121 11:34:22.698482   42810 round_trippers.go:632] \"Response\" status=\"200 OK\" headers=<\n\
        \tCache-Control: no-cache, private\n\tDate: Sat, 21 Nov 2026 11:34:22 GMT\n >";

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn the_servers_date_is_heard() {
        assert_eq!(date(SAID), Some(at("2026-11-21T11:34:22Z")));
        assert_eq!(date("\tDate: Sun, 01 Feb 2026 01:02:03 GMT"), Some(at("2026-02-01T01:02:03Z")));
        for wrong in [
            "",
            "Date: yesterday",
            "Date: Sat, 21 Nov 2026 11:34:22 CET",
            "Date: Sat, 21 Foo 2026 11:34:22 GMT",
        ] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_clock_is_judged_by_what_is_surely_between() {
        let verdict = |before: &str, after: &str| {
            let (before, after) = (at(before), at(after));
            server(&Heard { before, after, server: date(SAID) }).verdict
        };
        assert_eq!(verdict("2026-11-21T11:34:22.9Z", "2026-11-21T11:34:23.4Z"), Verdict::Ok);
        assert_eq!(verdict("2026-11-21T11:34:10Z", "2026-11-21T11:34:40Z"), Verdict::Ok);
        assert_eq!(verdict("2026-11-21T11:34:25Z", "2026-11-21T11:34:26Z"), Verdict::Warning);
        assert_eq!(verdict("2026-11-21T11:34:18Z", "2026-11-21T11:34:19Z"), Verdict::Warning);
        assert_eq!(verdict("2026-11-21T11:34:29Z", "2026-11-21T11:34:30Z"), Verdict::Problem);
        let now = at("2026-11-21T11:34:22Z");
        assert_eq!(server(&Heard { before: now, after: now, server: None }).verdict, Verdict::Warning);
    }

    #[test]
    fn a_lease_from_the_future_comes_from_a_clock_that_is_ahead() {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "node-1"},
            "spec": {"renewTime": "2026-11-21T11:34:22.123456Z"},
        });
        let leases = Answer::Is(serde_json::from_value(json!({ "items": [lease] })).expect("leases"));
        let verdict = |now: &str| nodes(&leases, at(now)).expect("a lease").verdict;
        assert_eq!(verdict("2026-11-21T11:34:31Z"), Verdict::Ok);
        assert_eq!(verdict("2026-11-21T11:34:20Z"), Verdict::Warning);
        assert_eq!(verdict("2026-11-21T11:34:10Z"), Verdict::Problem);
        assert_eq!(nodes(&Answer::Absent, at("2026-11-21T11:34:10Z")), None);
    }
}
