//! The folder with a file for each value, and the files that are made of it.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blackfriday_terminal::failure::{FileError, Usage};

/// A value's check: what it is, or what is allowed in its place.
type Check<T> = fn(&str) -> Result<T, &'static str>;

/// A folder in which each file is a value.
pub(crate) struct Files<'a> {
    folder: &'a Path,
}

impl<'a> Files<'a> {
    pub(crate) fn in_folder(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// The one line of a file that must be there.
    pub(crate) fn required<T>(&self, name: &str, check: Check<T>) -> Result<T> {
        self.optional(name, check)?.ok_or_else(|| self.wrong(name, "the file is missing or empty"))
    }

    /// The one line of a file, unless it is missing or empty.
    pub(crate) fn optional<T>(&self, name: &str, check: Check<T>) -> Result<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if line.contains('\n') {
            return Err(self.wrong(name, "one line is wanted"));
        }
        check(line).map(Some).map_err(|allowed| self.wrong(name, allowed))
    }

    /// Each line of a file that is not blank; none if it is missing.
    pub(crate) fn lines<T>(&self, name: &str, check: Check<T>) -> Result<Vec<T>> {
        let text = self.text(name)?.unwrap_or_default();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let checked = lines.map(|(at, line)| {
            check(line).map_err(|allowed| self.wrong(name, &format!("line {}: {allowed}", at + 1)))
        });
        checked.collect()
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        match fs::read_to_string(self.path(name)) {
            Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(self.wrong(name, "text is wanted"))
            }
            Err(error) => {
                Err(error).context(Usage(format!("configuration: read {}", self.path(name).display())))
            }
        }
    }

    fn wrong(&self, name: &str, allowed: &str) -> anyhow::Error {
        Usage(format!("configuration: {}: {allowed}", self.path(name).display())).into()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Puts a file in its place, whole or not at all, readable by nobody else.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    let write = || {
        // Of mode 600 from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok::<_, io::Error>(())
    };
    write().with_context(|| FileError(format!("write {}", path.display())))
}

/// A file that was written before, if it is there.
pub(crate) fn written(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| FileError(format!("read {}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::value::{secret, sentinel, word};
    use blackfriday_terminal::failure::exit_code;

    #[test]
    fn a_value_is_one_line_and_its_newline_does_not_matter() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::in_folder(folder.path());
        for text in ["group", "group\n"] {
            fs::write(folder.path().join("name"), text).expect("written");
            assert_eq!(files.required("name", word).expect("a word"), "group");
        }
        fs::write(folder.path().join("empty"), "").expect("written");
        assert_eq!(files.optional("empty", word).expect("as if missing"), None);
        fs::write(folder.path().join("list"), "a\n\n b\n").expect("written");
        let error = files.lines("list", sentinel).expect_err("a blank before the name").to_string();
        assert!(
            error.ends_with("list: line 3: HOST or HOST:PORT is wanted, with a host name or an IPv4 address"),
            "{error}"
        );
        fs::write(folder.path().join("list"), "a\n \nb:1").expect("written");
        let found: Vec<_> =
            files.lines("list", sentinel).expect("a list").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["a:26379", "b:1"]);
    }

    #[test]
    fn what_is_wrong_is_told_by_file_and_not_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::in_folder(folder.path());
        let hunter = "hunter2hunter2hunter2";
        for text in
            ["", "hunter2", &format!("{hunter}\nuser x"), &format!("{hunter} "), &format!("{hunter}\r\n")]
        {
            fs::write(folder.path().join("password"), text).expect("written");
            let error = files.required("password", secret).expect_err("wrong");
            assert_eq!(exit_code(&error, &[]), 64, "{error:#}");
            let told = format!("{error:#}");
            assert!(told.contains("/password: ") && !told.contains("hunter2"), "{told}");
        }
        fs::write(folder.path().join("password"), b"\xff\xfe").expect("written");
        assert_eq!(exit_code(&files.required("password", secret).expect_err("no text"), &[]), 64);
        assert_eq!(exit_code(&files.required("missing", word).expect_err("missing"), &[]), 64);
        fs::create_dir(folder.path().join("folder")).expect("made");
        assert_eq!(exit_code(&files.optional("folder", word).expect_err("a folder"), &[]), 64);
    }

    #[test]
    fn a_file_is_replaced_and_is_only_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["one\n", "two\n"] {
            write(folder.path(), "valkey.conf", text).expect("written");
            assert_eq!(written(folder.path(), "valkey.conf").expect("read").as_deref(), Some(text));
        }
        let mode = fs::metadata(folder.path().join("valkey.conf")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let missing = folder.path().join("missing");
        let error = write(&missing, "valkey.conf", "").expect_err("no folder");
        assert_eq!(exit_code(&error, &[]), 74, "{error:#}");
        assert!(format!("{error:#}").contains("missing/valkey.conf"), "{error:#}");
    }
}
