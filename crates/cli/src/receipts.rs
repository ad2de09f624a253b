//! The receipts file: what a client was told, one line per event.
//!
//! ```text
//! # blackfriday receipts 1 {"url":"…","seed":17,"workload":"sha256:…"}
//! + 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d11      a sale was acknowledged
//! ? 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d12      a sale whose outcome is not known; - without an identity
//! w 019aa3c5-7e10-7bd4-9c3f-2f6b0a4f8d13      a weather report was acknowledged
//! ```

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::mpsc::{self, Sender};

const HEAD: &str = "# blackfriday receipts 1 ";
/// Lines that wait for the disk; over it the load waits, too.
const QUEUE: usize = 1024;

/// What a receipts file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipts {
    pub(crate) sales: Vec<uuid::Uuid>,
    pub(crate) weather: Vec<uuid::Uuid>,
    /// Outcomes that are not known, by identity.
    pub(crate) unknown: Vec<uuid::Uuid>,
    /// Outcomes that are not known, without an identity.
    pub(crate) unnamed: u64,
}

/// Writes a receipts file, on a thread of its own.
pub(crate) struct Writer {
    lines: Sender<String>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Writer {
    /// Creates the file, with a head that says where the receipts come from.
    pub(crate) fn create(path: &Path, about: &serde_json::Value) -> Result<Self> {
        let file = std::fs::File::create(path).with_context(|| format!("create {}", path.display()))?;
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

    /// Where lines go; each text is one or more whole lines.
    pub(crate) fn lines(&self) -> Sender<String> {
        self.lines.clone()
    }

    /// Writes what is left, and waits for the disk.
    pub(crate) fn finish(self) -> Result<()> {
        drop(self.lines);
        let written = self.thread.join().map_err(|_| anyhow!("the receipts' thread died"))?;
        written.context("write the receipts")
    }
}

impl Receipts {
    /// Reads a file and adds what it says. A last line that was cut off is left out.
    pub(crate) fn read(&mut self, path: &Path) -> Result<()> {
        let file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut file = BufReader::new(file);
        let mut line = String::new();
        file.read_line(&mut line)?;
        if !line.starts_with(HEAD) {
            bail!("{} is no receipts file: it does not begin with {HEAD:?}", path.display());
        }
        for at in 2.. {
            line.clear();
            if file.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                return Ok(());
            }
            self.add(line.trim_end()).with_context(|| format!("{} line {at}", path.display()))?;
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

    #[test]
    fn what_is_written_is_read_back_and_a_cut_line_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("receipts");
        let ids: Vec<_> = (0..3).map(|_| uuid::Uuid::now_v7()).collect();
        let writer = Writer::create(&path, &serde_json::json!({"seed": 17})).expect("creates");
        let lines = format!("+ {}\n? {}\nw {}\n? -\n+ 019aa3c5-7e10", ids[0], ids[1], ids[2]);
        writer.lines().blocking_send(lines).expect("takes");
        writer.finish().expect("writes");
        let mut receipts = Receipts::default();
        receipts.read(&path).expect("reads");
        let expected =
            Receipts { sales: vec![ids[0]], weather: vec![ids[2]], unknown: vec![ids[1]], unnamed: 1 };
        assert_eq!(receipts, expected);
    }

    #[test]
    fn what_is_no_receipts_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("receipts");
        for text in [
            "",
            "+ x\n",
            &format!("{HEAD}{{}}\n+ nonsense\n"),
            &format!("{HEAD}{{}}\nz {}\n", uuid::Uuid::nil()),
        ] {
            std::fs::write(&path, text).expect("writes");
            assert!(Receipts::default().read(&path).is_err(), "{text}");
        }
    }
}
