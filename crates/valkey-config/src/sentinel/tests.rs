use std::fs;

use blackfriday_terminal::failure::exit_code;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const PASSWORD: &str = "hunter2hunter2hunter2";
const PEER_PASSWORD: &str = "hunter3hunter3hunter3";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("sentinel-group", "blackfriday"),
        ("primary", "valkey-0"),
        ("sentinels", "sentinel-0:26379\n"),
        ("user", "sentinel"),
        ("password", PASSWORD),
        ("peer-password", PEER_PASSWORD),
    ] {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn arguments(folder: &TempDir) -> SentinelArguments {
    SentinelArguments {
        config: folder.path().to_owned(),
        directory: folder.path().to_owned(),
        announce: announced("sentinel-0").expect("a host"),
        quorum: 2,
        down_after_ms: 5_000,
        failover_timeout_ms: 30_000,
    }
}

async fn conf(folder: &TempDir) -> String {
    run(&arguments(folder)).await.expect("right");
    fs::read_to_string(folder.path().join(FILE)).expect("written")
}

fn written_lines() -> impl Strategy<Value = Vec<String>> {
    let nearly_ours = "(sentinel|SENTINEL|user) {1,2}(auth-pass|announce-ip|known-replica|peer|x)? ?(blackfriday)?[ a-z0-9]{0,9}";
    prop::collection::vec(prop_oneof!["[ -~]{0,30}", nearly_ours], 0..6)
}

proptest! {
    /// However the file was written.
    #[test]
    fn an_existing_file_is_the_same_after_every_start(before in written_lines(), after in written_lines()) {
        let folder = folder();
        let arguments = arguments(&folder);
        let sentinel = Sentinel::read(&Files::in_folder(folder.path()), &arguments.announce).expect("right");
        let monitor = vec!["sentinel monitor blackfriday valkey-1 6379 9".to_owned()];
        let text = directive::text([before, monitor, after].concat());
        prop_assert!(sentinel.renewed(&text, &arguments).is_ok());
        is_the_same_after_every_start(&sentinel, &text, &arguments);
    }
}

/// As an editor leaves it, or a file system of somebody's own.
#[test]
fn white_space_around_lines_is_no_part_of_them() {
    let folder = folder();
    let arguments = arguments(&folder);
    let sentinel = Sentinel::read(&Files::in_folder(folder.path()), &arguments.announce).expect("right");
    let text = "\tsentinel monitor blackfriday valkey-1 6379 9 \r\nsentinel myid 8f4e\t\n\r";
    is_the_same_after_every_start(&sentinel, text, &arguments);
    let lines = sentinel.renewed(text, &arguments).expect("it watches the group");
    assert_eq!(lines[..3], ["sentinel monitor blackfriday valkey-1 6379 2", "sentinel myid 8f4e", ""]);
}

#[tokio::test]
async fn a_new_file_has_all_lines_in_order() {
    let folder = folder();
    let expected = format!(
        "port 26379\ndir {}\nprotected-mode no\ndaemonize no\nlogfile \"\"\nsentinel resolve-hostnames yes\n\
        sentinel announce-hostnames yes\nsentinel announce-ip sentinel-0\nsentinel announce-port 26379\n\
        sentinel monitor blackfriday valkey-0 6379 2\nsentinel auth-user blackfriday sentinel\n\
        sentinel auth-pass blackfriday {PASSWORD}\nsentinel down-after-milliseconds blackfriday 5000\n\
        sentinel failover-timeout blackfriday 30000\nsentinel parallel-syncs blackfriday 1\n\
        sentinel sentinel-user peer\nsentinel sentinel-pass {PEER_PASSWORD}\nuser default on nopass ",
        folder.path().display()
    );
    let found = conf(&folder).await;
    assert!(found.starts_with(&expected), "{found}");
    assert_eq!(found.lines().count(), 19);
}

#[tokio::test]
async fn an_existing_file_keeps_what_was_learnt_and_gets_what_is_configured_now() {
    let folder = folder();
    let before = conf(&folder).await;
    let monitor = "sentinel monitor blackfriday valkey-1 6379";
    let learnt =
        "sentinel known-replica blackfriday valkey-0 6379\nsentinel myid 8f4e\nsentinel current-epoch 7\n";
    let before_them = "sentinel monitor blackfriday valkey-0 6379 2\n";
    let text = before.replace(before_them, &format!("{monitor} 9\n{learnt}"));
    // As an earlier configuration had it, and Sentinel leaves out what is its default.
    let text = text.replace("failover-timeout blackfriday 30000", "failover-timeout blackfriday 60000");
    let text = text.replace("sentinel parallel-syncs blackfriday 1\n", "");
    let text = text.replace("announce-ip sentinel-0", "announce-ip \"sentinel-9\"")
        + "user left-over on nopass +@all\n";
    fs::write(folder.path().join(FILE), &text).expect("written");
    fs::write(folder.path().join("password"), "another password".replace(' ', "-")).expect("written");

    let after = conf(&folder).await;
    assert!(after.contains(&format!("{monitor} 2\n{learnt}")), "{after}");
    for renewed in [
        "sentinel down-after-milliseconds blackfriday 5000\n",
        "sentinel failover-timeout blackfriday 30000\n",
        "sentinel parallel-syncs blackfriday 1\n",
    ] {
        assert!(after.contains(renewed), "{renewed} {after}");
    }
    assert!(after.contains("sentinel auth-pass blackfriday another-password\n"), "{after}");
    assert!(after.contains("sentinel announce-ip sentinel-0\n"), "{after}");
    for gone in [PASSWORD, "sentinel-9", "left-over"] {
        assert!(!after.contains(gone), "{after}");
    }
    for once in [
        "auth-user",
        "auth-pass",
        "sentinel-user",
        "sentinel-pass",
        "announce-ip",
        "down-after-milliseconds",
        "failover-timeout",
        "parallel-syncs",
        "\nuser default",
        "\nuser peer",
    ] {
        assert_eq!(after.matches(once).count(), 1, "{once}: {after}");
    }
    assert_eq!(conf(&folder).await, after, "once more changes nothing");
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_not_repeated() {
    for (name, text, expected) in [
        ("sentinel-group", "", "sentinel-group: the file is missing or empty"),
        ("primary", "valkey 0", "primary: HOST or HOST:PORT is wanted"),
        ("user", "sentinel +@all", "user: letters, digits"),
        ("password", "hunter2", "password: 16 to 256 letters"),
        ("peer-password", "hunter3hunter3\\hunter3", "peer-password: 16 to 256 letters"),
        ("sentinels", "sentinel-0\n-x", "sentinels: line 2: HOST or HOST:PORT is wanted"),
        (FILE, "sentinel monitor other valkey-0 6379 2\n", "sentinel.conf does not watch the group"),
        (FILE, "", "sentinel.conf does not watch the group"),
    ] {
        let folder = folder();
        fs::write(folder.path().join(name), text).expect("written");
        let error = run(&arguments(&folder)).await.expect_err(expected);
        assert_eq!(exit_code(&error, &[]), 64, "{error:#}");
        let told = format!("{error:#}");
        assert!(told.contains(expected) && !told.contains("hunter"), "{told}");
    }
}

#[test]
fn a_host_is_announced_and_nothing_else() {
    for wrong in ["", "a b", "a:1", "a\nsentinel x"] {
        assert!(announced(wrong).is_err(), "{wrong:?}");
    }
}
