//! What an answer says of each event of its request.
//!
//! Invariant: an event is accepted only by an answer with its identity, and refused only by a hop of ours. Everything else is
//! unknown: no answer, an answer that cannot be read, or one that a proxy wrote in the place of a hop.

use std::borrow::Cow;

use blackfriday_terminal::output::in_a_line;
use serde::Deserialize;
use uuid::Uuid;

use crate::connection::Exchange;
use crate::request::Route;

/// Before the name of a problem's kind: the mark of a hop of ours.
const PROBLEM: &str = "urn:blackfriday:problem:";

/// Characters of an answer that people are shown.
const SHOWN: usize = 200;

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is durable.
    Accepted(Uuid),
    /// It was not written.
    Refused {
        /// 0 for a connection that could not be made.
        status: u16,
        /// What the gateway calls it, if it had a name already.
        id: Option<Uuid>,
    },
    /// It may have been written.
    Unknown {
        /// 0 for no answer.
        status: u16,
        /// What the gateway calls it, if it had a name already.
        id: Option<Uuid>,
    },
}

#[derive(Deserialize)]
struct Single {
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    id: Option<Uuid>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    resultados: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    estado: &'a str,
    status: Option<u16>,
    id: Option<Uuid>,
    #[serde(borrow)]
    detalle: Option<Cow<'a, str>>,
}

impl Outcome {
    /// What is known after one more try under the same idempotency key: a refusal says nothing of the tries before.
    pub(crate) fn then(self, later: Self) -> Self {
        match (self, later) {
            (Self::Accepted(_), _) => self,
            (
                Self::Unknown { status, id: before },
                Self::Refused { id: later, .. } | Self::Unknown { id: later, .. },
            ) => Self::Unknown { status, id: before.or(later) },
            (_, later) => later,
        }
    }

    /// Whether one more try may end better.
    pub(crate) fn may_change(self) -> bool {
        match self {
            Self::Accepted(_) => false,
            Self::Refused { status, .. } => matches!(status, 0 | 408 | 429 | 503),
            Self::Unknown { .. } => true,
        }
    }

    /// What a whole answer says that is no acknowledgement. Only a hop of ours knows that nothing was written: a proxy may
    /// say the same of a request that it passed on.
    fn of_answer(status: u16, id: Option<Uuid>, is_problem: bool, body: &[u8]) -> Self {
        let ours = |Problem { kind, .. }: Problem| kind.starts_with(PROBLEM);
        match is_problem && serde_json::from_slice(body).is_ok_and(ours) {
            true => Self::of_status(status, id),
            false => Self::Unknown { status, id },
        }
    }

    /// By a hop of ours, 503 and whatever is below 500 say that nothing was written; any other 5xx does not, nor does a 2xx
    /// that cannot be read.
    fn of_status(status: u16, id: Option<Uuid>) -> Self {
        match status {
            503 | 300..500 => Self::Refused { status, id },
            _ => Self::Unknown { status, id },
        }
    }
}

/// What became of each of the `count` events of a request.
pub(crate) fn outcomes(route: Route, count: u64, exchange: &Exchange) -> Vec<Outcome> {
    let all = |outcome| (0..count).map(|_| outcome).collect();
    match exchange {
        Exchange::NotSent(_) => all(Outcome::Refused { status: 0, id: None }),
        Exchange::NoAnswer(_) => all(Outcome::Unknown { status: 0, id: None }),
        Exchange::Answered { status, is_problem, body, .. } => match route {
            Route::Venta | Route::Input => vec![single(*status, *is_problem, body)],
            Route::Ventas => match serde_json::from_slice::<Batch<'_>>(body) {
                Ok(answer) if answer.resultados.len() as u64 == count => {
                    answer.resultados.iter().map(Item::outcome).collect()
                }
                _ => all(Outcome::of_answer(*status, None, *is_problem, body)),
            },
        },
    }
}

