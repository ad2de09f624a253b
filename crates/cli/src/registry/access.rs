use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blackfriday_telemetry::access::{Secret, SettingFile};
use blackfriday_workload::{Access, Registry, RegistryAuth};

use crate::failure::Usage;

const PASSWORD: &str = "BLACKFRIDAY_REGISTRY_PASSWORD";

/// How a registry is reached, and who asks.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Registry")]
pub(crate) struct AccessArguments {
    /// Certificates, in PEM, of the authorities that may vouch for the registry, instead of the machine's own.
    #[arg(long, visible_alias = "registry-ca", env = "BLACKFRIDAY_REGISTRY_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// User of the registry; nobody without it.
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
    /// A client of the registry.
    pub(crate) fn client(&self) -> Result<Registry> {
        let ca = self.ca.as_deref().map(certificates).transpose()?;
        Ok(Registry::new(&Access { ca, auth: self.auth()?, plain_http: self.plain_http })?)
    }

    /// The user, the password's file and the authorities' certificates: what a cluster has to know to pull.
    pub(crate) fn parts(&self) -> (Option<&str>, Option<&Path>, Option<&Path>) {
        (self.username.as_deref(), self.password_file.as_deref(), self.ca.as_deref())
    }

    fn auth(&self) -> Result<RegistryAuth> {
        let Some(username) = self.username.clone() else { return Ok(RegistryAuth::Anonymous) };
        let password = match &self.password_file {
            Some(path) => password_in(path)?,
            None => password_in_environment()?,
        };
        Ok(RegistryAuth::Basic(username, password.expose().to_owned()))
    }
}

fn certificates(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| Usage(format!("--ca {}", path.display())))
}

/// The first line of a file.
pub(super) fn password_in(path: &Path) -> Result<Secret> {
    let secret = SettingFile::new("--password-file", path).secret();
    secret.map_err(|error| Usage(format!("{error}: {}", error.source)).into())
}

fn password_in_environment() -> Result<Secret> {
    let missing =
        || Usage(format!("--username needs a password: --password-file, or the variable {PASSWORD}"));
    Ok(std::env::var(PASSWORD).ok().filter(|text| !text.is_empty()).with_context(missing)?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_its_file_and_is_not_printed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        fs::write(&file, "hunter2\n").expect("written");
        let password = password_in(&file).expect("read");
        assert_eq!(password.expose(), "hunter2");
        assert!(!format!("{password:?}").contains("hunter2"));
        fs::write(&file, "\n").expect("written");
        for wrong in [&file, &folder.path().join("missing")] {
            let error = password_in(wrong).expect_err("no password");
            assert_eq!(crate::failure::exit_code(&error), 64, "{error:#}");
        }
    }
}
