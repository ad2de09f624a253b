//! The tables of docs/configuration.md are those that the commands define.

const BEGIN: &str = "<!-- env:begin -->\n";
const END: &str = "<!-- env:end -->";

#[test]
fn the_page_of_the_configuration_has_the_tables_that_the_commands_define() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(path).expect("docs/configuration.md is there");
    let (_, rest) = page.split_once(BEGIN).expect("docs/configuration.md has a line <!-- env:begin -->");
    let (found, _) = rest.split_once(END).expect("docs/configuration.md has a line <!-- env:end -->");
    let expected = blackfriday_cli::reference_table();
    assert!(found == expected, "replace the tables with the output of `./dev run reference`:\n{expected}");
}
