//! Passwords from files, and TLS: who is let in, and what the others are told.

use std::fs;
use std::path::PathBuf;

use blackfriday_event::Category;
use blackfriday_stack::{Authority, Identity, Valkey, ValkeyKind, ValkeyOptions};
use blackfriday_store::{Outcome, Store, StoreError, ValkeyConfig};

use crate::setup::{CONFIG, Setup, batch, sale};

on_both! {
    a_password_file_is_read_again_for_each_connection,
    ; async
    certificates_are_checked_on_both_sides,
    a_key_that_is_not_the_certificates_is_told_by_the_first_command,
}

async fn apply(store: &Store, from: usize) -> Result<Outcome, StoreError> {
    let sales = [sale(Category::Ropa, "P-1", 7 + from as u128)];
    store.apply(&[batch(store, from, &sales)]).await.map(|mut outcomes| outcomes.remove(0))
}

fn a_password_file_is_read_again_for_each_connection(kind: ValkeyKind) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    fs::write(&file, "wrong\n").expect("written");
    let setup = Setup::with(kind, &[("requirepass", "secret")], |config| {
        config.access.password_file = Some(file.clone());
        // As for a second server, whose flags have other names.
        config.access.names.username = "--other-username";
    });
    let apply = || setup.runtime.block_on(apply(&setup.store, 0));
    let error = apply().expect_err("the wrong password");
    assert!(matches!(error, StoreError::Denied { .. }) && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("--other-username and --valkey-password-file"), "{error}");
    assert!(!format!("{error:?}").contains("wrong\""), "{error:?}");
    fs::remove_file(&file).expect("removed");
    let error = apply().expect_err("no file");
    assert!(matches!(error, StoreError::File { .. }) && error.is_retryable(), "{error:?}");
    fs::write(&file, "secret\n").expect("written");
    assert_eq!(apply().expect("the right password"), Outcome::Applied);
}

async fn with_tls(kind: ValkeyKind, identity: &Identity) -> (Valkey, ValkeyConfig) {
    let options = ValkeyOptions { kind, tls: Some(identity.clone()), ..ValkeyOptions::default() };
    let valkey = Valkey::start_with(options).await.expect("Valkey");
    let mut config = ValkeyConfig::new(&valkey.tls_url().expect("TLS")).expect("a server");
    // A refusal must not be taken for silence on a machine that has much to do.
    config.connect_timeout_ms = 30_000;
    (valkey, config)
}

async fn certificates_are_checked_on_both_sides(kind: ValkeyKind) {
    let (ours, strangers) = (Authority::new().expect("made"), Authority::new().expect("made"));
    let (valkey, mut config) = with_tls(kind, &ours.issue("valkey").expect("issued")).await;
    let (client, stranger) =
        (ours.issue("client").expect("issued"), strangers.issue("client").expect("issued"));
    let of = |identity: &Identity| (Some(identity.certificate.clone()), Some(identity.key.clone()));
    for (what, ca, (certificate, key)) in [
        ("the system's authorities", None, of(&client)),
        ("a stranger's authority", Some(strangers.ca()), of(&client)),
    ] {
        (config.access.ca, config.access.certificate, config.access.key) = (ca, certificate, key);
        let store = Store::new(&config, &CONFIG).expect("a store");
        let error = apply(&store, 0).await.expect_err(what);
        assert!(matches!(error, StoreError::Denied { .. }) && error.is_retryable(), "{what}: {error:?}");
        assert!(error.to_string().contains("--valkey-ca"), "{what}: {error}");
    }
    config.access.ca = Some(ours.ca());
    for (what, (certificate, key)) in [("no certificate", (None, None)), ("a stranger's", of(&stranger))] {
        (config.access.certificate, config.access.key) = (certificate, key);
        let store = Store::new(&config, &CONFIG).expect("a store");
        // The refusal comes after the handshake (TLS 1.3), and is lost where the end of the connection overtakes it.
        let error = apply(&store, 0).await.expect_err(what);
        assert!(matches!(error, StoreError::Denied { .. } | StoreError::Away { .. }), "{what}: {error:?}");
    }
    (config.access.certificate, config.access.key) = of(&client);
    let store = Store::new(&config, &CONFIG).expect("a store");
    assert_eq!(apply(&store, 0).await.expect("both sides are known"), Outcome::Applied);
    assert_eq!(valkey.command(&["GET", "reportes:total:Ropa"]).await.expect("answers"), "1");
}

#[test]
fn a_file_that_is_of_no_use_is_told_at_the_start() {
    let authority = Authority::new().expect("made");
    let one = authority.issue("one").expect("issued");
    let missing = PathBuf::from("/nonexistent/file");
    let wrong = |configure: &dyn Fn(&mut ValkeyConfig)| {
        let mut config = ValkeyConfig::new("rediss://127.0.0.1:1").expect("a server");
        config.access.ca = Some(one.ca.clone());
        configure(&mut config);
        Store::new(&config, &CONFIG).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let error = wrong(&|config| config.access.ca = Some(missing.clone()));
    assert!(error.contains("/nonexistent/file, the file of --valkey-ca"), "{error}");
    let error = wrong(&|config| config.access.ca = Some(one.key.clone()));
    assert!(error.contains("--valkey-ca is not in PEM"), "{error}");
    let error = wrong(&|config| config.access.password_file = Some(missing.clone()));
    assert!(error.contains("--valkey-password-file"), "{error}");
}

async fn a_key_that_is_not_the_certificates_is_told_by_the_first_command(kind: ValkeyKind) {
    let authority = Authority::new().expect("made");
    let (one, other) = (authority.issue("one").expect("issued"), authority.issue("other").expect("issued"));
    let (_valkey, mut config) = with_tls(kind, &one).await;
    config.access.ca = Some(one.ca);
    (config.access.certificate, config.access.key) = (Some(one.certificate), Some(other.key));
    let store = Store::new(&config, &CONFIG).expect("a store");
    let error = apply(&store, 0).await.expect_err("not its key");
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("--valkey-certificate and --valkey-key"), "{error}");
}
