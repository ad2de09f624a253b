//! A Kustomize component that sets images to digests: <https://kubectl.docs.kubernetes.io/references/kustomize/>.
//!
//! Several pushes write one file. It is read as what this module wrote, and nothing else: a file of somebody else's is
//! refused, not rewritten.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::file;

const FILE: &str = "kustomization.yaml";
const HEAD: &str = "# Written by `blackfriday image push`: what the images are, by digest.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
images:
";

/// An image in the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) new_name: String,
    pub(crate) digest: String,
}

/// Adds the image, or puts it in place of the one of the same name.
pub(crate) fn write(folder: &Path, entry: Entry) -> Result<PathBuf> {
    let path = folder.join(FILE);
    let mut entries = match fs::read_to_string(&path) {
        Ok(text) => read(&text).with_context(|| {
            Usage(format!(
                "{} was not written by this command: remove it, or name another folder",
                path.display()
            ))
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).context(Usage(format!("read {}", path.display()))),
    };
    entries.insert(entry.name.clone(), entry);
    let failed = || Usage(format!("write {}", path.display()));
    fs::create_dir_all(folder).with_context(failed)?;
    file::replace(&path, &text(&entries)).with_context(failed)?;
    Ok(path)
}

fn text(entries: &BTreeMap<String, Entry>) -> String {
    let entry = |Entry { name, new_name, digest }: &Entry| {
        format!("  - name: {name:?}\n    newName: {new_name:?}\n    digest: {digest}\n")
    };
    HEAD.to_owned() + &entries.values().map(entry).collect::<String>()
}

fn read(text: &str) -> Option<BTreeMap<String, Entry>> {
    let mut lines = text.strip_prefix(HEAD)?.lines();
    let mut entries = BTreeMap::new();
    while let Some(line) = lines.next() {
        let quoted = |text: &str| Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned());
        let name = quoted(line.strip_prefix("  - name: ")?)?;
        let new_name = quoted(lines.next()?.strip_prefix("    newName: ")?)?;
        let digest = lines.next()?.strip_prefix("    digest: ")?.to_owned();
        entries.insert(name.clone(), Entry { name, new_name, digest });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, digest: &str) -> Entry {
        Entry { name: name.to_owned(), new_name: format!("h:1/{name}"), digest: format!("sha256:{digest}") }
    }

    #[test]
    fn images_are_added_and_replaced_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("images");
        for one in [entry("b", "1"), entry("a", "2"), entry("b", "3")] {
            write(&folder, one).expect("written");
        }
        let text = fs::read_to_string(folder.join(FILE)).expect("read");
        let expected = format!(
            "{HEAD}  - name: \"a\"\n    newName: \"h:1/a\"\n    digest: sha256:2\n  \
            - name: \"b\"\n    newName: \"h:1/b\"\n    digest: sha256:3\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        for theirs in ["kind: Kustomization\n", &format!("{HEAD}  - name: a\n")] {
            fs::write(folder.path().join(FILE), theirs).expect("written");
            let error = write(folder.path(), entry("a", "1")).expect_err("refused");
            assert_eq!(blackfriday_terminal::failure::exit_code(&error, &[]), 64, "{error:#}");
            assert_eq!(fs::read_to_string(folder.path().join(FILE)).expect("read"), theirs);
        }
    }
}
