use proptest::prelude::*;

use super::*;

const BOTH: [Option<Log>; 2] = [Some(Log::Kafka), Some(Log::RabbitMq)];

fn refused(code: ErrorCode) -> EventOutcome {
    Err(Refusal::new(code, "as told"))
}

/// What one try at one log says; an unknown outcome may have written the event.
#[derive(Debug, Clone, Copy)]
enum Try {
    Accepted,
    Unknown { written: bool },
    Refused(ErrorCode),
}

impl Try {
    fn outcome(self, id: EventId) -> EventOutcome {
        match self {
            Self::Accepted => Ok(id),
            Self::Unknown { .. } => refused(ErrorCode::OutcomeUnknown),
            Self::Refused(code) => refused(code),
        }
    }
}

fn tries() -> impl Strategy<Value = Try> {
    let certain: Vec<_> =
        ErrorCode::ALL.into_iter().filter(|code| *code != ErrorCode::OutcomeUnknown).collect();
    prop_oneof![
        Just(Try::Accepted),
        any::<bool>().prop_map(|written| Try::Unknown { written }),
        prop::sample::select(vec![ErrorCode::Unavailable, ErrorCode::Overloaded]).prop_map(Try::Refused),
        prop::sample::select(certain).prop_map(Try::Refused),
    ]
}

/// Rounds of tries at one log or two, up to the end or the deadline.
fn run(tally: &mut Tally, rounds: &[[Try; 2]], logs: usize, id: EventId) -> [(bool, bool); 2] {
    let mut truth = [(false, false); 2];
    for round in rounds {
        for at in (0..logs).filter(|at| tally.is_open(*at)).collect::<Vec<_>>() {
            let (written, maybe) = &mut truth[at];
            *written |= matches!(round[at], Try::Accepted | Try::Unknown { written: true });
            *maybe |= matches!(round[at], Try::Unknown { .. });
            tally.take(at, round[at].outcome(id));
        }
        if tally.is_over() {
            break;
        }
    }
    truth
}

proptest! {
    /// Whatever is tried and whenever the time is over: accepted is in every log, refused is in none, and no state claims
    /// more than is known.
    #[test]
    fn no_answer_and_no_state_claims_more_than_is_known(
        rounds in prop::collection::vec([tries(), tries()], 0..6), two in any::<bool>(), keyed in any::<bool>(),
    ) {
        let (id, logs) = (EventId::new_v7(), if two { 2 } else { 1 });
        let mut tally = Tally::new(BOTH.into_iter().take(logs), keyed);
        let truth = run(&mut tally, &rounds, logs, id);
        let reported = tally.into_reported(id);
        let states = [reported.logs.kafka, reported.logs.rabbitmq];
        for (state, (written, maybe)) in states.into_iter().zip(truth).take(logs) {
            match state.expect("of each log") {
                LogState::Written => prop_assert!(written),
                LogState::NotWritten | LogState::Refused => prop_assert!(!written && !maybe),
                LogState::Unknown => prop_assert!(maybe),
            }
        }
        prop_assert_eq!(states.into_iter().flatten().count(), logs);
        let any_maybe = truth.iter().any(|(written, maybe)| *written || *maybe);
        match reported.outcome {
            Ok(of) => prop_assert!(of == id && truth[..logs].iter().all(|(written, _)| *written)),
            Err(error) => {
                if logs == 2 || !rounds.is_empty() {
                    prop_assert_eq!(error.code == ErrorCode::OutcomeUnknown, any_maybe, "{:?}", error);
                }
            }
        }
    }

    /// A further round is made only if it is safe, and may end in an acceptance.
    #[test]
    fn what_is_tried_again_is_safe_and_of_use(
        rounds in prop::collection::vec([tries(), tries()], 1..6), keyed in any::<bool>(),
    ) {
        let id = EventId::new_v7();
        let mut tally = Tally::new(BOTH.into_iter(), keyed);
        let truth = run(&mut tally, &rounds, 2, id);
        if !tally.is_over() {
            prop_assert!(truth.iter().any(|(written, maybe)| *written || *maybe), "else it is a clean refusal");
            prop_assert!(keyed || (0..2).all(|at| !tally.is_open(at) || !truth[at].1), "unkeyed, and sent again");
            prop_assert!((0..2).any(|at| tally.is_open(at)));
        }
    }
}

