//! What an answer lets a client claim, by the API's documents alone.

use hyper::body::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::http::Reply;
use crate::chaos::ledger::Told;

/// How the type of every problem of ours begins.
const PROBLEM: &str = "urn:blackfriday:problem:";
/// The one problem that is not a promise.
const UNKNOWN: &str = "outcome-unknown";

/// What a client knows of an event, and its identity if it was told.
pub(super) type Known = (Told, Option<Uuid>);

/// Of the one event of a request.
pub(super) fn of_one(reply: &Reply) -> Known {
    let Reply::Answered { status, is_problem, body } = reply else { return of_none(reply) };
    let json = parsed(body);
    let id = id_of(&json);
    if *status == 202 && id.is_some() {
        return (Told::Accepted, id);
    }
    (of_problem(*is_problem, &json), id)
}

/// Of the one report of a request, and what became of it in Kafka and in RabbitMQ.
pub(super) fn of_report(reply: &Reply) -> (Known, [Told; 2]) {
    let known = of_one(reply);
    let logs = match (reply, known.0) {
        (Reply::Answered { is_problem: true, body, .. }, Told::Unknown) => {
            let json = parsed(body);
            // Only a problem of ours says anything.
            let is_ours = json["type"].as_str().is_some_and(|kind| kind.starts_with(PROBLEM));
            ["kafka", "rabbitmq"].map(|log| of_state(json[log].as_str().filter(|_| is_ours)))
        }
        // Accepted means by both, and refused means by neither.
        (_, told) => [told; 2],
    };
    (known, logs)
}

/// Of each of the events of a request.
pub(super) fn of_many(reply: &Reply, number: usize) -> Vec<Known> {
    let Reply::Answered { is_problem, body, .. } = reply else { return vec![of_none(reply); number] };
    let json = parsed(body);
    match json["resultados"].as_array() {
        Some(items) if items.len() == number => items.iter().map(of_item).collect(),
        _ => vec![(of_problem(*is_problem, &json), None); number],
    }
}

/// By the mark that a writer puts on its own word, and nobody else does.
pub(super) fn of_mark(mark: Option<&str>) -> Told {
    match mark {
        Some(name) if name != UNKNOWN => Told::Refused,
        _ => Told::Unknown,
    }
}

fn of_none(reply: &Reply) -> Known {
    (if matches!(reply, Reply::NotSent) { Told::Refused } else { Told::Unknown }, None)
}

fn of_item(item: &Value) -> Known {
    let id = id_of(item);
    match (item["estado"].as_str(), item["codigo"].as_str()) {
        (Some("OK"), _) if id.is_some() => (Told::Accepted, id),
        (Some("ERROR"), Some(code)) if code != UNKNOWN => (Told::Refused, id),
        _ => (Told::Unknown, id),
    }
}

fn of_state(state: Option<&str>) -> Told {
    match state {
        Some("OK") => Told::Accepted,
        Some("NOT_WRITTEN" | "REFUSED") => Told::Refused,
        _ => Told::Unknown,
    }
}

fn of_problem(is_problem: bool, json: &Value) -> Told {
    let kind = json["type"].as_str().and_then(|kind| kind.strip_prefix(PROBLEM));
    match kind.filter(|_| is_problem) {
        Some(name) if name != UNKNOWN => Told::Refused,
        _ => Told::Unknown,
    }
}

fn parsed(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}

fn id_of(json: &Value) -> Option<Uuid> {
    json["id"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11";

    fn answered(status: u16, is_problem: bool, body: String) -> Reply {
        Reply::Answered { status, is_problem, body: body.into() }
    }

    #[test]
    fn only_a_problem_of_ours_is_a_promise() {
        let told = |status, is_problem, body: &str| of_one(&answered(status, is_problem, body.to_owned())).0;
        let problem = |name: &str| format!(r#"{{"type":"{PROBLEM}{name}"}}"#);
        assert_eq!(told(202, false, &format!(r#"{{"estado":"OK","id":"{ID}"}}"#)), Told::Accepted);
        assert_eq!(told(202, false, r#"{"estado":"OK"}"#), Told::Unknown);
        assert_eq!(told(503, true, &problem("unavailable")), Told::Refused);
        assert_eq!(told(503, false, &problem("unavailable")), Told::Unknown);
        assert_eq!(told(503, true, r#"{"type":"about:blank"}"#), Told::Unknown);
        assert_eq!(told(504, true, &problem("outcome-unknown")), Told::Unknown);
        assert_eq!(of_one(&Reply::NoAnswer).0, Told::Unknown);
        assert_eq!(of_one(&Reply::NotSent).0, Told::Refused);
    }

    #[test]
    fn an_unknown_outcome_says_what_is_known_of_each_log() {
        let of = |status, is_problem, body: &str| of_report(&answered(status, is_problem, body.to_owned())).1;
        let told = |kind: &str, kafka: &str| {
            of(504, true, &format!(r#"{{"type":"{kind}","kafka":"{kafka}","rabbitmq":"UNKNOWN"}}"#))
        };
        let unknown = format!("{PROBLEM}{UNKNOWN}");
        assert_eq!(told(&unknown, "OK"), [Told::Accepted, Told::Unknown]);
        assert_eq!(told(&unknown, "NOT_WRITTEN"), [Told::Refused, Told::Unknown]);
        assert_eq!(told("about:blank", "OK"), [Told::Unknown; 2]);
        assert_eq!(of(503, true, &format!(r#"{{"type":"{PROBLEM}unavailable"}}"#)), [Told::Refused; 2]);
        assert_eq!(of(202, false, &format!(r#"{{"estado":"OK","id":"{ID}"}}"#)), [Told::Accepted; 2]);
        assert_eq!(of_report(&Reply::NoAnswer).1, [Told::Unknown; 2]);
    }

    #[test]
    fn each_item_of_a_batch_has_its_own_answer() {
        let items = format!(
            r#"{{"resultados":[{{"estado":"OK","id":"{ID}"}},{{"estado":"ERROR","status":422,"codigo":"invalid-field"}},
            {{"estado":"ERROR","status":504,"codigo":"outcome-unknown","id":"{ID}"}}]}}"#
        );
        let told: Vec<_> =
            of_many(&answered(207, false, items), 3).into_iter().map(|(told, _)| told).collect();
        assert_eq!(told, [Told::Accepted, Told::Refused, Told::Unknown]);
        let short = answered(207, false, r#"{"resultados":[]}"#.to_owned());
        assert_eq!(of_many(&short, 2), [(Told::Unknown, None); 2]);
    }

    #[test]
    fn only_the_writers_mark_is_its_word() {
        assert_eq!(of_mark(None), Told::Unknown);
        assert_eq!(of_mark(Some("unavailable")), Told::Refused);
        assert_eq!(of_mark(Some("outcome-unknown")), Told::Unknown);
    }
}
