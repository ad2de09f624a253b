//! The certificates of one registry. Its authority is made once for a folder, its own certificate at each start, for the
//! names of that start.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::certificates::{authority, failed, issue, read, write};
use crate::error::StackError;

/// The files that a registry and its clients are given.
#[derive(Debug)]
pub(super) struct Certificates {
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Certificates {
    pub(super) fn issue(folder: &Path, listen: SocketAddr, hosts: &[String]) -> Result<Self, StackError> {
        let at = |name: &str| folder.join(name);
        let (ca_file, ca_key_file) = (at("ca.crt"), at("ca.key"));
        let ca = match (fs::read(&ca_file), fs::read(&ca_key_file)) {
            (Ok(certificate), Ok(key)) => read(&certificate, &key).map_err(failed("read the authority"))?,
            _ => {
                let ca = authority("blackfriday registry authority").map_err(failed("make an authority"))?;
                write(&ca, &ca_file, &ca_key_file)?;
                ca
            }
        };
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend((!listen.ip().is_unspecified()).then(|| listen.ip().to_string()));
        names.extend_from_slice(hosts);
        names.sort();
        names.dedup();
        let server = issue(&ca, "blackfriday registry", &names).map_err(failed("make a certificate"))?;
        let (certificate, key) = (at("server.crt"), at("server.key"));
        write(&server, &certificate, &key)?;
        Ok(Self { ca: ca_file, certificate, key })
    }
}

#[cfg(test)]
mod tests {
    use openssl::x509::X509;

    use super::*;

    #[test]
    fn the_authority_stays_and_vouches_for_the_names_of_each_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let listen = SocketAddr::from(([0, 0, 0, 0], 5000));
        let issue = |hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
            let files = Certificates::issue(folder.path(), listen, &hosts).expect("issued");
            let ca = X509::from_pem(&fs::read(files.ca).expect("read")).expect("PEM");
            let server = X509::from_pem(&fs::read(files.certificate).expect("read")).expect("PEM");
            assert!(server.verify(&ca.public_key().expect("a key")).expect("verified"));
            let names = server.subject_alt_names().expect("names");
            let dns: Vec<_> = names.iter().filter_map(|name| name.dnsname().map(str::to_owned)).collect();
            (ca.to_pem().expect("PEM"), dns, names.iter().filter(|name| name.ipaddress().is_some()).count())
        };
        let (ca, names, addresses) = issue(&[]);
        assert_eq!((names, addresses), (vec!["localhost".to_owned()], 2));
        let (same, names, addresses) = issue(&["host.minikube.internal", "192.168.49.1"]);
        assert_eq!(ca, same);
        assert_eq!((names.len(), addresses), (2, 3));
    }
}
