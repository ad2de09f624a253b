//! A certificate authority for one registry. It is made once for a folder; the registry's own certificate at each start,
//! for the names of that start.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name};

use super::password::write_private;
use crate::StackError;

const CA_DAYS: u32 = 3650;
/// What clients accept at the most (CA/Browser Forum: 398); it is made anew at each start.
const SERVER_DAYS: u32 = 397;
/// X.509's 3.
const VERSION: i32 = 2;
/// RFC 5280: at most 20 octets, and positive.
const SERIAL_BITS: i32 = 127;

/// The files that a registry and its clients are given.
#[derive(Debug)]
pub(super) struct Certificates {
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// A certificate and its key.
pub(crate) type Pair = (X509, PKey<Private>);

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

pub(crate) fn authority(name: &str) -> Result<Pair, ErrorStack> {
    let (mut builder, key) = begin(name, CA_DAYS)?;
    let name = named(name)?;
    builder.set_issuer_name(&name)?;
    builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

/// For a server at these names and addresses, which may show it as a client, too.
pub(crate) fn issue((ca, ca_key): &Pair, name: &str, names: &[String]) -> Result<Pair, ErrorStack> {
    let (mut builder, key) = begin(name, SERVER_DAYS)?;
    builder.set_issuer_name(ca.subject_name())?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
    let mut alternatives = SubjectAlternativeName::new();
    for name in names {
        match name.parse::<IpAddr>() {
            Ok(_) => alternatives.ip(name),
            Err(_) => alternatives.dns(name),
        };
    }
    let alternatives = alternatives.build(&builder.x509v3_context(Some(ca), None))?;
    builder.append_extension(alternatives)?;
    let issuer = AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(Some(ca), None))?;
    builder.append_extension(issuer)?;
    builder.sign(ca_key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

/// A new key, and a certificate for it that lacks issuer and extensions.
fn begin(name: &str, days: u32) -> Result<(X509Builder, PKey<Private>), ErrorStack> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&curve)?)?;
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(VERSION)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&*named(name)?)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(days)?)?;
    builder.set_pubkey(&key)?;
    Ok((builder, key))
}

fn named(name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

fn read(certificate: &[u8], key: &[u8]) -> Result<Pair, ErrorStack> {
    Ok((X509::from_pem(certificate)?, PKey::private_key_from_pem(key)?))
}

pub(crate) fn write(
    (certificate, key): &Pair,
    certificate_file: &Path,
    key_file: &Path,
) -> Result<(), StackError> {
    let key = key.private_key_to_pem_pkcs8().map_err(failed("write a key"))?;
    write_private(key_file, &key)?;
    let certificate = certificate.to_pem().map_err(failed("write a certificate"))?;
    let failed = |source| StackError::File { action: "write", path: certificate_file.to_owned(), source };
    fs::write(certificate_file, certificate).map_err(failed)
}

pub(crate) fn failed(action: &'static str) -> impl Fn(ErrorStack) -> StackError {
    move |source| StackError::Certificate { action, source }
}

#[cfg(test)]
mod tests {
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
