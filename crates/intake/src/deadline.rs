use std::time::Duration;

use blackfriday_proto::{ErrorCode, Refusal};
use http::HeaderMap;

use crate::hop::{DEADLINE_HEADER, Trust};

/// With less left, an event would be handed on only to miss its own answer: it is refused before that.
const MIN_LEFT: Duration = Duration::from_millis(20);

/// How long the caller waits: by our own limit, or less by the header of a hop of ours. None if the hop has too little time
/// left.
pub(crate) fn time_left(headers: &HeaderMap, trust: Trust, ours: Duration) -> Duration {
    let theirs = headers.get(DEADLINE_HEADER).filter(|_| trust == Trust::Hop);
    let theirs = theirs.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_millis);
    theirs.map_or(ours, |theirs| if theirs < MIN_LEFT { Duration::ZERO } else { theirs.min(ours) })
}

/// The refusal of an event whose time is over before it was handed on.
pub(crate) fn late() -> Refusal {
    Refusal::new(ErrorCode::Unavailable, "the time was over before it was sent")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn left(trust: Trust, value: &'static str) -> Duration {
        let headers = HeaderMap::from_iter([(
            DEADLINE_HEADER.parse().expect("a name"),
            HeaderValue::from_static(value),
        )]);
        time_left(&headers, trust, Duration::from_secs(5))
    }

    #[test]
    fn only_a_hop_of_ours_shortens_the_time_and_none_lengthens_it() {
        for value in ["0", "1", "19", "2000", "90000", "x", "-1", ""] {
            assert_eq!(left(Trust::Outside, value).as_millis(), 5_000, "{value}");
        }
        assert_eq!(left(Trust::Hop, "2000").as_millis(), 2_000);
        for value in ["90000", "18446744073709551615", "18446744073709551616", "x", "-1", ""] {
            assert_eq!(left(Trust::Hop, value).as_millis(), 5_000, "{value}");
        }
        for value in ["0", "1", "19"] {
            assert_eq!(left(Trust::Hop, value), Duration::ZERO, "{value}");
        }
    }
}
