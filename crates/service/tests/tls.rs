//! TLS of the gRPC hop: whom either side accepts.

use blackfriday_service::tls::{ClientTls, ServerTls};
use blackfriday_stack::{Authority, Identity};
use blackfriday_telemetry::access::SettingFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

fn pem<'a>(option: &'static str, path: &'a std::path::Path) -> SettingFile<'a> {
    SettingFile::new(option, path)
}

fn server(identity: &Identity, client_ca: Option<&Authority>) -> ServerTls {
    let ca = client_ca.map(Authority::ca);
    let ca = ca.as_deref().map(|path| pem("client-ca", path));
    ServerTls::new(pem("certificate", &identity.certificate), pem("key", &identity.key), ca).expect("files")
}

fn client(ca: &Authority, identity: Option<&Identity>, name: &str) -> ClientTls {
    let ca = ca.ca();
    let identity =
        identity.map(|Identity { certificate, key, .. }| (pem("certificate", certificate), pem("key", key)));
    ClientTls::new(pem("ca", &ca), identity, name).expect("files")
}

/// What the client reads after it has written: "pong", if both accept each other.
async fn exchange(server: &ServerTls, client: &ClientTls) -> std::io::Result<String> {
    let (near, far) = duplex(64 * 1024);
    let mut served = server.begin(far).expect("begun");
    let answer = tokio::spawn(async move {
        let mut ping = [0; 4];
        served.read_exact(&mut ping).await?;
        served.write_all(b"pong").await?;
        served.shutdown().await
    });
    let exchanged = async {
        let mut stream = client.connect(near).await?;
        stream.write_all(b"ping").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let exchanged = exchanged.await;
    let answered = answer.await.expect("no panic");
    assert_eq!(answered.is_ok(), exchanged.is_ok(), "{answered:?}");
    exchanged
}

#[tokio::test]
async fn each_side_wants_the_others_authority() {
    let (ours, strangers) = (Authority::new().expect("made"), Authority::new().expect("made"));
    let writer = ours.issue("writer").expect("issued");
    let (relay, stranger) = (ours.issue("relay").expect("issued"), strangers.issue("relay").expect("issued"));
    let (open, closed) = (server(&writer, None), server(&writer, Some(&ours)));

    assert_eq!(exchange(&open, &client(&ours, None, "writer")).await.expect("known"), "pong");
    assert_eq!(exchange(&open, &client(&ours, None, "127.0.0.1")).await.expect("an address"), "pong");
    assert_eq!(exchange(&closed, &client(&ours, Some(&relay), "writer")).await.expect("both"), "pong");
    for (what, server, client) in [
        ("a stranger's authority", &open, client(&strangers, None, "writer")),
        ("another name", &open, client(&ours, None, "gateway")),
        ("no certificate", &closed, client(&ours, None, "writer")),
        ("a stranger's certificate", &closed, client(&ours, Some(&stranger), "writer")),
    ] {
        exchange(server, &client).await.expect_err(what);
    }
}

#[test]
fn a_file_that_is_of_no_use_is_named_with_its_setting() {
    let ours = Authority::new().expect("made");
    let (one, other) = (ours.issue("one").expect("issued"), ours.issue("other").expect("issued"));
    let error = |certificate, key, ca| {
        let (certificate, key) = (pem("--tls-certificate", certificate), pem("--tls-key", key));
        let refused = ServerTls::new(certificate, key, Some(pem("--tls-client-ca", ca)));
        refused.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let missing = std::path::Path::new("/nonexistent");
    assert_eq!(error(missing, &one.key, &one.ca), "cannot use /nonexistent, the file of --tls-certificate");
    assert!(error(&one.certificate, &other.key, &one.ca).ends_with("--tls-key"));
    assert!(error(&one.certificate, &one.key, &one.key).ends_with("--tls-client-ca"));
}