/// Each pair of ends of the first round: whether it is over, the status then, and the states.
#[test]
fn two_logs_answer_by_this_table() {
    use LogState::{NotWritten as N, Refused as R, Unknown as U, Written as A};
    let code = |state| match state {
        A => None,
        N => Some(ErrorCode::Unavailable),
        R => Some(ErrorCode::TooLarge),
        U => Some(ErrorCode::OutcomeUnknown),
    };
    let table = [
        (A, A, true, 202),
        (A, N, false, 504),
        (A, R, true, 504),
        (A, U, false, 504),
        (N, N, true, 503),
        (N, R, true, 413),
        (N, U, false, 504),
        (R, R, true, 413),
        (R, U, true, 504),
        (U, U, false, 504),
    ];
    for (kafka, rabbitmq, is_over, status) in table {
        for [kafka, rabbitmq] in [[kafka, rabbitmq], [rabbitmq, kafka]] {
            let id = EventId::new_v7();
            let mut tally = Tally::new(BOTH.into_iter(), true);
            for (at, state) in [kafka, rabbitmq].into_iter().enumerate() {
                tally.take(at, code(state).map_or(Ok(id), refused));
            }
            assert_eq!(tally.is_over(), is_over, "{kafka:?} {rabbitmq:?}");
            let Reported { outcome, logs } = tally.into_reported(id);
            assert_eq!(logs, LogStates { kafka: Some(kafka), rabbitmq: Some(rabbitmq) });
            let answered = outcome.as_ref().map_or_else(|error| error.code.http_status(), |_| 202);
            assert_eq!(answered, status, "{kafka:?} {rabbitmq:?}: {outcome:?}");
            assert!(outcome.is_ok() || outcome.is_err_and(|error| error.id == Some(id)));
        }
    }
}

/// As a hop reads them from the answers to several tries.
#[test]
fn what_several_answers_say_of_a_log_is_kept_at_its_weakest_unless_it_was_written() {
    use LogState::{NotWritten, Refused, Unknown, Written};
    let of = |state| LogStates { kafka: state, rabbitmq: None };
    for (before, now, after) in [
        (None, None, None),
        (None, Some(Refused), Some(Refused)),
        (Some(NotWritten), None, Some(NotWritten)),
        (Some(NotWritten), Some(Refused), Some(Refused)),
        (Some(Unknown), Some(NotWritten), Some(Unknown)),
        (Some(NotWritten), Some(Unknown), Some(Unknown)),
        (Some(Written), Some(Unknown), Some(Written)),
        (Some(Unknown), Some(Written), Some(Written)),
    ] {
        assert_eq!(of(before).then(of(now)), of(after), "{before:?}, then {now:?}");
    }
    let doubted = [NotWritten, Refused, Unknown, Written].map(|state| of(Some(state)).doubted().kafka);
    assert_eq!(doubted, [Some(Unknown), Some(Unknown), Some(Unknown), Some(Written)]);
}

#[test]
fn states_of_logs_that_are_not_there_are_not_written() {
    let json = |logs: LogStates| serde_json::to_string(&logs).expect("serializes");
    assert_eq!(json(LogStates::default()), "{}");
    let both = LogStates { kafka: Some(LogState::Written), rabbitmq: Some(LogState::NotWritten) };
    assert_eq!(json(both), r#"{"kafka":"OK","rabbitmq":"NOT_WRITTEN"}"#);
    assert_eq!(serde_json::from_str::<LogStates>(&json(both)).expect("reads back"), both);
}
