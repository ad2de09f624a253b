//! The receipts file: what a client sent and how it was answered, one line per event.
//!
//! ```text
//! # blackfriday receipts 2 {"url":"…","seed":17,"workload":"sha256:…"}
//! + 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11 5f0c71a2b9d3e846        a sale was acknowledged
//! w 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d13 9b1e04cc72a85d30        a weather report was acknowledged
//! ? 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d12 5f0c71a2b9d3e846        an event whose outcome is not known
//! - 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d14 503 77d2a1506be9f418    an event was refused, with this status; 0: never sent
//! ```
//!
//! The identity is the answer's, or that which the idempotency key gives; `-` is one that is not known. The last
//! word is the [`Content`] of what was sent; it may be missing. Version 1 had identities only, and is still read.
//!
//! `load` and `demo` write it, `verify` reads it: the format is in this one place.

mod content;

use std::fmt::{self, Write as _};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use blackfriday_terminal::failure::Usage;
use tokio::sync::mpsc::{self, Sender};
use uuid::Uuid;

pub use content::Content;

const HEAD: &str = "# blackfriday receipts ";
const VERSION: u32 = 2;
/// In the place of an identity that is not known.
const UNNAMED: &str = "-";
/// Texts that wait for the disk; over it the load waits, too.
const QUEUE: usize = 1024;
/// A pen's lines are handed over when there are this many bytes of them, or when they are this old.
const FULL: usize = 4096;
const LONGEST_KEPT: Duration = Duration::from_millis(100);

/// What receipts files say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Receipts {
    /// Acknowledged.
    pub sales: Vec<Receipt>,
    /// Acknowledged.
    pub weather: Vec<Receipt>,
    /// Outcomes that are not known, by identity.
    pub unknown: Vec<Receipt>,
    /// Outcomes that are not known, without an identity.
    pub unnamed: Vec<Option<Content>>,
    /// Refused, by identity.
    pub refused: Vec<Refusal>,
    /// Refused before they had an identity.
    pub refused_unnamed: Vec<Option<Content>>,
}

/// A line about an event with an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The event's.
    pub id: Uuid,
    /// What was sent, if the file says so.
    pub content: Option<Content>,
}

/// An event that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Which event.
    pub receipt: Receipt,
    /// HTTP status of the answer; 0 if it was never sent.
    pub status: u16,
}

/// What one connection writes with.
pub struct Pen {
    lines: Sender<String>,
    kept: String,
    handed_over: Instant,
}

/// Writes a receipts file, on a thread of its own.
pub struct Writer {
    lines: Sender<String>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Writer {
    /// Creates the file, with a head that says where the receipts come from.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path, about: &serde_json::Value) -> Result<Self> {
        let file =
            std::fs::File::create(path).with_context(|| Usage(format!("create {}", path.display())))?;
        let (lines, mut receiver) = mpsc::channel::<String>(QUEUE);
        let head = format!("{HEAD}{VERSION} {about}\n");
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
    pub fn pen(&self) -> Pen {
        Pen { lines: self.lines.clone(), kept: String::with_capacity(FULL), handed_over: Instant::now() }
    }

    /// Writes what was handed over, and waits for the disk. Every pen must be gone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<()> {
        drop(self.lines);
        let written = self.thread.join().map_err(|_| anyhow!("the receipts' thread died"))?;
        written.context("write the receipts")
    }
}

impl Pen {
    /// A sale was acknowledged.
    pub fn accepted(&mut self, id: Uuid, content: Option<Content>) {
        self.line(format_args!("+ {}", id.hyphenated()), content);
    }

    /// A weather report was acknowledged.
    pub fn weather(&mut self, id: Uuid, content: Option<Content>) {
        self.line(format_args!("w {}", id.hyphenated()), content);
    }

    /// The outcome of an event is not known.
    pub fn unknown(&mut self, id: Option<Uuid>, content: Option<Content>) {
        self.line(format_args!("? {}", Name(id)), content);
    }

