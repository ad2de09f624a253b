//! Child processes as tests and the demo use them, with shells as children.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use blackfriday_stack::{Clock, Process, Scarce, StackError, eventually};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);
const SIGKILL: i32 = 9;

struct Shell {
    process: Process,
    _folder: TempDir,
}

fn shell(script: &str) -> Shell {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let process = Process::spawn(command, folder.path().join("log")).expect("sh is there");
    Shell { process, _folder: folder }
}

/// The state letter of proc(5), or `None` for a process that is gone or a zombie.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit_once(") ")?.1.chars().next()?;
    (state != 'Z').then_some(state)
}

async fn has_logged(process: &Process, text: &str) {
    let logged = eventually(LIMIT, async || process.log_tail().contains(text)).await;
    logged.unwrap_or_else(|error| panic!("{text:?} in the log: {error}"));
}

#[tokio::test]
async fn both_outputs_are_logged_and_the_exit_code_is_told() {
    let shell = shell("echo out; echo err >&2; exit 3");
    let status = shell.process.wait(LIMIT).await.expect("ends by itself");
    assert_eq!(status.code(), Some(3));
    assert_eq!(shell.process.exit_status(), Some(status));
    assert_eq!(shell.process.log_tail(), "out\nerr");
}

#[tokio::test]
async fn only_the_end_of_a_long_log_is_told() {
    let shell = shell("seq 100000");
    shell.process.wait(LIMIT).await.expect("ends by itself");
    let tail = shell.process.log_tail();
    assert_eq!(tail.lines().next(), Some("99961"));
    assert_eq!(tail.lines().last(), Some("100000"));
}

#[tokio::test]
async fn a_missing_program_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let spawned = Process::spawn(Command::new("no-such-program"), folder.path().join("log"));
    let error = spawned.expect_err("there is no such program");
    assert_eq!(error.to_string(), "start no-such-program");
}

