//! The page of faults has a row for every kind, and for nothing else.

use blackfriday_lab::chaos::Kind;

#[test]
fn the_page_has_every_kind() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md");
    let page = std::fs::read_to_string(path).expect("docs/faults.md is there");
    let (_, section) = page.split_once("\n## The kinds\n").expect("the page has a section of the kinds");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let rows: Vec<_> = rows.collect();
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(rows, kinds);
}
