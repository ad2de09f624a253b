//! An OCI registry of its own: Zot, or Debian's `docker-registry` where there is no Zot. For tests on a free loopback
//! port with data that goes away, for `blackfriday registry` with a folder that stays.
//!
//! Both are set up alike: TLS by a certificate authority of their own, one user in an htpasswd file, nothing without the password.

mod certificates;
mod configuration;
mod password;
mod program;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use self::certificates::Certificates;
pub use self::password::Password;
pub use self::program::RegistryProgram;
use crate::error::StackError;
use crate::port::free_port;
use crate::server::{Server, with_free_ports};

const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const PASSWORD_FILE: &str = "password";
const HTPASSWD: &str = "htpasswd";

/// How an [`OciRegistry`] is started.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Where authority, password and data are kept from start to start; without it they are made at the start and removed on drop.
    pub folder: Option<PathBuf>,
    /// Where it listens; on a free port of 127.0.0.1 without it.
    pub listen: Option<SocketAddr>,
    /// Names and addresses by which clients reach it, next to `localhost` and 127.0.0.1: its certificate holds for them, too.
    pub hosts: Vec<String>,
    /// The one user.
    pub username: String,
    /// The user's password; without it the folder's, or a new one.
    pub password: Option<Password>,
    /// No TLS: for tests of clients.
    pub plain_http: bool,
}

/// A running or stopped OCI registry. Dropping it kills it, and removes what it keeps unless a folder was given.
#[derive(Debug)]
pub struct OciRegistry {
    server: Server,
    program: RegistryProgram,
    listen: SocketAddr,
    certificates: Option<Certificates>,
    username: String,
    password: Password,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            folder: None,
            listen: None,
            hosts: Vec::new(),
            username: "blackfriday".to_owned(),
            password: None,
            plain_http: false,
        }
    }
}

impl OciRegistry {
    /// Starts a registry with the default options and waits until it answers.
    ///
    /// # Errors
    /// As [`OciRegistry::start_with`].
    pub async fn start() -> Result<Self, StackError> {
        Self::start_with(RegistryOptions::default()).await
    }

    /// Starts a registry and waits, at most 30 s, until it answers.
    ///
    /// # Errors
    /// Neither `zot` nor `docker-registry` is on this machine, another process uses the folder, a file cannot be
    /// written, or the program does not start.
    pub async fn start_with(options: RegistryOptions) -> Result<Self, StackError> {
        let program = RegistryProgram::find()?;
        if let Some(listen) = options.listen {
            return Self::start_at(program, listen, &options).await;
        }
        with_free_ports(async || {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
            Self::start_at(program.clone(), listen, &options).await
        })
        .await
    }

    /// `host:port` for references by clients on this machine, the same after a restart.
    #[must_use]
    pub fn host(&self) -> String {
        let ip = self.listen.ip();
        let ip = if ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { ip };
        SocketAddr::new(ip, self.listen.port()).to_string()
    }

    /// The certificate, in PEM, of the authority that vouches for it; `None` with plain HTTP.
    #[must_use]
    pub fn ca(&self) -> Option<&Path> {
        self.certificates.as_ref().map(|certificates| certificates.ca.as_path())
    }

    /// The one user.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The user's password.
    #[must_use]
    pub fn password(&self) -> &Password {
        &self.password
    }

    /// The file with the password, readable by its owner only. It is there unless a password was given.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.server.folder().join(PASSWORD_FILE)
    }

    /// What runs.
    #[must_use]
    pub fn program(&self) -> &RegistryProgram {
        &self.program
    }

    /// Everything that it has logged since the last start.
    ///
    /// # Errors
    /// It is stopped, or the log cannot be read.
    pub fn log(&self) -> Result<String, StackError> {
        let process = self.server.running()?;
        let failed = |source| StackError::File { action: "read", path: process.log().to_owned(), source };
        std::fs::read_to_string(process.log()).map_err(failed)
    }

    /// Waits for as long as it runs.
    ///
    /// # Errors
    /// It is stopped.
    pub async fn ended(&self) -> Result<ExitStatus, StackError> {
        Ok(self.server.running()?.ended().await)
    }

    /// Stops it with SIGTERM.
    ///
    /// # Errors
    /// It took more than 20 s; it is killed then.
    pub async fn stop(&self) -> Result<(), StackError> {
        self.server.stop(STOP_LIMIT).await
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// It is stopped already.
    pub fn kill(&self) -> Result<(), StackError> {
        self.server.running()?;
        self.server.kill();
        Ok(())
    }

    /// Starts it again on the same port and data; one that runs is stopped first.
    ///
    /// # Errors
    /// It does not start, for instance because the port was taken meanwhile.
    pub async fn restart(&self) -> Result<(), StackError> {
        self.stop().await?;
        self.launch().await
    }

    /// The folder with what was pushed, in the layout of [`OciRegistry::program`].
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.server.data()
    }

    async fn start_at(
        program: RegistryProgram,
        listen: SocketAddr,
        options: &RegistryOptions,
    ) -> Result<Self, StackError> {
        let server = match &options.folder {
            Some(folder) => Server::in_folder("registry", folder)?,
            None => Server::new("registry")?,
        };
        let folder = server.folder();
        let password = match &options.password {
            Some(password) => password.clone(),
            None => Password::kept_in(&folder.join(PASSWORD_FILE))?,
        };
        password.write_htpasswd(&folder.join(HTPASSWD), &options.username)?;
        let certificates = (!options.plain_http).then(|| Certificates::issue(folder, listen, &options.hosts));
        let certificates = certificates.transpose()?;
        let username = options.username.clone();
        let registry = Self { server, program, listen, certificates, username, password };
        registry.launch().await?;
        Ok(registry)
    }

    async fn launch(&self) -> Result<(), StackError> {
        self.server.make_data()?;
        let file = self.server.write("registry.json", &self.configuration())?;
        let mut command = Command::new(self.program.path());
        command.arg("serve").arg(file);
        // They would win over the file.
        std::env::vars_os().map(|(name, _)| name).filter(|name| is_of_registry(name)).for_each(|name| {
            command.env_remove(name);
        });
        let probe = wire::Probe::new(self.host(), self.ca().map(Path::to_owned));
        self.server.launch(command, READY_LIMIT, async |_| probe.answers().await).await
    }

    fn configuration(&self) -> String {
        let data = self.server.data();
        let htpasswd = self.server.folder().join(HTPASSWD);
        let settings = configuration::Settings {
            listen: self.listen,
            data: &data,
            htpasswd: &htpasswd,
            tls: self
                .certificates
                .as_ref()
                .map(|certificates| (&*certificates.certificate, &*certificates.key)),
        };
        match self.program {
            RegistryProgram::Zot(_) => configuration::zot(&settings),
            RegistryProgram::DockerRegistry(_) => configuration::docker_registry(&settings),
        }
    }
}

fn is_of_registry(variable: &std::ffi::OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("REGISTRY_") || name.starts_with("ZOT_")
}
