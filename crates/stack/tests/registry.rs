//! What users of the registry rely on. What it holds is looked at where there is a client for it, in `workload`.

use std::fs;
use std::path::Path;

use blackfriday_stack::{OciRegistry, Password, RegistryOptions, StackError};
use tokio::net::TcpStream;

async fn accepts(host: &str) -> bool {
    TcpStream::connect(host).await.is_ok()
}

fn kept(folder: &Path) -> RegistryOptions {
    RegistryOptions { folder: Some(folder.to_owned()), ..RegistryOptions::default() }
}

#[tokio::test]
async fn a_registry_comes_back_on_the_same_port_and_leaves_nothing_behind() {
    let registry = OciRegistry::start().await.expect("starts");
    let (host, ca) = (registry.host(), registry.ca().expect("TLS").to_owned());
    assert!(accepts(&host).await && ca.is_file());
    registry.kill().expect("runs");
    assert!(!accepts(&host).await);
    assert!(matches!(registry.kill(), Err(StackError::Stopped { .. })));
    registry.restart().await.expect("starts again");
    assert_eq!(registry.host(), host);
    assert!(accepts(&host).await);
    registry.stop().await.expect("ends in time");
    drop(registry);
    assert!(!ca.exists());
}

#[tokio::test]
async fn a_kept_folder_has_the_same_authority_and_password_at_each_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = OciRegistry::start_with(kept(folder.path())).await.expect("starts");
    let authority = fs::read(first.ca().expect("TLS")).expect("is there");
    let password = first.password().clone();
    assert_eq!(fs::read_to_string(first.password_file()).expect("is there"), password.expose());
    let second = OciRegistry::start_with(kept(folder.path())).await.expect_err("the folder is in use");
    assert!(matches!(second, StackError::InUse { .. }), "{second}");
    drop(first);

    let again = OciRegistry::start_with(kept(folder.path())).await.expect("starts");
    assert_eq!(fs::read(again.ca().expect("TLS")).expect("is there"), authority);
    assert_eq!(again.password(), &password);
    drop(again);

    let password = Some(Password::new("chosen".to_owned()));
    let chosen =
        OciRegistry::start_with(RegistryOptions { password, ..kept(folder.path()) }).await.expect("starts");
    assert_eq!(chosen.password().expose(), "chosen");
    assert!(!format!("{chosen:?}").contains("chosen"));
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let listen = Some(taken.local_addr().expect("bound"));
    let error = OciRegistry::start_with(RegistryOptions { listen, ..RegistryOptions::default() }).await;
    let error = error.expect_err("taken").to_string();
    assert!(error.to_lowercase().contains("address already in use"), "{error}");
}
