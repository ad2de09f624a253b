use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;

use crate::failure::Usage;

const STANDARD_INPUT: &str = "-";
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes of the largest archive, uncompressed: a small file may claim to be without end.
const LARGEST: u64 = 64 << 30;
/// Bytes of the largest JSON file in it: registries take no larger manifest.
const LARGEST_JSON: u64 = 4 << 20;
/// A link to a link and so on.
const LINKS: usize = 8;

/// The files in a tar, without unpacking it.
#[derive(Debug)]
pub(super) struct Archive {
    file: Arc<File>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File { offset: u64, size: u64 },
    Link(String),
}

/// A part of a file, read without moving the file's position.
#[derive(Debug, Clone)]
pub(super) struct Section {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = if path == Path::new(STANDARD_INPUT) {
            spool(io::stdin().lock())?
        } else {
            File::open(path).with_context(|| Usage(format!("open {}", path.display())))?
        };
        let file = uncompressed(file)?;
        let entries = entries(&file).context("it is no tar")?;
        Ok(Self { file: Arc::new(file), entries })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub(super) fn section(&self, name: &str) -> Result<Section> {
        let mut at = normal(name);
        for _ in 0..LINKS {
            match self.entries.get(&at) {
                Some(Entry::File { offset, size }) => {
                    return Ok(Section { file: Arc::clone(&self.file), offset: *offset, end: offset + size });
                }
                Some(Entry::Link(target)) => at.clone_from(target),
                None => bail!("{name} is missing in it"),
            }
        }
        bail!("{name} is a link without end")
    }

    /// A small file as a whole.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut section = self.section(name)?;
        ensure!(section.len() <= LARGEST_JSON, "{name} is over the limit of {LARGEST_JSON} bytes");
        let mut bytes = Vec::new();
        section.read_to_end(&mut bytes).with_context(|| format!("read {name}"))?;
        Ok(bytes)
    }
}

impl Section {
    pub(super) fn of(file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), offset: 0, end })
    }

    pub(super) fn len(&self) -> u64 {
        self.end - self.offset
    }

    pub(super) fn is_gzip(&self) -> io::Result<bool> {
        let mut magic = [0; GZIP.len()];
        Ok(self.len() >= magic.len() as u64 && {
            self.file.read_exact_at(&mut magic, self.offset)?;
            magic == GZIP
        })
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.len()).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        Ok(read)
    }
}

/// Sections need a file in which they can seek.
fn uncompressed(file: File) -> Result<File> {
    if !Section::of(file.try_clone()?)?.is_gzip()? {
        return Ok(file);
    }
    spool(MultiGzDecoder::new(BufReader::new(file))).context("decompress it")
}

fn spool(from: impl Read) -> Result<File> {
    let mut file = tempfile::tempfile()?;
    let copied = io::copy(&mut from.take(LARGEST + 1), &mut file)?;
    ensure!(copied <= LARGEST, "it is over the limit of {LARGEST} bytes");
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn entries(file: &File) -> Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(BufReader::new(file)).entries_with_seek()? {
        let entry = entry?;
        let name = normal(&entry.path()?.to_string_lossy());
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() {
            entries.insert(name, Entry::File { offset: entry.raw_file_position(), size: entry.size() });
        } else if let Some(target) = entry.link_name()? {
            let target = target.to_string_lossy();
            let beside = || name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            // A hard link's target counts from the root, a symbolic link's from its own folder.
            let target = if kind.is_hard_link() { target.into_owned() } else { beside() + &target };
            entries.insert(name, Entry::Link(normal(&target)));
        }
    }
    Ok(entries)
}

/// `a/b` for `./a/x/../b`.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_brought_into_one_form() {
        for (path, expected) in [("./manifest.json", "manifest.json"), ("a/../b//c", "b/c"), ("../../x", "x")]
        {
            assert_eq!(normal(path), expected);
        }
    }

    #[test]
    fn a_section_ends_where_it_ends_and_a_cut_one_is_told() {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(b"0123456789", 0).expect("written");
        let file = Arc::new(file);
        let mut text = String::new();
        let mut section = Section { file: Arc::clone(&file), offset: 2, end: 5 };
        section.read_to_string(&mut text).expect("read");
        assert_eq!(text, "234");
        let mut cut = Section { file, offset: 8, end: 12 };
        assert!(cut.read_to_string(&mut text).is_err());
    }
}
