//! `docs/keys.md`: its commands have answers, its types are right, and no key is missing.

use std::fs;
use std::path::Path;

use blackfriday_event::Category;
use blackfriday_stack::ValkeyKind;

use crate::permissions::{apply, count, grant, store};
use crate::setup::{Setup, sale};

on_both! {
    every_key_is_documented_as_it_is,
}

/// A row of one of its tables.
struct Row {
    key: String,
    kind: String,
    command: String,
}

fn every_key_is_documented_as_it_is(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    grant(&setup, "consumer", "");
    let store = store(&setup, "consumer");
    setup.runtime.block_on(count(&store)).expect("counts");
    // The last record of a partition is forgotten when its position is moved, as above.
    setup.runtime.block_on(apply(&store, 2, &[sale(Category::Belleza, "P-3", 3)])).expect("counts on");
    let rows = rows();
    let mut seen = vec![false; rows.len()];
    for key in setup.dump().keys() {
        // The one that says most: `ranking:global` looks like `ranking:<categoria>`, too.
        let row =
            (0..rows.len()).filter(|at| is_like(key, &rows[*at].key)).max_by_key(|at| fixed(&rows[*at].key));
        let row = row.unwrap_or_else(|| panic!("docs/keys.md does not name {key}"));
        assert_eq!(setup.run(&["TYPE", key]).trim(), rows[row].kind, "{key}");
        seen[row] = true;
    }
    for (row, was_seen) in rows.iter().zip(seen) {
        // Those without a command are there only while something is wrong.
        assert_eq!(was_seen, !row.command.is_empty(), "{}", row.key);
        if was_seen {
            let words: Vec<_> = row.command.split_whitespace().collect();
            let answer = setup.run(&words);
            assert!(!matches!(answer.trim(), "" | "0" | "(nil)"), "{}: {answer}", row.command);
        }
    }
}

fn rows() -> Vec<Row> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/keys.md");
    let text = fs::read_to_string(file).expect("the page");
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
        Row { key: cells[1].clone(), kind: cells[2].clone(), command: cells[4].clone() }
    };
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| `")).map(row).collect();
    assert!(rows.len() > 20, "the tables are there");
    rows
}

/// `<…>` stands for anything.
fn is_like(key: &str, pattern: &str) -> bool {
    let mut rest = key;
    for (at, part) in pattern.split('<').enumerate() {
        let fixed = if at == 0 { part } else { part.split_once('>').map_or(part, |(_, fixed)| fixed) };
        let found = if at == 0 { rest.starts_with(fixed).then_some(0) } else { rest.find(fixed) };
        let Some(found) = found else { return false };
        rest = &rest[found + fixed.len()..];
    }
    pattern.ends_with('>') || rest.is_empty()
}

/// How much of a pattern stands for itself.
fn fixed(pattern: &str) -> usize {
    pattern.split('<').map(|part| part.split_once('>').map_or(part, |(_, fixed)| fixed).len()).sum()
}
