//! How we log in to Kafka: TLS by certificates in PEM, users by SCRAM-SHA-512.
//!
//! Secrets and files are read when the process starts; a changed one is used after a restart. The flags are not those of the
//! store or the writers under another name: here the protocol says what is needed, and librdkafka takes paths, which are
//! tried while the command line is read.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use blackfriday_telemetry::access::Secret;
use rdkafka::ClientConfig;

/// How we log in to Kafka.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaSecurity {
    /// What is spoken with the brokers: in the clear or over TLS, and with a user or without.
    #[arg(
        id = "kafka_security_protocol",
        long = "kafka-security-protocol",
        value_name = "PROTOCOL",
        env = "BLACKFRIDAY_KAFKA_SECURITY_PROTOCOL",
        value_enum,
        default_value_t = SecurityProtocol::Plaintext
    )]
    pub protocol: SecurityProtocol,
    /// The user, with a `sasl` protocol.
    #[arg(
        id = "kafka_username",
        long = "kafka-username",
        value_name = "NAME",
        env = "BLACKFRIDAY_KAFKA_USERNAME",
        required_if_eq_any = [("kafka_security_protocol", "sasl_plaintext"), ("kafka_security_protocol", "sasl_ssl")]
    )]
    pub username: Option<String>,
    /// The user's password. Better the variable or a file: everybody on the machine sees arguments.
    #[arg(
        id = "kafka_password",
        long = "kafka-password",
        value_name = "PASSWORD",
        env = "BLACKFRIDAY_KAFKA_PASSWORD",
        hide_env_values = true,
        conflicts_with = "kafka_password_file"
    )]
    pub password: Option<Secret>,
    /// A file whose first line is the user's password.
    #[arg(
        id = "kafka_password_file",
        long = "kafka-password-file",
        value_name = "FILE",
        env = "BLACKFRIDAY_KAFKA_PASSWORD_FILE",
        value_parser = password_in_file
    )]
    pub password_file: Option<Secret>,
    /// Certificates, in PEM, of the authorities that may vouch for the brokers; without it the system's.
    #[arg(id = "kafka_ca", long = "kafka-ca", value_name = "FILE", env = "BLACKFRIDAY_KAFKA_CA",
          value_parser = readable)]
    pub ca: Option<PathBuf>,
    /// Our own certificate, in PEM.
    #[arg(
        id = "kafka_certificate",
        long = "kafka-certificate",
        value_name = "FILE",
        env = "BLACKFRIDAY_KAFKA_CERTIFICATE",
        requires = "kafka_key",
        value_parser = readable
    )]
    pub certificate: Option<PathBuf>,
    /// The key of our certificate, in PEM.
    #[arg(
        id = "kafka_key",
        long = "kafka-key",
        value_name = "FILE",
        env = "BLACKFRIDAY_KAFKA_KEY",
        requires = "kafka_certificate",
        value_parser = readable
    )]
    pub key: Option<PathBuf>,
}

/// What is spoken with the brokers.
#[derive(clap::ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[value(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// In the clear, without a user.
    #[default]
    Plaintext,
    /// TLS; the user, if any, is our certificate's.
    Ssl,
    /// In the clear, with a user.
    SaslPlaintext,
    /// TLS, with a user.
    SaslSsl,
}

impl KafkaSecurity {
    pub(super) fn apply(&self, config: &mut ClientConfig) {
        config.set("security.protocol", self.protocol.name());
        if self.protocol.has_user() {
            config.set("sasl.mechanism", "SCRAM-SHA-512");
            self.username.iter().for_each(|username| {
                config.set("sasl.username", username);
            });
            self.password_file.iter().chain(&self.password).take(1).for_each(|password| {
                config.set("sasl.password", password.expose());
            });
        }
        if self.protocol.has_tls() {
            for (name, path) in [
                ("ssl.ca.location", &self.ca),
                ("ssl.certificate.location", &self.certificate),
                ("ssl.key.location", &self.key),
            ] {
                path.iter().for_each(|path| {
                    config.set(name, path.to_string_lossy());
                });
            }
        }
    }
}

impl SecurityProtocol {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn has_user(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
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

    use super::*;

    #[derive(clap::Parser, Debug)]
    struct Arguments {
        #[command(flatten)]
        security: KafkaSecurity,
    }

    #[test]
    fn secrets_are_not_printed_and_wrong_settings_are_named() {
        let with = |more: &[&str]| Arguments::try_parse_from(["program"].iter().chain(more));
        let user = ["--kafka-security-protocol", "sasl_ssl", "--kafka-username", "u"];
        let arguments = with(&[&user[..], &["--kafka-password", "hunter2"]].concat()).expect("right");
        assert!(!format!("{arguments:?}").contains("hunter2"), "{arguments:?}");
        let mut config = ClientConfig::new();
        arguments.security.apply(&mut config);
        assert_eq!(
            (config.get("security.protocol"), config.get("sasl.password")),
            (Some("sasl_ssl"), Some("hunter2"))
        );

        for (wrong, named) in [
            (["--kafka-security-protocol", "sasl_ssl"], "--kafka-username"),
            (["--kafka-security-protocol", "tls"], "sasl_plaintext"),
            (["--kafka-password-file", "/nonexistent"], "--kafka-password-file"),
            (["--kafka-ca", "/nonexistent"], "--kafka-ca"),
            (["--kafka-certificate", "/dev/null"], "--kafka-key"),
        ] {
            let error = with(&wrong).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
