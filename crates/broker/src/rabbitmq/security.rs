//! How we log in to RabbitMQ: a user and a password by SASL's `PLAIN`, over TLS where the network is not trusted.
//!
//! Secrets and files are read when the process starts; a changed one is used after a restart.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use blackfriday_telemetry::access::Secret;
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVersion};

/// How we log in to RabbitMQ.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "RabbitMQ")]
pub struct RabbitMqSecurity {
    /// The user.
    #[arg(
        id = "rabbitmq_username",
        long = "rabbitmq-username",
        value_name = "NAME",
        env = "BLACKFRIDAY_RABBITMQ_USERNAME",
        default_value = "guest"
    )]
    pub username: String,
    /// The user's password; without one, `guest`. Better the variable or a file: everybody on the machine sees arguments.
    #[arg(
        id = "rabbitmq_password",
        long = "rabbitmq-password",
        value_name = "PASSWORD",
        env = "BLACKFRIDAY_RABBITMQ_PASSWORD",
        hide_env_values = true,
        conflicts_with = "rabbitmq_password_file"
    )]
    pub password: Option<Secret>,
    /// A file whose first line is the user's password.
    #[arg(
        id = "rabbitmq_password_file",
        long = "rabbitmq-password-file",
        value_name = "FILE",
        env = "BLACKFRIDAY_RABBITMQ_PASSWORD_FILE",
        value_parser = password_in_file
    )]
    pub password_file: Option<Secret>,
    /// Speak TLS.
    #[arg(id = "rabbitmq_tls", long = "rabbitmq-tls", env = "BLACKFRIDAY_RABBITMQ_TLS")]
    pub tls: bool,
    /// Certificates, in PEM, of the authorities that may vouch for the servers; without it the system's.
    #[arg(
        id = "rabbitmq_ca",
        long = "rabbitmq-ca",
        value_name = "FILE",
        env = "BLACKFRIDAY_RABBITMQ_CA",
        requires = "rabbitmq_tls",
        value_parser = readable
    )]
    pub ca: Option<PathBuf>,
    /// Our own certificate, in PEM.
    #[arg(
        id = "rabbitmq_certificate",
        long = "rabbitmq-certificate",
        value_name = "FILE",
        env = "BLACKFRIDAY_RABBITMQ_CERTIFICATE",
        requires = "rabbitmq_key",
        value_parser = readable
    )]
    pub certificate: Option<PathBuf>,
    /// The key of our certificate, in PEM.
    #[arg(
        id = "rabbitmq_key",
        long = "rabbitmq-key",
        value_name = "FILE",
        env = "BLACKFRIDAY_RABBITMQ_KEY",
        requires = "rabbitmq_certificate",
        value_parser = readable
    )]
    pub key: Option<PathBuf>,
}

impl Default for RabbitMqSecurity {
    fn default() -> Self {
        let (username, ca) = ("guest".to_owned(), None);
        Self { username, password: None, password_file: None, tls: false, ca, certificate: None, key: None }
    }
}

impl RabbitMqSecurity {
    pub(super) fn password(&self) -> &str {
        self.password_file.as_ref().or(self.password.as_ref()).map_or("guest", Secret::expose)
    }

    /// What TLS connections are made with; none where TLS is not spoken.
    ///
    /// # Errors
    /// A file is not in PEM, or the key is not the certificate's.
    pub(super) fn connector(&self) -> Result<Option<SslConnector>, ErrorStack> {
        if !self.tls {
            return Ok(None);
        }
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        if let Some(ca) = &self.ca {
            // Not the builder's defaults, which trust the system's authorities, too.
            builder.set_cert_store(openssl::x509::store::X509StoreBuilder::new()?.build());
            builder.set_ca_file(ca)?;
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            builder.set_certificate_chain_file(certificate)?;
            builder.set_private_key_file(key, SslFiletype::PEM)?;
            builder.check_private_key()?;
        }
        Ok(Some(builder.build()))
    }
}

fn password_in_file(path: &str) -> io::Result<Secret> {
    Secret::in_file(Path::new(path))
}

fn readable(path: &str) -> io::Result<PathBuf> {
    File::open(path).map(|_| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::rabbitmq::RabbitMqConfig;

    #[derive(clap::Parser, Debug)]
    struct Arguments {
        #[command(flatten)]
        rabbitmq: RabbitMqConfig,
    }

    #[test]
    fn secrets_are_not_printed_and_wrong_settings_are_named() {
        let with = |more: &[&str]| Arguments::try_parse_from(["program"].iter().chain(more));
        let plain = with(&[]).expect("defaults").rabbitmq;
        assert_eq!(
            (plain.addresses(), plain.security.password()),
            (vec!["127.0.0.1:5552".to_owned()], "guest")
        );
        let arguments =
            with(&["--rabbitmq-password", "hunter2", "--rabbitmq-servers", "a:1, b:2,"]).expect("right");
        assert!(!format!("{arguments:?}").contains("hunter2"), "{arguments:?}");
        assert_eq!(arguments.rabbitmq.security.password(), "hunter2");
        assert_eq!(arguments.rabbitmq.addresses(), ["a:1", "b:2"]);

        for (wrong, named) in [
            (["--rabbitmq-password-file", "/nonexistent"], "--rabbitmq-password-file"),
            (["--rabbitmq-ca", "/dev/null"], "--rabbitmq-tls"),
            (["--rabbitmq-certificate", "/dev/null"], "--rabbitmq-key"),
        ] {
            let error = with(&wrong).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
        let tls = with(&["--rabbitmq-tls", "--rabbitmq-ca", "/dev/null"]).expect("right");
        assert!(tls.rabbitmq.security.connector().is_err(), "no certificate in it");
    }
}
