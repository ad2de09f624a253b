//! What people see: in a terminal of 80 columns tables and bars fit and verdicts have colours; elsewhere there are plain lines.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use console::{measure_text_width, strip_ansi_codes};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};

const ME: &str = env!("CARGO_BIN_EXE_blackfriday");
const COLUMNS: u16 = 80;
const ACCEPTED: (&str, &str) =
    ("202 Accepted", r#"{"estado":"OK","id":"019aa1f0-0000-7000-8000-000000000001"}"#);
const NO_GATEWAY: (&str, &str) = ("501 Not Implemented", "<p>Unsupported method\n ('POST')</p>");
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";

/// Answers everything with this status and body, for as long as the test's process lives; its URL.
fn server((status, body): (&'static str, &'static str)) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream, status, body));
        }
    });
    Ok(url)
}

/// One request after the other, until the client goes.
fn answer(stream: TcpStream, status: &str, body: &str) -> Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim().to_ascii_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse()?,
                Some(_) => {}
                None if line.trim().is_empty() => break,
                None => {}
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        write!(writer, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    }
}

/// The exit code of a command in a terminal of 80 columns, and all that it wrote there.
fn in_terminal(words: &[&str], variables: &[(&str, &str)]) -> Result<(Option<i32>, String)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let mut controller = File::from(openpt(flags)?);
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let terminal = File::from(ioctl_tiocgptpeer(&controller, flags)?);
    let size = Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size)?;
    let mut command = Command::new(ME);
    command.args(words).stdin(Stdio::null()).stdout(terminal.try_clone()?).stderr(terminal);
    command.env_remove("NO_COLOR").env_remove("CLICOLOR").env_remove("CLICOLOR_FORCE");
    command.env("TERM", "xterm-256color").envs(variables.iter().copied());
    let mut child = command.spawn()?;
    // Its own copies of the terminal would keep it open.
    drop(command);
    let mut written = Vec::new();
    // Once nobody has the other end, Linux says EIO and not the end of the file.
    controller.read_to_end(&mut written).ok();
    Ok((child.wait()?.code(), String::from_utf8(written)?))
}

/// The exit code, and what was written to standard output and to standard error.
fn elsewhere(words: &[&str]) -> Result<(Option<i32>, String, String)> {
    let output = Command::new(ME).args(words).env_remove("CLICOLOR_FORCE").output()?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

/// Lines as they are on the screen, also those that were overwritten.
fn rows(written: &str) -> Vec<String> {
    written.split(['\r', '\n']).map(|row| strip_ansi_codes(row).into_owned()).collect()
}

#[test]
fn a_load_fits_into_eighty_columns_and_shows_how_far_it_is() -> Result<()> {
    let url = server(ACCEPTED)?;
    let steady = ["load", "--url", &url, "--connections", "4", "--sales", "300", "--rate", "200"];
    let (code, written) = in_terminal(&steady, &[])?;
    ensure!(code == Some(0), "{written}");
    let rows = rows(&written);
    let bars: Vec<_> = rows.iter().filter(|row| row.contains("/ 300")).collect();
    ensure!(bars.iter().any(|row| row.contains("/s")), "how far it is, and how fast: {rows:?}");
    let frame = |row: &&String| row.starts_with(['┌', '│', '╞', '└']);
    let table: Vec<_> = rows.iter().filter(frame).collect();
    ensure!(table.iter().any(|row| row.contains("sha256:") && !row.contains('…')), "{table:?}");
    for row in bars.into_iter().chain(table) {
        let width = measure_text_width(row);
        ensure!(width <= usize::from(COLUMNS), "{width} columns: {row:?}");
    }
    ensure!(written.contains(GREEN), "{written}");
    ensure!(rows.iter().any(|row| row == "all accepted: 300 sales"), "{rows:?}");

    // Of a time that ends it, the share.
    let (code, written) =
        in_terminal(&["load", "--url", &url, "--duration", "1500ms", "--connections", "2"], &[])?;
    ensure!(code == Some(0) && self::rows(&written).iter().any(|row| row.contains("/s")), "{written}");
    Ok(())
}

#[test]
fn colours_are_left_out_where_nobody_wants_them() -> Result<()> {
    let url = server(ACCEPTED)?;
    let few = ["load", "--url", &url, "--connections", "1", "--sales", "3"];
    let (_, written) = in_terminal(&few, &[("NO_COLOR", "1")])?;
    ensure!(written.contains("all accepted: 3 sales") && !written.contains(GREEN), "{written}");
    let (code, out, err) = elsewhere(&few)?;
    ensure!(code == Some(0) && out.contains("all accepted: 3 sales"), "{out}{err}");
    ensure!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "{out}{err}");
    Ok(())
}

#[test]
fn what_is_no_gateway_is_told_with_its_first_words() -> Result<()> {
    let url = server(NO_GATEWAY)?;
    let words = ["load", "--url", &url, "--connections", "1", "--sales", "3"];
    let (code, out, _) = elsewhere(&words)?;
    ensure!(code == Some(1) && out.contains("3 with 501"), "{out}");
    ensure!(out.contains("the first unknown: 501: <p>Unsupported method ('POST')</p>"), "{out}");
    ensure!(out.contains("NOT ALL ACCEPTED: 3 of 3 unknown"), "{out}");
    let (code, written) = in_terminal(&words, &[])?;
    ensure!(code == Some(1) && written.contains(RED), "{written}");

    let (code, out, _) = elsewhere(&[&words[..], &["--json"]].concat())?;
    let json: Value = serde_json::from_str(&out)?;
    ensure!(
        code == Some(1) && json["unknown"] == 3 && json["unknown_by_status"] == json!({"501": 3}),
        "{json}"
    );
    let digest = json["run"]["workload"].as_str().context("a digest")?;
    ensure!(digest.len() == "sha256:".len() + 64, "whole where a program reads it: {digest}");
    Ok(())
}

#[test]
fn wrong_values_are_told_with_what_is_allowed() -> Result<()> {
    for (words, told) in [
        (&["load", "--url", "127.0.0.1:8080"][..], "http://127.0.0.1:8080"),
        (&["load", "--sales", "0"][..], "must be a whole number above 0"),
        (&["demo", "--sales", "0"][..], "must be a whole number above 0"),
        (&["demo", "--rate", "0"][..], "must be a whole number above 0"),
    ] {
        let (code, _, err) = elsewhere(words)?;
        ensure!(code == Some(64) && err.contains(told), "{words:?}: {err}");
    }
    Ok(())
}
