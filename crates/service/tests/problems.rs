//! The page of the HTTP API names every problem with its status, and says of each whether a retry is safe.

use blackfriday_service::Kind;
use blackfriday_service::problem::Retry;

/// The dashboard's own, which the page names in a sentence.
const OF_THE_DASHBOARD: [Kind; 2] = [Kind::InvalidParameter, Kind::Unreadable];

#[test]
fn the_page_of_the_api_has_every_problem() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/http-api.md");
    let page = std::fs::read_to_string(path).expect("docs/http-api.md is there");
    for kind in Kind::ALL.into_iter().filter(|kind| !OF_THE_DASHBOARD.contains(kind)) {
        let begin = format!("| `{}` | {} |", kind.name(), kind.status());
        let row = page.lines().find(|line| line.starts_with(&begin));
        let retry = row.and_then(|row| row.trim_end_matches(" |").rsplit("| ").next());
        let expected = match kind.retry() {
            Retry::Safe => "safe",
            Retry::Useless => "not unchanged",
            Retry::WithKey => "only with an `Idempotency-Key`",
        };
        assert!(retry.is_some_and(|retry| retry.starts_with(expected)), "{begin} … {expected}: {row:?}");
    }
    for kind in OF_THE_DASHBOARD {
        let named = format!("`{}` ({}", kind.name(), kind.status());
        assert!(page.contains(&named), "{named}");
    }
}
