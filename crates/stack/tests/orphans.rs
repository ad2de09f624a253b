//! No server outlives the process that started it, however that process ends.
//!
//! Each test starts this very test program again as the parent, which starts a Valkey and comes to its end.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use blackfriday_stack::{Process, Valkey, eventually};

const LIMIT: Duration = Duration::from_secs(30);
const PID_FILE: &str = "BLACKFRIDAY_STACK_TEST_PID_FILE";
const SIGABRT: i32 = 6;

#[tokio::test]
async fn killed() {
    if let Ok(file) = env::var(PID_FILE) {
        let _valkey = started(&file).await;
        return std::future::pending().await;
    }
    outlives_not("killed", async |parent| {
        parent.kill();
        parent.exit_status().expect("killed")
    })
    .await;
}

#[tokio::test]
async fn panicked() {
    if let Ok(file) = env::var(PID_FILE) {
        let _valkey = started(&file).await;
        panic!("on purpose");
    }
    let status = outlives_not("panicked", async |parent| parent.wait(LIMIT).await.expect("panics")).await;
    assert_eq!(status.code(), Some(101), "the code of a failed test");
}

#[tokio::test]
async fn aborted() {
    if let Ok(file) = env::var(PID_FILE) {
        let _valkey = started(&file).await;
        std::process::abort();
    }
    let status = outlives_not("aborted", async |parent| parent.wait(LIMIT).await.expect("aborts")).await;
    assert_eq!(status.signal(), Some(SIGABRT));
}

/// The parent's part: starts a Valkey and tells its process id.
async fn started(file: &str) -> Valkey {
    let valkey = Valkey::start().await.expect("starts");
    let pid = valkey.pid().expect("runs").to_string();
    fs::write(format!("{file}.new"), pid).expect("write");
    fs::rename(format!("{file}.new"), file).expect("rename");
    valkey
}

async fn outlives_not(test: &str, end: impl AsyncFnOnce(&Process) -> ExitStatus) -> ExitStatus {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let mut command = Command::new(env::current_exe().expect("this program"));
    // A parent that is killed cannot remove its data: it goes with this test's folder.
    command.args(["--exact", test, "--nocapture"]).env(PID_FILE, &file).env("TMPDIR", folder.path());
    let parent = Process::spawn(command, folder.path().join("log")).expect("starts");

    let told = eventually(LIMIT, async || file.exists()).await;
    told.unwrap_or_else(|error| panic!("{error}; {}", parent.log_tail()));
    let valkey: u32 = fs::read_to_string(&file).expect("told").parse().expect("a pid");
    let status = end(&parent).await;
    eventually(LIMIT, async || !runs(valkey)).await.expect("Valkey ends with its parent");
    status
}

/// A zombie has ended; who adopts it may take a while to look.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