    /// An event was refused.
    pub fn refused(&mut self, id: Option<Uuid>, status: u16, content: Option<Content>) {
        self.line(format_args!("- {} {status}", Name(id)), content);
    }

    /// Hands lines over if there are many, or if they are old.
    ///
    /// # Errors
    /// The file cannot be written any more.
    pub async fn hand_over_some(&mut self) -> Result<()> {
        if self.kept.len() < FULL && self.handed_over.elapsed() < LONGEST_KEPT {
            return Ok(());
        }
        self.hand_over().await
    }

    /// Hands all lines over.
    ///
    /// # Errors
    /// The file cannot be written any more.
    pub async fn hand_over(&mut self) -> Result<()> {
        self.handed_over = Instant::now();
        if self.kept.is_empty() {
            return Ok(());
        }
        let lines = std::mem::replace(&mut self.kept, String::with_capacity(FULL));
        self.lines.send(lines).await.context("the receipts cannot be written")
    }

    fn line(&mut self, what: fmt::Arguments<'_>, content: Option<Content>) {
        const INFALLIBLE: &str = "writing into a String cannot fail";
        match content {
            Some(content) => writeln!(self.kept, "{what} {content}").expect(INFALLIBLE),
            None => writeln!(self.kept, "{what}").expect(INFALLIBLE),
        }
    }
}

struct Name(Option<Uuid>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => id.hyphenated().fmt(f),
            None => f.write_str(UNNAMED),
        }
    }
}

impl Receipts {
    /// Reads a file and adds what it says. A last line that was cut off is left out.
    ///
    /// # Errors
    /// The file cannot be read, or is no receipts file of a version that is known.
    pub fn read(&mut self, path: &Path) -> Result<()> {
        let wrong = |what: &str| Usage(format!("receipts {}{what}", path.display()));
        let file = std::fs::File::open(path).with_context(|| wrong(": open"))?;
        let mut file = BufReader::new(file);
        let mut line = String::new();
        file.read_line(&mut line).with_context(|| wrong(": read"))?;
        check_head(&line).map_err(|error| wrong(&format!(": {error}")))?;
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
        let words: Vec<_> = line.split(' ').collect();
        let (kind, id, status, content) = match *words.as_slice() {
            ["-", id, status] => ("-", id, status, None),
            ["-", id, status, content] => ("-", id, status, Some(content)),
            ["+" | "w" | "?", id] => (words[0], id, "", None),
            ["+" | "w" | "?", id, content] => (words[0], id, "", Some(content)),
            _ => bail!("no receipt: {line:?}"),
        };
        let content = content.map(str::parse).transpose()?;
        let id = if id == UNNAMED { None } else { Some(id.parse().context("no identity")?) };
        let receipt = id.map(|id| Receipt { id, content });
        match (kind, receipt) {
            ("+", Some(receipt)) => self.sales.push(receipt),
            ("w", Some(receipt)) => self.weather.push(receipt),
            ("?", Some(receipt)) => self.unknown.push(receipt),
            ("?", None) => self.unnamed.push(content),
            ("-", receipt) => {
                let status = status.parse().context("no status")?;
                match receipt {
                    Some(receipt) => self.refused.push(Refusal { receipt, status }),
                    None => self.refused_unnamed.push(content),
                }
            }
            _ => bail!("an acknowledgement without an identity"),
        }
        Ok(())
    }
}

/// Why it is not the head of a file that can be read.
fn check_head(line: &str) -> Result<(), String> {
    let version = line.strip_prefix(HEAD).and_then(|rest| rest.split_once(' ')?.0.parse::<u32>().ok());
    match version {
        Some(1..=VERSION) => Ok(()),
        Some(newer) => Err(format!("they are of version {newer}, and this program reads 1 to {VERSION}")),
        None => Err(format!("it does not begin with \"{HEAD}{VERSION} \"")),
    }
}

#[cfg(test)]
mod tests;
