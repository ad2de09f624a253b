//! What an answer says of each event of its request.
//!
//! Invariant: an event is accepted only by an answer with its identity, and refused only by a hop of ours. Everything else is
//! unknown: no answer, an answer that cannot be read, or one that a proxy wrote in the place of a hop.

use serde::Deserialize;
use uuid::Uuid;

use crate::connection::Exchange;
use crate::request::Route;

/// Before the name of a problem's kind: the mark of a hop of ours.
const PROBLEM: &str = "urn:blackfriday:problem:";

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
    Unknown(Option<Uuid>),
}

#[derive(Deserialize)]
struct Single {
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
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
}

impl Outcome {
    /// What is known after one more try under the same idempotency key: a refusal says nothing of the tries before.
    pub(crate) fn then(self, later: Self) -> Self {
        match (self, later) {
            (Self::Accepted(_), _) => self,
            (Self::Unknown(before), Self::Refused { id, .. }) => Self::Unknown(before.or(id)),
            (Self::Unknown(id), Self::Unknown(later)) => Self::Unknown(id.or(later)),
            (_, later) => later,
        }
    }

    /// Whether one more try may end better.
    pub(crate) fn may_change(self) -> bool {
        match self {
            Self::Accepted(_) => false,
            Self::Refused { status, .. } => matches!(status, 0 | 408 | 429 | 503),
            Self::Unknown(_) => true,
        }
    }

    /// What a whole answer says that is no acknowledgement. Only a hop of ours knows that nothing was written: a proxy may
    /// say the same of a request that it passed on.
    fn of_answer(status: u16, id: Option<Uuid>, is_problem: bool, body: &[u8]) -> Self {
        let ours = |Problem { kind }: Problem| kind.starts_with(PROBLEM);
        match is_problem && serde_json::from_slice(body).is_ok_and(ours) {
            true => Self::of_status(status, id),
            false => Self::Unknown(id),
        }
    }

    /// By a hop of ours, 503 and whatever is below 500 say that nothing was written; any other 5xx does not, nor does a 2xx
    /// that cannot be read.
    fn of_status(status: u16, id: Option<Uuid>) -> Self {
        match status {
            503 | 300..500 => Self::Refused { status, id },
            _ => Self::Unknown(id),
        }
    }
}

/// What became of each of the `count` events of a request.
pub(crate) fn outcomes(route: Route, count: u64, exchange: &Exchange) -> Vec<Outcome> {
    let all = |outcome| (0..count).map(|_| outcome).collect();
    match exchange {
        Exchange::NotSent => all(Outcome::Refused { status: 0, id: None }),
        Exchange::NoAnswer => all(Outcome::Unknown(None)),
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
            ("OK", None, _) | (_, _, None) => Outcome::Unknown(self.id),
            (_, id, Some(status)) => Outcome::of_status(status, id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(17);

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
        assert_eq!(single(202, "{}"), Outcome::Unknown(None));
        assert_eq!(single(200, "who is this"), Outcome::Unknown(None));
        let named = |status| Outcome::Refused { status, id: Some(ID) };
        assert_eq!(single(422, &problem("invalid-field")), named(422));
        assert_eq!(single(503, &problem("unavailable")), named(503));
        assert_eq!(single(504, &problem("outcome-unknown")), Outcome::Unknown(Some(ID)));
        assert_eq!(single(504, &with_id), Outcome::Unknown(Some(ID)));
        assert_eq!(single(502, "<html>"), Outcome::Unknown(None));
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
                    [Outcome::Unknown(None)],
                    "{status} {body}"
                );
                assert_eq!(answered(Route::Ventas, 2, status, body), [Outcome::Unknown(None); 2], "{body}");
            }
        }
        // Our words under another media type: somebody has them from a cache, or from a page.
        let body = problem("unavailable").into();
        let bare = Exchange::Answered { status: 503, is_problem: false, body, retry_after: None };
        assert_eq!(outcomes(Route::Venta, 1, &bare), [Outcome::Unknown(Some(ID))]);
    }

    #[test]
    fn each_sale_of_a_batch_has_its_own_outcome() {
        let batch = |status, body: &str| answered(Route::Ventas, 3, status, body);
        let mixed = format!(
            r#"{{"aceptadas":1,"rechazadas":2,"resultados":[{{"estado":"OK","id":"{ID}"}},
            {{"estado":"ERROR","status":422,"codigo":"x","detalle":"a \"quoted\" word"}},
            {{"estado":"ERROR","status":504,"codigo":"x","detalle":"d","id":"{ID}"}}]}}"#
        );
        let expected = vec![Outcome::Accepted(ID), refused(422), Outcome::Unknown(Some(ID))];
        assert_eq!(batch(207, &mixed), expected);
        assert_eq!(batch(202, r#"{"resultados":[]}"#), vec![Outcome::Unknown(None); 3]);
        assert_eq!(batch(413, &problem("too-large")), vec![refused(413); 3]);
        assert_eq!(outcomes(Route::Ventas, 3, &Exchange::NotSent), vec![refused(0); 3]);
        assert_eq!(outcomes(Route::Ventas, 3, &Exchange::NoAnswer), vec![Outcome::Unknown(None); 3]);
    }

    #[test]
    fn a_refused_retry_does_not_undo_what_may_have_been_written() {
        let (accepted, away) = (Outcome::Accepted(ID), refused(503));
        let (unknown, named) = (Outcome::Unknown(None), Outcome::Unknown(Some(ID)));
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
}
