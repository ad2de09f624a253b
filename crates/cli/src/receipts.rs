//! The receipts file: what a client was told, one line per event.
//!
//! ```text
//! # blackfriday receipts 1 {"url":"…","seed":17,"workload":"sha256:…"}
//! + 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11      a sale was acknowledged
//! ? 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d12      a sale whose outcome is not known; - without an identity
//! w 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d13      a weather report was acknowledged
//! ```

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::mpsc::{self, Sender};
use uuid::Uuid;

use crate::failure::Usage;

const HEAD: &str = "# blackfriday receipts 1 ";
/// Texts that wait for the disk; over it the load waits, too.
const QUEUE: usize = 1024;
/// A pen's lines are handed over when there are this many bytes of them, or when they are this old.
const FULL: usize = 4096;
const LONGEST_KEPT: Duration = Duration::from_millis(100);

/// What a receipts file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipts {
    pub(crate) sales: Vec<Uuid>,
    pub(crate) weather: Vec<Uuid>,
    /// Outcomes that are not known, by identity.
    pub(crate) unknown: Vec<Uuid>,
    /// Outcomes that are not known, without an identity.
    pub(crate) unnamed: u64,
}

/// What one connection writes with.
pub(crate) struct Pen {
    lines: Sender<String>,
    kept: String,
    handed_over: Instant,
}

/// Writes a receipts file, on a thread of its own.
pub(crate) struct Writer {
    lines: Sender<String>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Writer {
    /// Creates the file, with a head that says where the receipts come from.
    pub(crate) fn create(path: &Path, about: &serde_json::Value) -> Result<Self> {
        let file =
            std::fs::File::create(path).with_context(|| Usage(format!("create {}", path.display())))?;
        let (lines, mut receiver) = mpsc::channel::<String>(QUEUE);
        let head = format!("{HEAD}{about}\n");
        let write = move || {
            let mut file = BufWriter::new(file);
            file.write_all(head.as_bytes())?;
            while let Some(lines) = receiver.blocking_recv() {
                file.write_all(lines.as_bytes())?;
            }
            file.flush()?;
            file.get_ref().sync_all()
        };
        let thread = thread::Builder::new().name("receipts".to_owned()).spawn(write)?;
        Ok(Self { lines, thread })
    }

    /// One more pen. Its lines are written in the order in which it has them.
    pub(crate) fn pen(&self) -> Pen {
        Pen { lines: self.lines.clone(), kept: String::with_capacity(FULL), handed_over: Instant::now() }
    }

    /// Writes what was handed over, and waits for the disk. Every pen must be gone.
    pub(crate) fn finish(self) -> Result<()> {
        drop(self.lines);
        let written = self.thread.join().map_err(|_| anyhow!("the receipts' thread died"))?;
        written.context("write the receipts")
    }
}

impl Pen {
    pub(crate) fn accepted(&mut self, id: Uuid) {
        self.line('+', id.hyphenated());
    }

    pub(crate) fn weather(&mut self, id: Uuid) {
        self.line('w', id.hyphenated());
    }

    pub(crate) fn unknown(&mut self, id: Uuid) {
        self.line('?', id.hyphenated());
    }

    pub(crate) fn unnamed(&mut self) {
        self.line('?', '-');
    }

    /// Hands lines over if there are many, or if they are old.
    pub(crate) async fn hand_over_some(&mut self) -> Result<()> {
        if self.kept.len() < FULL && self.handed_over.elapsed() < LONGEST_KEPT {
            return Ok(());
        }
        self.hand_over().await
    }

    /// Hands all lines over.
    pub(crate) async fn hand_over(&mut self) -> Result<()> {
        self.handed_over = Instant::now();
        if self.kept.is_empty() {
            return Ok(());
        }
        let lines = std::mem::replace(&mut self.kept, String::with_capacity(FULL));
        self.lines.send(lines).await.context("the receipts cannot be written")
    }

    fn line(&mut self, kind: char, what: impl std::fmt::Display) {
        writeln!(self.kept, "{kind} {what}").expect("writing into a String cannot fail");
    }
}

impl Receipts {
    /// Reads a file and adds what it says. A last line that was cut off is left out.
    pub(crate) fn read(&mut self, path: &Path) -> Result<()> {
        let wrong = |what: &str| Usage(format!("receipts {}{what}", path.display()));
        let file = std::fs::File::open(path).with_context(|| wrong(": open"))?;
        let mut file = BufReader::new(file);
        let mut line = String::new();
        file.read_line(&mut line).with_context(|| wrong(": read"))?;
        if !line.starts_with(HEAD) {
            return Err(wrong(&format!(": it does not begin with {HEAD:?}")).into());
        }
        for at in 2.. {
            line.clear();
            if file.read_line(&mut line).with_context(|| wrong(": read"))? == 0 || !line.ends_with('\n') {
                return Ok(());
            }
            self.add(line.trim_end()).with_context(|| wrong(&format!(" line {at}")))?;
        }
        Ok(())
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let (kind, id) = line.split_once(' ').context("no receipt")?;
        if (kind, id) == ("?", "-") {
            self.unnamed += 1;
            return Ok(());
        }
        let id = id.parse().context("no identity")?;
        match kind {
            "+" => self.sales.push(id),
            "w" => self.weather.push(id),
            "?" => self.unknown.push(id),
            _ => bail!("no receipt"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_back_and_a_cut_line_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("receipts");
        let ids: Vec<_> = (0..1000).map(|_| Uuid::now_v7()).collect();
        let writer = Writer::create(&path, &serde_json::json!({"seed": 17})).expect("creates");
        let mut pen = writer.pen();
        for id in &ids {
            pen.accepted(*id);
            pen.hand_over_some().await.expect("takes");
        }
        pen.unknown(ids[1]);
        pen.unnamed();
        pen.weather(ids[2]);
        pen.hand_over().await.expect("takes");
        drop(pen);
        tokio::task::spawn_blocking(|| writer.finish()).await.expect("ends").expect("writes");
        let mut text = std::fs::read_to_string(&path).expect("reads");
        assert!(text.starts_with("# blackfriday receipts 1 {\"seed\":17}\n+ "), "{text}");
        text.push_str("+ 019aa3c5-7e10");
        std::fs::write(&path, text).expect("writes");
        let mut receipts = Receipts::default();
        receipts.read(&path).expect("reads");
        let (weather, unknown) = (vec![ids[2]], vec![ids[1]]);
        assert_eq!(receipts, Receipts { sales: ids, weather, unknown, unnamed: 1 });
    }

    #[test]
    fn what_is_no_receipts_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("receipts");
        for text in
            ["", "+ x\n", &format!("{HEAD}{{}}\n+ nonsense\n"), &format!("{HEAD}{{}}\nz {}\n", Uuid::nil())]
        {
            std::fs::write(&path, text).expect("writes");
            assert!(Receipts::default().read(&path).is_err(), "{text}");
        }
    }
}
