use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result, ensure};
use blackfriday_registry::digest;
use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

use crate::archive::{LARGEST, Section};

/// Of gzip. Level, header and library (flate2 with miniz_oxide, fixed by Cargo.lock) decide the bytes, and so the digest.
const LEVEL: u32 = 6;
/// "Unknown", RFC 1952: not the system of the machine.
const OPERATING_SYSTEM: u8 = 255;

/// A layer, compressed.
pub(crate) struct Layer {
    pub(crate) content: Section,
    pub(crate) digest: String,
    /// Digest of the tar within, which the image's configuration names.
    pub(crate) diff_id: String,
}

/// Passes on what is read, and what it amounts to.
struct Watched<R> {
    reader: R,
    hash: digest::Hasher,
}

/// Compresses a layer into a temporary file; one that is compressed already is compressed again.
pub(crate) fn compress(layer: Section) -> Result<Layer> {
    if layer.is_gzip()? {
        pack(MultiGzDecoder::new(BufReader::new(layer)))
    } else {
        pack(BufReader::new(layer))
    }
}

fn pack(layer: impl Read) -> Result<Layer> {
    let mut watched = Watched { reader: layer, hash: digest::Hasher::default() };
    let file = tempfile::tempfile().context("make a temporary file")?;
    let builder = GzBuilder::new().mtime(0).operating_system(OPERATING_SYSTEM);
    let mut encoder = builder.write(BufWriter::new(file), Compression::new(LEVEL));
    let copied = io::copy(&mut (&mut watched).take(LARGEST + 1), &mut encoder).context("compress a layer")?;
    ensure!(copied <= LARGEST, "a layer is over the limit of {LARGEST} bytes");
    let mut buffer = encoder.finish()?;
    buffer.flush()?;
    let file = rewound(buffer.into_inner().map_err(io::IntoInnerError::into_error)?)?;
    let digest = digest::sha256_of(BufReader::new(&file))?;
    Ok(Layer { content: Section::of(file)?, digest, diff_id: watched.hash.finish() })
}

fn rewound(mut file: File) -> io::Result<File> {
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn section(bytes: &[u8]) -> Section {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("written");
        Section::of(file).expect("a section")
    }

    #[test]
    fn a_layer_is_compressed_to_the_same_bytes_in_every_version() {
        let text = (0..20_000).map(|n| format!("line {}\n", n * n % 977)).collect::<String>();
        let once = compress(section(text.as_bytes())).expect("compressed");
        assert_eq!(once.diff_id, digest::sha256(&text));
        assert_eq!(once.digest, "sha256:ff78492754687a6546d6a44ab6468c9fc0399bf151c8cade032f4e43fe57da0b");
        let mut bytes = Vec::new();
        once.content.clone().read_to_end(&mut bytes).expect("read");
        let again = compress(section(&bytes)).expect("compressed again");
        assert_eq!((again.digest, again.diff_id), (once.digest, once.diff_id));
    }
}
