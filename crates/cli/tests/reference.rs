//! The README's table of environment variables is the one that the commands define.

const BEGIN: &str = "<!-- env:begin -->\n";
const END: &str = "<!-- env:end -->";

#[test]
fn the_readme_has_the_table_that_the_commands_define() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(path).expect("README.md is there");
    let (_, rest) = readme.split_once(BEGIN).expect("the README has a line <!-- env:begin -->");
    let (found, _) = rest.split_once(END).expect("the README has a line <!-- env:end -->");
    let expected = blackfriday_cli::reference_table();
    assert!(found == expected, "replace the table with the output of `./dev run reference`:\n{expected}");
}
