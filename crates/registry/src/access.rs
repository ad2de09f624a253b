use std::path::{Path, PathBuf};

use blackfriday_telemetry::access::{Secret, SettingFile};
use oci_client::secrets::RegistryAuth;

use crate::client::{Access, RegistryClient};
use crate::error::RegistryError;

const PASSWORD: &str = "BLACKFRIDAY_REGISTRY_PASSWORD";

/// How a registry is reached, and by which user.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Registry")]
pub struct AccessArguments {
    /// Certificates, in PEM, of the authorities that may vouch for the registry, instead of the machine's own.
    #[arg(long, visible_alias = "registry-ca", env = "BLACKFRIDAY_REGISTRY_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// User of the registry; anonymous without it.
    #[arg(long, env = "BLACKFRIDAY_REGISTRY_USERNAME", value_name = "NAME")]
    username: Option<String>,
    /// File with the user's password; without it the password is taken from the variable `BLACKFRIDAY_REGISTRY_PASSWORD`.
    #[arg(long, env = "BLACKFRIDAY_REGISTRY_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Speak to the registry without TLS: the password can be read and the answers changed on the way.
    #[arg(long, conflicts_with = "ca")]
    plain_http: bool,
}

impl AccessArguments {
    /// A client of the registry; nothing is sent yet.
    ///
    /// # Errors
    /// The certificates or the password cannot be read.
    pub fn client(&self) -> Result<RegistryClient, RegistryError> {
        let read = |path| SettingFile::new("--ca", path).read();
        let ca = self.ca.as_deref().map(read).transpose()?;
        RegistryClient::new(&Access { ca, auth: self.auth()?, plain_http: self.plain_http })
    }

    /// The user, the password's file and the authorities' certificates: what a cluster has to know to pull.
    pub fn parts(&self) -> (Option<&str>, Option<&Path>, Option<&Path>) {
        (self.username.as_deref(), self.password_file.as_deref(), self.ca.as_deref())
    }

    fn auth(&self) -> Result<RegistryAuth, RegistryError> {
        let Some(username) = self.username.clone() else { return Ok(RegistryAuth::Anonymous) };
        let password = match &self.password_file {
            Some(path) => SettingFile::new("--password-file", path).secret()?,
            None => password_in_environment()?,
        };
        Ok(RegistryAuth::Basic(username, password.expose().to_owned()))
    }
}

fn password_in_environment() -> Result<Secret, RegistryError> {
    let text = std::env::var(PASSWORD).ok().filter(|text| !text.is_empty());
    let text = text.ok_or(RegistryError::NoPassword { variable: PASSWORD })?;
    Ok(text.parse().expect("any text is a secret"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn auth(file: PathBuf) -> Result<RegistryAuth, RegistryError> {
        let arguments = AccessArguments {
            username: Some("me".to_owned()),
            password_file: Some(file),
            ..Default::default()
        };
        arguments.auth()
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        fs::write(&file, "hunter2\n").expect("written");
        let expected = RegistryAuth::Basic("me".to_owned(), "hunter2".to_owned());
        assert_eq!(auth(file.clone()).expect("read"), expected);
        fs::write(&file, "\n").expect("written");
        for wrong in [file, folder.path().join("missing")] {
            let error = auth(wrong).expect_err("no password");
            assert_eq!(error.exit_code(), 64, "{error:#}");
        }
    }
}
