//! A second listener, whose clients must prove who they are, and what they may do.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::Kafka;
use super::probe::{ask, int, string, take, write};
use crate::authority::Identity;
use crate::error::StackError;

/// CreateAcls, version 1, the newest without tagged fields.
const CREATE_ACLS: [u8; 4] = [0, 30, 0, 1];
const LITERAL: u8 = 3;
const ALLOW: u8 = 3;
const MECHANISM: &str = "SCRAM-SHA-512";

/// A listener for clients that prove who they are, next to the plain one.
#[derive(Clone, Debug, Default)]
pub struct SecureListener {
    /// TLS as this identity; in the clear without it.
    pub identity: Option<Identity>,
    /// Whether clients must show a certificate of the identity's authority.
    pub wants_certificates: bool,
    /// Users and their passwords, by SCRAM-SHA-512. Without users, clients need no password.
    pub users: Vec<(String, String)>,
    /// Whether users may do only what [`Kafka::grant`] grants. Clients on the plain listener may do everything.
    pub with_acls: bool,
}

/// What a user is granted on one topic or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `Read`, `Write` or `Describe`.
    pub operation: String,
    /// `Topic` or `Group`.
    pub resource: String,
    /// The topic or group.
    pub name: String,
}

impl Kafka {
    /// `127.0.0.1:<port>` of the secure listener, if there is one; the same after a restart.
    #[must_use]
    pub fn secure_bootstrap(&self) -> Option<String> {
        Some(format!("127.0.0.1:{}", self.member.ports.secure?))
    }

    /// Grants this to a user.
    ///
    /// # Errors
    /// The broker cannot be reached, or has no ACLs.
    pub async fn grant(&self, user: &str, grants: &[Grant]) -> Result<(), StackError> {
        let failed = |source| StackError::Grant { user: user.to_owned(), source };
        let body = request(user, grants).map_err(failed)?;
        let answer = ask(self.member.ports.broker, CREATE_ACLS, &body).await.map_err(failed)?;
        if is_granted(&answer) == Some(true) {
            return Ok(());
        }
        Err(failed(io::Error::other(String::from_utf8_lossy(&answer).into_owned())))
    }
}

impl SecureListener {
    pub(super) fn protocol(&self) -> &'static str {
        match (self.identity.is_some(), self.users.is_empty()) {
            (true, false) => "SASL_SSL",
            (true, true) => "SSL",
            (false, false) => "SASL_PLAINTEXT",
            (false, true) => "PLAINTEXT",
        }
    }

    /// Arguments of the command that formats the storage.
    pub(super) fn format_arguments(&self) -> Vec<String> {
        let user = |(name, password): &(String, String)| {
            ["--add-scram".to_owned(), format!("{MECHANISM}=[name={name},password={password}]")]
        };
        self.users.iter().flat_map(user).collect()
    }

    /// What it adds to `server.properties`.
    pub(super) fn properties(&self, kafka: &Kafka) -> Result<BTreeMap<String, String>, StackError> {
        let mut properties = BTreeMap::new();
        let mut set = |name: &str, value: String| properties.insert(name.to_owned(), value);
        if !self.users.is_empty() {
            set("sasl.enabled.mechanisms", MECHANISM.to_owned());
            let login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
            set("listener.name.secure.scram-sha-512.sasl.jaas.config", login.to_owned());
        }
        if let Some(identity) = &self.identity {
            let store = kafka.server.write("keystore.pem", &keystore(identity)?)?;
            set("ssl.keystore.type", "PEM".to_owned());
            set("ssl.keystore.location", store.display().to_string());
            set("ssl.truststore.type", "PEM".to_owned());
            set("ssl.truststore.location", identity.ca.display().to_string());
            set("ssl.client.auth", if self.wants_certificates { "required" } else { "none" }.to_owned());
        }
        if self.with_acls {
            let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
            set("authorizer.class.name", authorizer.to_owned());
            set("super.users", "User:ANONYMOUS".to_owned());
        }
        Ok(properties)
    }
}

/// Key and certificate in one file.
fn keystore(identity: &Identity) -> Result<String, StackError> {
    let read = |path: &std::path::PathBuf| {
        let failed = |source| StackError::File { action: "read", path: path.clone(), source };
        fs::read_to_string(path).map_err(failed)
    };
    Ok(read(&identity.key)? + &read(&identity.certificate)?)
}

fn request(user: &str, grants: &[Grant]) -> io::Result<Vec<u8>> {
    let count = u32::try_from(grants.len()).map_err(io::Error::other)?;
    let mut body = count.to_be_bytes().to_vec();
    for grant in grants {
        body.push(code(&grant.resource, &[("Topic", 2), ("Group", 3)])?);
        write(&mut body, &grant.name)?;
        body.push(LITERAL);
        write(&mut body, &format!("User:{user}"))?;
        write(&mut body, "*")?;
        body.push(code(&grant.operation, &[("Read", 3), ("Write", 4), ("Describe", 8)])?);
        body.push(ALLOW);
    }
    Ok(body)
}

/// `correlation_id throttle_time_ms [error_code error_message]`; `None` if it is cut short.
fn is_granted(mut answer: &[u8]) -> Option<bool> {
    take(&mut answer, 8)?;
    let mut granted = true;
    for _ in 0..int(&mut answer)? {
        granted &= take(&mut answer, 2)? == [0, 0];
        string(&mut answer)?;
    }
    Some(granted)
}

fn code(name: &str, codes: &[(&str, u8)]) -> io::Result<u8> {
    let found = codes.iter().find(|(known, _)| *known == name);
    found.map(|(_, code)| *code).ok_or_else(|| io::Error::other(format!("no such word: {name}")))
}
