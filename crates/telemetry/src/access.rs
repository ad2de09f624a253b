//! What settings say about access: secrets, and files with certificates, keys and passwords. One way of reading them for
//! every process and every server.
//!
//! Invariant: a secret is never printed, and an error about a file names the setting that names the file.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The first line of a file.
    ///
    /// # Errors
    /// The file cannot be read, or its first line is empty.
    pub fn in_file(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let line = text.lines().next().filter(|line| !line.is_empty());
        let empty = || io::Error::new(io::ErrorKind::InvalidData, "the first line is empty");
        line.map(|line| Self(line.to_owned())).ok_or_else(empty)
    }

    /// The text itself. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A file and the setting that names it.
#[derive(Debug, Clone, Copy)]
pub struct SettingFile<'a> {
    /// The setting, as it is written on the command line.
    pub option: &'static str,
    /// The file.
    pub path: &'a Path,
}

/// The file of a setting cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}, the file of {option}", path.display())]
pub struct FileError {
    /// The setting.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl<'a> SettingFile<'a> {
    /// The file at `path`, which `option` names.
    pub fn new(option: &'static str, path: &'a Path) -> Self {
        Self { option, path }
    }

    /// All of it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(self) -> Result<Vec<u8>, FileError> {
        fs::read(self.path).map_err(|source| self.refused(source))
    }

    /// Its first line, which is a secret.
    ///
    /// # Errors
    /// It cannot be read, or the line is empty.
    pub fn secret(self) -> Result<Secret, FileError> {
        Secret::in_file(self.path).map_err(|source| self.refused(source))
    }

    /// The error that it cannot be used, and why.
    pub fn refused(self, source: impl Into<io::Error>) -> FileError {
        FileError { option: self.option, path: self.path.to_owned(), source: source.into() }
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_first_line_of_its_file_and_is_never_printed() {
        let folder = std::env::temp_dir().join(format!("blackfriday-access-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("password");
        fs::write(&path, "hunter2\nand more\n").expect("written");
        let secret = SettingFile::new("--password-file", &path).secret().expect("a line");
        assert_eq!((secret.expose(), format!("{secret:?}")), ("hunter2", "***".to_owned()));
        fs::write(&path, "\nhunter2").expect("written");
        let empty = SettingFile::new("--password-file", &path).secret().expect_err("no line");
        assert_eq!(empty.to_string(), format!("cannot use {}, the file of --password-file", path.display()));
        fs::remove_dir_all(&folder).expect("removed");
    }
}
