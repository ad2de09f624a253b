use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use openssl::rand::rand_bytes;

use crate::error::StackError;
use crate::private_file::write_private;

/// Of bcrypt: some 50 ms for a guess.
const COST: u32 = 10;
const RANDOM_BYTES: usize = 24;

/// A password that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password that somebody chose.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The one in the file, or a new one that is in the file afterwards.
    pub(super) fn kept_in(file: &Path) -> Result<Self, StackError> {
        match fs::read_to_string(file) {
            Ok(text) => Ok(Self(text.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let password = Self::random()?;
                write_private(file, password.0.as_bytes())?;
                Ok(password)
            }
            Err(source) => Err(StackError::File { action: "read", path: file.to_owned(), source }),
        }
    }

    /// One line, as htpasswd(1) writes it with bcrypt: the only hash that both programs take.
    pub(super) fn write_htpasswd(&self, file: &Path, username: &str) -> Result<(), StackError> {
        let hash = bcrypt::hash(&self.0, COST).map_err(StackError::Password)?;
        write_private(file, format!("{username}:{hash}\n").as_bytes())
    }

    fn random() -> Result<Self, StackError> {
        let mut bytes = [0; RANDOM_BYTES];
        let failed = |source| StackError::Certificate { action: "make a password", source };
        rand_bytes(&mut bytes).map_err(failed)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        let first = Password::kept_in(&file).expect("made");
        assert_eq!(first.expose().len(), 2 * RANDOM_BYTES);
        assert_eq!(Password::kept_in(&file).expect("read"), first);
        let mode = fs::metadata(&file).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{first:?}"), "***");
    }
}