/// What an answer that accepts not everything says, or why there is none: a line for people.
pub(crate) fn said(exchange: &Exchange) -> String {
    match exchange {
        Exchange::NotSent(reason) => format!("not connected: {}", in_a_line(reason, SHOWN)),
        Exchange::NoAnswer(reason) => format!("no answer: {}", in_a_line(reason, SHOWN)),
        Exchange::Answered { status, body, .. } => {
            let detail = serde_json::from_slice::<Batch<'_>>(body).ok().and_then(|batch| {
                let wrong = batch.resultados.into_iter().find(|item| item.estado != "OK")?;
                Some(format!(
                    "{status}, {}: {}{}",
                    wrong.status.unwrap_or(0),
                    id_first(wrong.id),
                    wrong.detalle?
                ))
            });
            let problem = || {
                let Problem { id, detail, .. } = serde_json::from_slice(body).ok()?;
                Some(format!("{status}: {}{}", id_first(id), detail?))
            };
            let whole = || format!("{status}: {}", String::from_utf8_lossy(body));
            in_a_line(&detail.or_else(problem).unwrap_or_else(whole), SHOWN)
        }
    }
}

/// Whoever looks for the event wants it first, and whole.
fn id_first(id: Option<Uuid>) -> String {
    id.map(|id| format!("{id}: ")).unwrap_or_default()
}

fn single(status: u16, is_problem: bool, body: &[u8]) -> Outcome {
    let id = serde_json::from_slice(body).ok().and_then(|Single { id }| id);
    match (status, id) {
        (202, Some(id)) => Outcome::Accepted(id),
        (status, id) => Outcome::of_answer(status, id, is_problem, body),
    }
}

