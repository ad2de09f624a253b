//! No server outlives the process that started it, however that process ends, and neither does what the server started.
//!
//! Each test but one starts this very test program again as the parent, which starts a server and comes to its end.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use blackfriday_stack::{Process, RabbitMq, Valkey, eventually};

/// RabbitMQ needs seconds of a processor, on a machine that others may fill.
const LIMIT: Duration = Duration::from_secs(180);
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
async fn killed_with_rabbitmq() {
    if let Ok(file) = env::var(PID_FILE) {
        let rabbitmq = RabbitMq::start().await.expect("starts");
        tell(&file, rabbitmq.pid());
        return std::future::pending().await;
    }
    outlives_not("killed_with_rabbitmq", async |parent| {
        parent.kill();
        parent.exit_status().expect("killed")
    })
    .await;
}

/// It has helpers, and would have an `epmd` that outlives it.
#[tokio::test]
async fn nothing_is_left_of_a_rabbitmq_that_was_dropped() {
    let rabbitmq = RabbitMq::start().await.expect("starts");
    let pid = rabbitmq.pid().expect("runs");
    let environment = fs::read_to_string(format!("/proc/{pid}/environ")).expect("runs");
    let home =
        environment.split('\0').find_map(|line| line.strip_prefix("HOME=")).expect("a home").to_owned();
    assert!(processes_with(&home).contains(&pid));
    drop(rabbitmq);
    eventually(LIMIT, async || processes_with(&home).is_empty()).await.expect("all of them end");
    assert!(!fs::exists(home).expect("can be asked"));
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
    tell(file, valkey.pid());
    valkey
}

fn tell(file: &str, pid: Option<u32>) {
    fs::write(format!("{file}.new"), pid.expect("runs").to_string()).expect("write");
    fs::rename(format!("{file}.new"), file).expect("rename");
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
    let server: u32 = fs::read_to_string(&file).expect("told").parse().expect("a pid");
    let status = end(&parent).await;
    let place = folder.path().display().to_string();
    let ended = async || !runs(server) && processes_with(&place).is_empty();
    eventually(LIMIT, ended).await.expect("all end with their parent");
    status
}

/// A zombie has ended; who adopts it may take a while to look.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Those that have this text in their environment. Valkey is not among them: its title takes that place.
fn processes_with(text: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("proc(5)").flatten();
    let has = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(text.len()).any(|window| window == text.as_bytes())
    };
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has).collect()
}
