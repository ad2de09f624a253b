use std::fs;

use blackfriday_terminal::failure::exit_code;
use tempfile::TempDir;

use super::*;

const PASSWORD: &str = "hunter2hunter2hunter2";

/// Names and contents.
type Contents<'a> = &'a [(&'a str, &'a str)];

/// A folder with these files and the two that any server has.
fn folder(role: &str, files: Contents<'_>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("password", PASSWORD), ("role", role)].iter().chain(files) {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn arguments(folder: &TempDir) -> ServerArguments {
    ServerArguments {
        config: folder.path().to_owned(),
        directory: folder.path().to_owned(),
        data: "/var/lib/my valkey".into(),
        max_memory_bytes: 322_122_547,
        check: false,
    }
}

async fn conf(folder: &TempDir) -> String {
    run(&arguments(folder)).await.expect("right");
    fs::read_to_string(folder.path().join("valkey.conf")).expect("written")
}

#[tokio::test]
async fn a_replica_has_all_lines_in_order() {
    let files =
        [("primary", "valkey-0:6380\n"), ("announce", "valkey-1\n"), ("users.acl", "# x\n\nuser x on ~a\n")];
    let folder = folder("replica\n", &files);
    let [users, pid] = ["users.acl", "valkey.pid"].map(|name| folder.path().join(name).display().to_string());
    let expected = format!(
        "port 6379\nbind * -::*\ndir \"/var/lib/my valkey\"\npidfile {pid}\naclfile {users}\ndaemonize no\nlogfile \"\"\n\
        appendonly yes\nappendfsync everysec\nsave \"\"\nmaxmemory 322122547\nmaxmemory-policy noeviction\n\
        shutdown-timeout 10\nmasterauth {PASSWORD}\nreplica-announce-ip valkey-1\nreplica-announce-port 6379\n\
        replicaof valkey-0 6380\n"
    );
    assert_eq!(conf(&folder).await, expected);
    let users = fs::read_to_string(users).expect("written");
    let lines: Vec<_> = users.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("user default on sanitize-payload #"), "{users}");
    assert_eq!(lines[1..], ["user readiness on nopass resetkeys resetchannels -@all +ping", "user x on ~a"]);
    assert!(!users.contains(PASSWORD));
}

#[tokio::test]
async fn a_primary_is_nobodys_replica_even_if_another_is_named() {
    let conf = conf(&folder("primary", &[("primary", "valkey-0")])).await;
    assert!(conf.ends_with(&format!("masterauth {PASSWORD}\n")), "{conf}");
}

/// The Sentinel that is named is nobody: who asks it waits for ten rounds.
#[tokio::test]
async fn a_check_asks_nobody_and_writes_nothing() {
    let files = [("sentinels", "127.0.0.1:1"), ("sentinel-group", "g"), ("announce", "valkey-0")];
    let folder = folder("primary", &files);
    let check = ServerArguments { check: true, ..arguments(&folder) };
    tokio::time::timeout(PAUSE, run(&check)).await.expect("at once").expect("right");
    assert!(!folder.path().join("valkey.conf").exists());
    fs::write(folder.path().join("readiness-password"), "short").expect("written");
    let error = run(&check).await.expect_err("too short");
    assert!(format!("{error:#}").contains("readiness-password: 16 to 256 letters"), "{error:#}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_before_anything_is_written() {
    let wrong: [(&str, Contents<'_>, &str); 9] = [
        ("leader", &[], "role: primary or replica is wanted"),
        ("replica", &[], "primary: the file is missing or empty"),
        ("replica", &[("primary", "a:0")], "primary: the port is wanted as 1 to 65535"),
        ("primary", &[("primary", "a b")], "primary: HOST or HOST:PORT is wanted"),
        ("primary", &[("announce", "a\nb")], "announce: one line is wanted"),
        ("primary", &[("users.acl", "user default on")], "users.acl: line 1: default and readiness may not"),
        ("primary", &[("sentinels", "a\n"), ("sentinel-group", "g")], "announce: the file is missing"),
        ("primary", &[("sentinels", "a\n"), ("announce", "b")], "sentinel-group: the file is missing"),
        ("primary", &[("password", "hunter2 hunter2 hunter2")], "password: 16 to 256 letters"),
    ];
    for (role, files, expected) in wrong {
        let folder = folder(role, files);
        let error = run(&arguments(&folder)).await.expect_err(expected);
        assert_eq!(exit_code(&error, &[]), 64, "{error:#}");
        let told = format!("{error:#}");
        assert!(told.contains(expected) && !told.contains("hunter2"), "{told}");
        assert!(!folder.path().join("valkey.conf").exists());
    }
}
