//! Certificates for servers and clients on this machine, and the authorities that issue them.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

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

use crate::error::StackError;
use crate::private_file::write_private;

const CA_DAYS: u32 = 3650;
/// What clients accept at the most (CA/Browser Forum: 398); a new one is made at each start.
const SERVER_DAYS: u32 = 397;
/// X.509's 3.
const VERSION: i32 = 2;
/// RFC 5280: at most 20 octets, and positive.
const SERIAL_BITS: i32 = 127;

/// A certificate and its key.
pub(crate) type Pair = (X509, PKey<Private>);

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

pub(crate) fn read(certificate: &[u8], key: &[u8]) -> Result<Pair, ErrorStack> {
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