#[tokio::test]
async fn sigterm_lets_the_child_end_in_its_own_way_even_if_it_was_paused() {
    let shell = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    has_logged(&shell.process, "ready").await;
    shell.process.pause().expect("sent");
    let status = shell.process.terminate(LIMIT).await.expect("ends");
    assert_eq!(status.code(), Some(7));
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_left_running_until_it_is_killed() {
    let shell = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    has_logged(&shell.process, "ready").await;
    let error = shell.process.terminate(SHORT).await.expect_err("it ignores it");
    assert!(matches!(error, StackError::StillRunning { .. }), "{error}");
    assert!(state(shell.process.pid()).is_some());
    shell.process.kill();
    assert_eq!(shell.process.exit_status().and_then(|status| status.signal()), Some(SIGKILL));
}

#[tokio::test]
async fn a_paused_child_stands_still_until_it_is_resumed() {
    let shell = shell("exec sleep 1000");
    let pid = shell.process.pid();
    shell.process.pause().expect("sent");
    eventually(LIMIT, async || state(pid) == Some('T')).await.expect("stopped");
    shell.process.resume().expect("sent");
    eventually(LIMIT, async || state(pid) != Some('T')).await.expect("goes on");
}

#[tokio::test]
async fn a_dropped_child_is_gone_with_its_children() {
    let shell = shell("sleep 1000 & echo child $!; wait");
    has_logged(&shell.process, "child").await;
    let pid = shell.process.pid();
    let log = shell.process.log_tail();
    let grandchild = log.strip_prefix("child ").and_then(|pid| pid.parse().ok()).expect("a pid");
    assert!(state(grandchild).is_some());
    drop(shell);
    assert_eq!(state(pid), None);
    eventually(LIMIT, async || state(grandchild).is_none()).await.expect("the grandchild ends");
}

#[tokio::test]
async fn what_a_child_leaves_behind_is_killed_when_it_ends() {
    let shell = shell("sleep 1000 & echo child $!");
    shell.process.wait(LIMIT).await.expect("ends by itself");
    let log = shell.process.log_tail();
    let grandchild = log.strip_prefix("child ").and_then(|pid| pid.parse().ok()).expect("a pid");
    eventually(LIMIT, async || state(grandchild).is_none()).await.expect("the grandchild ends");
}

#[tokio::test]
async fn a_child_survives_the_thread_that_started_it() {
    let shell = std::thread::spawn(|| shell("exec sleep 1000")).join().expect("no panic");
    let exited = shell.process.wait(SHORT).await;
    assert!(matches!(exited, Err(StackError::StillRunning { .. })), "{exited:?}");
}

#[tokio::test]
async fn signals_to_an_ended_child_go_nowhere() {
    let shell = shell("exit 0");
    shell.process.wait(LIMIT).await.expect("ends by itself");
    shell.process.pause().expect("nothing to do");
    shell.process.kill();
    assert!(shell.process.terminate(LIMIT).await.expect("has ended").success());
}

/// Each goes on and on until it lacks something, and ends with 7 then.
#[tokio::test]
async fn a_child_can_run_out_of_what_it_needs() {
    let full = "while echo x >>file; do sleep 0.01; done 2>/dev/null; exit 7";
    let too_many = "while (exec 9</dev/null) 2>/dev/null; do sleep 0.01; done; exit 7";
    let too_large = "x=xxxxxxxx; while (y=$x$x$x$x) 2>/dev/null; do x=$x$x; done; exit 7";
    for (script, scarce, most) in [
        (full, Scarce::FileBytes, 100),
        (too_many, Scarce::Descriptors, 3),
        (too_large, Scarce::MemoryBytes, 8 << 20),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let script = format!("echo ready; while [ ! -e go ]; do sleep 0.01; done; {script}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(folder.path());
        let process = Process::spawn(command, folder.path().join("log")).expect("sh is there");
        has_logged(&process, "ready").await;
        process.limit(scarce, Some(most)).expect("it runs");
        fs::write(folder.path().join("go"), "").expect("written");
        let status = process.wait(LIMIT).await.expect("it runs out of it");
        assert_eq!(status.code(), Some(7), "{scarce:?}: {}", process.log_tail());
    }
}

#[tokio::test]
async fn a_limit_is_lifted_again() {
    let shell = shell("exec sleep 1000");
    let limits = || fs::read_to_string(format!("/proc/{}/limits", shell.process.pid())).expect("it runs");
    // `sleep` may not be there yet.
    eventually(LIMIT, async || !limits().is_empty()).await.expect("told");
    let before = limits();
    shell.process.limit(Scarce::Descriptors, Some(5)).expect("it runs");
    assert!(limits().lines().any(|line| line.starts_with("Max open files            5 ")), "{}", limits());
    shell.process.limit(Scarce::Descriptors, None).expect("it runs");
    assert_eq!(limits(), before);
}

#[tokio::test]
async fn a_child_can_have_a_clock_of_its_own_which_is_moved_while_it_runs() {
    let clock = Clock::new().expect("libfaketime");
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do date +%s; sleep 0.05; done"]);
    clock.wear(&mut command);
    let process = Process::spawn(command, folder.path().join("log")).expect("sh is there");
    let ahead = || {
        let told: u64 = process.log_tail().lines().last()?.parse().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        Some(i64::try_from(told).expect("no end of time") - i64::try_from(now).expect("no end of time"))
    };
    let is_about = async |wanted: i64| {
        let told = eventually(LIMIT, async || ahead().is_some_and(|ahead| (ahead - wanted).abs() < 60)).await;
        told.unwrap_or_else(|error| panic!("{wanted} s: {error}: {}", process.log_tail()));
    };
    is_about(0).await;
    for shift in [3600, -86_400, 0] {
        clock.shift(shift).expect("written");
        is_about(shift).await;
    }
    let left = format!("/dev/shm/faketime_shm_{}", process.pid());
    process.kill();
    drop(clock);
    assert!(!fs::exists(left).expect("can be asked"));
}
