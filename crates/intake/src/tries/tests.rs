use blackfriday_event::IdempotencyKey;
use proptest::prelude::*;

use super::*;

/// An event of any kind.
fn event((at, keyed): (usize, bool)) -> Command<()> {
    let key = IdempotencyKey::new(&format!("key-{at}")).expect("visible");
    Command::new((), keyed.then_some(key))
}

/// How a try ends, for one event of it.
#[derive(Debug, Clone, Copy)]
enum End {
    Accepted,
    /// An answer for this event.
    Said(ErrorCode, Again),
}

/// How a try ends.
#[derive(Debug, Clone)]
enum Try {
    NotSent,
    NotWritten(ErrorCode),
    Unknown,
    Refused(ErrorCode),
    Answered(Vec<End>),
}

fn refusal() -> impl Strategy<Value = ErrorCode> {
    let certain: Vec<_> =
        ErrorCode::ALL.into_iter().filter(|code| *code != ErrorCode::OutcomeUnknown).collect();
    prop::sample::select(certain)
}

fn ends() -> impl Strategy<Value = End> {
    let again = prop::sample::select(vec![Again::Always, Again::IfKeyed, Again::Never]);
    let refused = (refusal(), again).prop_map(|(code, again)| End::Said(code, again));
    let unknown = prop::sample::select(vec![Again::IfKeyed, Again::Never])
        .prop_map(|again| End::Said(ErrorCode::OutcomeUnknown, again));
    prop_oneof![1 => Just(End::Accepted), 3 => refused, 2 => unknown]
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = prop_oneof![
        Just(Try::NotSent),
        refusal().prop_map(Try::NotWritten),
        Just(Try::Unknown),
        refusal().prop_map(Try::Refused),
        prop::collection::vec(ends(), 5).prop_map(Try::Answered),
    ];
    prop::collection::vec(one, 0..6)
}

/// What truly happened to one event.
#[derive(Debug, Clone, Copy, Default)]
struct Truth {
    accepted: bool,
    /// A try may have written it.
    maybe: bool,
}

proptest! {
    /// Whatever the tries are, no refusal follows a try that may have written the event, no unkeyed event is sent after
    /// one, and what was accepted is answered so.
    #[test]
    fn only_an_acceptance_replaces_an_unknown_outcome(
        keyed in prop::collection::vec(any::<bool>(), 1..5), script in tries(), late in refusal(),
    ) {
        let events: Vec<_> = keyed.into_iter().enumerate().map(event).collect();
        let mut truth = vec![Truth::default(); events.len()];
        let mut tries = Tries::new(events.clone());
        for one in script {
            let sent: Vec<_> =
                tries.pending().map(|p| events.iter().position(|e| e.id == p.id).expect("of these")).collect();
            for at in &sent {
                prop_assert!(!truth[*at].accepted, "sent again after it was accepted");
                prop_assert!(events[*at].idempotency_key.is_some() || !truth[*at].maybe, "unkeyed, and sent again");
            }
            let error = |code| Refusal::new(code, "as the script says");
            match one {
                Try::NotSent => tries.fail(&Failed::NotSent(error(ErrorCode::Unavailable))),
                Try::NotWritten(code) => tries.fail(&Failed::NotWritten(error(code))),
                Try::Refused(code) => tries.fail(&Failed::Refused(error(code))),
                Try::Unknown => {
                    sent.iter().for_each(|at| truth[*at].maybe = true);
                    tries.fail(&Failed::Unknown(error(ErrorCode::OutcomeUnknown)));
                }
                Try::Answered(ends) => tries.settle(|event| {
                    let at = events.iter().position(|e| e.id == event.id).expect("of these");
                    match ends[at] {
                        End::Accepted => {
                            truth[at].accepted = true;
                            Said { outcome: Ok(event.id), again: Again::Never }
                        }
                        End::Said(code, again) => {
                            truth[at].maybe |= code == ErrorCode::OutcomeUnknown;
                            Said { outcome: Err(error(code).of(event.id)), again }
                        }
                    }
                }),
            }
        }
        tries.give_up(&Refusal::new(late, "no more tries"));
        for ((outcome, truth), event) in tries.into_outcomes().into_iter().zip(truth).zip(events) {
            match outcome {
                Ok(id) => prop_assert!(truth.accepted && id == event.id),
                Err(error) => {
                    prop_assert!(!truth.accepted);
                    prop_assert_eq!(truth.maybe, error.code == ErrorCode::OutcomeUnknown, "{:?}", error);
                    prop_assert_eq!(error.id, Some(event.id));
                }
            }
        }
    }
}
