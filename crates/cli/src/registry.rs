//! A registry on this machine, for images and workloads.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use blackfriday_service::Shutdown;
use blackfriday_stack::{OciRegistry, Password, RegistryOptions};
use blackfriday_telemetry::access::{Secret, SettingFile};
use blackfriday_terminal::failure::{Unavailable, Usage};
use blackfriday_terminal::output;

use crate::data_folder::data_folder;

/// Runs a registry on this machine, until Ctrl-C.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday registry\n  \
    blackfriday registry --listen 0.0.0.0:5000 --host host.minikube.internal --directory /srv/registry\n\n\
    It is Zot if BLACKFRIDAY_ZOT or PATH has it, else docker-registry. It speaks TLS by a\n\
    certificate authority of its own, made at the first start, and lets no client in without the\n\
    password. docs/registry.md says how a cluster trusts it.\n\n\
    Exit code 0 if a signal ended it, 69 if it is missing, does not start, or ends by itself.")]
pub struct Arguments {
    /// Where authority, password and data are kept; `blackfriday/registry` in the user's data directory without it.
    #[arg(long, env = "BLACKFRIDAY_REGISTRY_DIRECTORY", value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Address and port to listen on. On 0.0.0.0 others can reach it, too.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "BLACKFRIDAY_REGISTRY_LISTEN",
        default_value = "127.0.0.1:5000"
    )]
    listen: SocketAddr,
    /// A name or address by which clients reach it, in addition to localhost; more than once if there are more.
    #[arg(long, env = "BLACKFRIDAY_REGISTRY_HOSTS", value_delimiter = ',', value_name = "NAME")]
    host: Vec<String>,
    /// Its one user.
    #[arg(long, value_name = "NAME", env = "BLACKFRIDAY_REGISTRY_USERNAME", default_value = "blackfriday",
          value_parser = username)]
    username: String,
    /// File with the user's password; without it one is made at the first start and kept in the directory.
    #[arg(long, env = "BLACKFRIDAY_REGISTRY_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let password = arguments.password_file.as_deref().map(password_in).transpose()?;
    let options = RegistryOptions {
        folder: Some(arguments.directory.map_or_else(|| data_folder("registry", "--directory"), Ok)?),
        listen: Some(arguments.listen),
        hosts: arguments.host,
        username: arguments.username,
        password: password.map(|password| Password::new(password.expose().to_owned())),
        plain_http: false,
    };
    let registry = tokio::select! {
        registry = OciRegistry::start_with(options) => registry?,
        () = shutdown.begun() => return Ok(true),
    };
    let password_file = arguments.password_file.unwrap_or_else(|| registry.password_file());
    explain(&registry, &password_file);
    tokio::select! {
        () = shutdown.begun() => {}
        ended = registry.ended() => {
            let ended = ended?;
            return Err(Unavailable(format!("the registry ended by itself, with {ended}")).into());
        }
    }
    registry.stop().await?;
    Ok(true)
}

fn password_in(path: &Path) -> Result<Secret> {
    let secret = SettingFile::new("--password-file", path).secret();
    secret.map_err(|error| Usage(format!("{error}: {}", error.source)).into())
}

fn explain(registry: &OciRegistry, password_file: &Path) {
    let (name, host, username) = (registry.program().name(), registry.host(), registry.username());
    let ca = registry.ca().expect("it was started with TLS").display();
    let password_file = password_file.display();
    for line in [
        format!("{name} listens at https://{host}"),
        format!("  authority  {ca}"),
        format!("  user       {username}"),
        format!("  password   in {password_file}"),
        "for blackfriday's other commands:".to_owned(),
        format!("  export BLACKFRIDAY_REGISTRY_CA={ca}"),
        format!("  export BLACKFRIDAY_REGISTRY_USERNAME={username}"),
        format!("  export BLACKFRIDAY_REGISTRY_PASSWORD_FILE={password_file}"),
    ] {
        output::line(line);
    }
}

/// What a line of an htpasswd file and basic authentication can hold.
fn username(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != ':') {
        return Ok(text.to_owned());
    }
    Err("must be visible ASCII without a colon".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_fits_into_its_line() {
        assert!(username("blackfriday").is_ok());
        for wrong in ["", "a:b", "a b", "a\nb:c"] {
            assert!(username(wrong).is_err(), "{wrong:?}");
        }
    }
}