impl Item<'_> {
    fn outcome(&self) -> Outcome {
        match (self.estado, self.id, self.status) {
            ("OK", Some(id), _) => Outcome::Accepted(id),
            ("OK", None, status) => Outcome::Unknown { status: status.unwrap_or(202), id: None },
            (_, id, None) => Outcome::Unknown { status: 0, id },
            (_, id, Some(status)) => Outcome::of_status(status, id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(17);

    fn unknown(status: u16, id: Option<Uuid>) -> Outcome {
        Outcome::Unknown { status, id }
    }

    fn refused(status: u16) -> Outcome {
        Outcome::Refused { status, id: None }
    }

    fn answered(route: Route, count: u64, status: u16, body: &str) -> Vec<Outcome> {
        let (is_problem, body) = (body.contains("urn:"), body.to_owned().into());
        outcomes(route, count, &Exchange::Answered { status, is_problem, body, retry_after: None })
    }

    fn problem(kind: &str) -> String {
        format!(r#"{{"type":"urn:blackfriday:problem:{kind}","title":"t","id":"{ID}"}}"#)
    }

    #[test]
    fn only_an_acknowledgement_with_an_identity_is_accepted() {
        let single = |status, body: &str| answered(Route::Venta, 1, status, body)[0];
        let with_id = format!(r#"{{"estado":"OK","id":"{ID}"}}"#);
        assert_eq!(single(202, &with_id), Outcome::Accepted(ID));
        assert_eq!(single(202, "{}"), unknown(202, None));
        assert_eq!(single(200, "who is this"), unknown(200, None));
        let named = |status| Outcome::Refused { status, id: Some(ID) };
        assert_eq!(single(422, &problem("invalid-field")), named(422));
        assert_eq!(single(503, &problem("unavailable")), named(503));
        assert_eq!(single(504, &problem("outcome-unknown")), unknown(504, Some(ID)));
        assert_eq!(single(504, &with_id), unknown(504, Some(ID)));
        assert_eq!(single(502, "<html>"), unknown(502, None));
    }

    /// A proxy may have passed the request on before it answered in the place of a hop of ours.
    #[test]
    fn what_no_hop_of_ours_has_said_is_unknown() {
        for status in [408, 429, 503, 400, 413, 404, 302] {
            for body in
                ["", "{}", "<html>", r#"{"type":"about:blank"}"#, r#"{"type":"urn:another:problem:late"}"#]
            {
                assert_eq!(
                    answered(Route::Venta, 1, status, body),
                    [unknown(status, None)],
                    "{status} {body}"
                );
                assert_eq!(answered(Route::Ventas, 2, status, body), [unknown(status, None); 2], "{body}");
            }
        }
        // Our words under another media type: somebody has them from a cache, or from a page.
        let body = problem("unavailable").into();
        let bare = Exchange::Answered { status: 503, is_problem: false, body, retry_after: None };
        assert_eq!(outcomes(Route::Venta, 1, &bare), [unknown(503, Some(ID))]);
    }

    #[test]
    fn each_sale_of_a_batch_has_its_own_outcome() {
        let batch = |status, body: &str| answered(Route::Ventas, 3, status, body);
        let mixed = format!(
            r#"{{"aceptadas":1,"rechazadas":2,"resultados":[{{"estado":"OK","id":"{ID}"}},
            {{"estado":"ERROR","status":422,"codigo":"x","detalle":"a \"quoted\" word"}},
            {{"estado":"ERROR","status":504,"codigo":"x","detalle":"d","id":"{ID}"}}]}}"#
        );
        let expected = vec![Outcome::Accepted(ID), refused(422), unknown(504, Some(ID))];
        assert_eq!(batch(207, &mixed), expected);
        assert_eq!(batch(202, r#"{"resultados":[]}"#), vec![unknown(202, None); 3]);
        assert_eq!(batch(413, &problem("too-large")), vec![refused(413); 3]);
        assert_eq!(outcomes(Route::Ventas, 3, &Exchange::NotSent("refused".to_owned())), vec![refused(0); 3]);
        let no_answer = Exchange::NoAnswer("closed".to_owned());
        assert_eq!(outcomes(Route::Ventas, 3, &no_answer), vec![unknown(0, None); 3]);
    }

    #[test]
    fn a_refused_retry_does_not_undo_what_may_have_been_written() {
        let (accepted, away) = (Outcome::Accepted(ID), refused(503));
        let (unknown, named) = (unknown(0, None), unknown(0, Some(ID)));
        assert_eq!(unknown.then(away), unknown);
        assert_eq!(away.then(unknown), unknown);
        assert_eq!(unknown.then(named), named);
        assert_eq!(named.then(unknown), named);
        assert_eq!(named.then(accepted), accepted);
        assert_eq!(accepted.then(away), accepted);
        assert_eq!(away.then(refused(429)), refused(429));
        assert!(unknown.may_change() && away.may_change());
        assert!(!accepted.may_change() && !refused(422).may_change());
    }

    /// Whatever answered, its first words are shown, and none of them moves the cursor.
    #[test]
    fn an_answer_is_told_in_a_line() {
        let answered = |status, body: &str| Exchange::Answered {
            status,
            is_problem: false,
            body: body.to_owned().into(),
            retry_after: None,
        };
        assert_eq!(
            said(&answered(501, "<p>Unsupported\n  method\u{1b}[2J</p>")),
            "501: <p>Unsupported method[2J</p>"
        );
        let long = said(&answered(500, &"ñ".repeat(1_000)));
        assert!(long.ends_with("ñ…") && long.chars().count() == SHOWN + 1, "{long}");
        let batch = r#"{"resultados":[{"estado":"OK","id":null},{"estado":"ERROR","status":422,"detalle":"a \"b\""}]}"#;
        assert_eq!(said(&answered(207, batch)), "207, 422: a \"b\"");
        let problem = format!(
            r#"{{"type":"urn:x","title":"Unknown","status":504,"detail":"it may be there","id":"{ID}"}}"#
        );
        assert_eq!(said(&answered(504, &problem)), format!("504: {ID}: it may be there"));
        let refusal = r#"{"type":"urn:x","title":"Full","status":429,"detail":"8192 are open"}"#;
        assert_eq!(said(&answered(429, refusal)), "429: 8192 are open");
        assert_eq!(said(&Exchange::NotSent("refused".to_owned())), "not connected: refused");
    }
}
