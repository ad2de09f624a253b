//! A tar as `docker save` or an OCI layout has it, also compressed, read in place.
//!
//! Entries are sections of the file; nothing is unpacked. The archive may come from anywhere: links, sizes and nesting have
//! limits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output::in_a_line;
use flate2::read::MultiGzDecoder;

const STANDARD_INPUT: &str = "-";
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes of the largest archive, and of the largest layer in it, uncompressed: a small file may claim to be without end.
pub(crate) const LARGEST: u64 = 64 << 30;
/// Bytes of the largest JSON file in it: registries take no larger manifest.
const LARGEST_JSON: u64 = 4 << 20;
/// Characters of an error that are shown.
const SHOWN: usize = 120;
/// A link to a link and so on.
const LINKS: usize = 8;

/// The files in a tar, without unpacking it.
#[derive(Debug)]
pub(crate) struct Archive {
    file: Arc<File>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    /// Within the archive's file.
    File {
        offset: u64,
        end: u64,
    },
    Link(String),
}

/// A part of a file, read without moving the file's position.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Archive {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = if path == Path::new(STANDARD_INPUT) {
            spool(io::stdin().lock())?
        } else {
            File::open(path).with_context(|| Usage(format!("open {}", path.display())))?
        };
        let file = uncompressed(file)?;
        // The reader's error quotes the file, whatever it holds.
        let not_a_tar = |error: Error| anyhow!("it is no tar: {}", in_a_line(&format!("{error:#}"), SHOWN));
        let entries = entries(&file).map_err(not_a_tar)?;
        Ok(Self { file: Arc::new(file), entries })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub(crate) fn section(&self, name: &str) -> Result<Section> {
        let mut at = normal(name);
        for _ in 0..LINKS {
            match self.entries.get(&at) {
                Some(Entry::File { offset, end }) => {
                    return Ok(Section { file: Arc::clone(&self.file), offset: *offset, end: *end });
                }
                Some(Entry::Link(target)) => at.clone_from(target),
                None => bail!("{name} is missing in it"),
            }
        }
        bail!("{name} is a link without end")
    }

    /// A small file as a whole.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut section = self.section(name)?;
        ensure!(section.len() <= LARGEST_JSON, "{name} is over the limit of {LARGEST_JSON} bytes");
        let mut bytes = Vec::new();
        section.read_to_end(&mut bytes).with_context(|| format!("read {name}"))?;
        Ok(bytes)
    }
}

impl Section {
    pub(crate) fn of(file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), offset: 0, end })
    }

    pub(crate) fn len(&self) -> u64 {
        self.end - self.offset
    }

    pub(crate) fn is_gzip(&self) -> io::Result<bool> {
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

/// The sizes are those that the archive claims: it may be cut off, or forged.
fn entries(file: &File) -> Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    let length = file.metadata()?.len();
    for entry in tar::Archive::new(BufReader::new(file)).entries_with_seek()? {
        let entry = entry?;
        let name = normal(&entry.path()?.to_string_lossy());
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() {
            let (offset, size) = (entry.raw_file_position(), entry.size());
            let end = offset.checked_add(size).filter(|end| *end <= length);
            let end = end.with_context(|| format!("{name} is {size} bytes long, and it ends before"))?;
            entries.insert(name, Entry::File { offset, end });
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

    /// A tar with one entry, whose header says this of its size: 12 octal digits, or GNU's base-256 form of larger numbers.
    fn forged(size: [u8; 12], pax_size: Option<&str>) -> File {
        let entry = |kind: tar::EntryType, size: [u8; 12], content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_path("a").expect("a name");
            header.set_mode(0o644);
            header.set_entry_type(kind);
            header.as_old_mut().size = size;
            header.set_cksum();
            let mut bytes = header.as_bytes().to_vec();
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            bytes
        };
        let mut bytes = Vec::new();
        if let Some(pax_size) = pax_size {
            let length = (1..).find(|length| format!("{length} size={pax_size}\n").len() == *length);
            let record = format!("{} size={pax_size}\n", length.expect("some length fits"));
            let mut octal = [b'0'; 12];
            octal[..11].copy_from_slice(format!("{:011o}", record.len()).as_bytes());
            octal[11] = 0;
            bytes.extend(entry(tar::EntryType::XHeader, octal, record.as_bytes()));
        }
        bytes.extend(entry(tar::EntryType::Regular, size, b"hello"));
        bytes.resize(bytes.len() + 1024, 0);
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&bytes, 0).expect("written");
        file
    }

    fn base_256(size: u64) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[0] = 0x80;
        bytes[4..].copy_from_slice(&size.to_be_bytes());
        bytes
    }

    #[test]
    fn a_forged_size_is_refused_and_never_added_up() {
        let right = entries(&forged(*b"00000000005\0", None)).expect("a tar");
        assert!(matches!(right["a"], Entry::File { offset: 512, end: 517 }));
        for size in
            [u64::MAX, u64::MAX - 511, u64::MAX - 512, u64::MAX - 1023, 1 << 63, i64::MAX as u64, 1 << 40]
        {
            assert!(entries(&forged(base_256(size), None)).is_err(), "{size}");
            let size = size.to_string();
            assert!(entries(&forged(*b"00000000005\0", Some(&size))).is_err(), "pax {size}");
        }
        // Larger than the archive, and than nothing else: the last entry is cut off.
        assert!(entries(&forged(*b"77777777777\0", None)).is_err());
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
