//! Blobs: what a manifest names by digest.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use oci_client::Reference;
use oci_client::client::{BlobResponse, SizedStream};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciDescriptor;

use crate::client::RegistryClient;
use crate::digest;
use crate::error::{RegistryError, status};

/// Bytes of a blob that are sent in one request, and held in memory at a time: the largest that the client does not split
/// again.
pub const CHUNK: usize = 4 * 1024 * 1024;
/// After connections in a row that brought nothing new: a pull gives up at the fifth.
const PAUSES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(100)).with_max_times(4);

/// A file that a blob is collected in, kept over a pull that fails.
struct Part {
    path: PathBuf,
    file: File,
}

impl RegistryClient {
    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// The registry refuses to say, or cannot be asked.
    pub async fn has_blob(&self, at: &Reference, digest: &str) -> Result<bool, RegistryError> {
        self.sign_in(at).await;
        let found = self.client.blob_exists(at, digest).await;
        found.map_err(|error| RegistryError::from_client("look for a layer of", at, error))
    }

    /// Sends a blob, a request for each item of the stream, none of them larger than [`CHUNK`].
    ///
    /// # Errors
    /// The registry refuses it, the transfer breaks off, or the bytes have another digest.
    pub async fn push_blob(
        &self,
        at: &Reference,
        digest: &str,
        bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), RegistryError> {
        self.sign_in(at).await;
        let bytes = bytes.map(|chunk| chunk.map_err(OciDistributionError::IoError));
        let pushed = self.client.push_blob_stream(at, bytes, digest, None).await;
        pushed.map(drop).map_err(|error| RegistryError::from_client("write a layer of", at, error))
    }

    /// Sends a small blob unless the repository has it. Whether it was sent.
    ///
    /// # Errors
    /// As [`RegistryClient::push_blob`].
    pub async fn push_bytes(&self, at: &Reference, bytes: Bytes) -> Result<bool, RegistryError> {
        let digest = digest::sha256(&bytes);
        if self.has_blob(at, &digest).await? {
            return Ok(false);
        }
        let chunks: Vec<_> = bytes.chunks(CHUNK).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
        self.push_blob(at, &digest, futures_util::stream::iter(chunks)).await?;
        Ok(true)
    }

    /// Brings a blob into the file `target`, which is there whole, with the right digest, or not at all.
    ///
    /// What comes is collected next to it, in a hidden file named after the digest. A transfer that breaks off is continued
    /// from there, by this call and by later ones.
    ///
    /// # Errors
    /// The registry refuses it, the bytes are not what the digest says, the transfer breaks off again and again, or a file
    /// cannot be written.
    pub async fn pull_blob(
        &self,
        at: &Reference,
        blob: &OciDescriptor,
        target: &Path,
    ) -> Result<(), RegistryError> {
        self.sign_in(at).await;
        let mut part = Part::open(target, &blob.digest)?;
        let mut began_again = part.len()? == 0;
        loop {
            self.collect(at, blob, &mut part).await?;
            let found = part.digest()?;
            if found == blob.digest {
                return part.become_file(target);
            }
            part.empty()?;
            if began_again {
                part.remove();
                let (what, expected) = (format!("what {} sent for {at}", at.registry()), blob.digest.clone());
                return Err(RegistryError::Digest { what, expected, found });
            }
            tracing::info!("what an earlier pull left behind was no beginning of this file, starting over");
            began_again = true;
        }
    }

    /// Receives until the part is as long as the blob.
    async fn collect(
        &self,
        at: &Reference,
        blob: &OciDescriptor,
        part: &mut Part,
    ) -> Result<(), RegistryError> {
        let size = u64::try_from(blob.size).unwrap_or(0);
        if part.len()? > size {
            part.empty()?;
        }
        let (mut most, mut pauses) = (part.len()?, PAUSES.build());
        while part.len()? < size {
            let Err(source) = self.receive(at, blob, part).await? else { break };
            let received = part.len()?;
            if received > most {
                (most, pauses) = (received, PAUSES.build());
            }
            let Some(pause) = pauses.next() else {
                return Err(RegistryError::Cut { what: at.whole(), received, size, source });
            };
            tracing::info!(%source, received, size, "the transfer broke off, continuing");
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Receives once. The inner error is one that another try may not meet.
    async fn receive(
        &self,
        at: &Reference,
        blob: &OciDescriptor,
        part: &mut Part,
    ) -> Result<io::Result<()>, RegistryError> {
        let offset = part.len()?;
        let answer = self.client.pull_blob_stream_partial(at, blob, offset, None).await;
        let stream = match answer {
            Ok(BlobResponse::Partial(stream)) => stream,
            Ok(BlobResponse::Full(stream)) => {
                part.empty()?;
                stream
            }
            // It has less than there is already: that was of another file.
            Err(error) if status(&error) == Some(416) && offset > 0 => {
                part.empty()?;
                return Ok(Err(io::Error::other(error)));
            }
            Err(error) if may_pass(&error) => return Ok(Err(io::Error::other(error))),
            Err(error) => return Err(RegistryError::from_client("read", at, error)),
        };
        part.append(stream, u64::try_from(blob.size).unwrap_or(0)).await
    }
}

/// A failure of the way to the registry or of its load, and no answer to the request.
fn may_pass(error: &OciDistributionError) -> bool {
    match status(error) {
        Some(status) => status == 429 || status >= 500,
        None => matches!(error, OciDistributionError::RequestError(_)),
    }
}

impl Part {
    fn open(target: &Path, digest: &str) -> Result<Self, RegistryError> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.{}.part", digest.replace(':', "-")));
        let failed = |source| RegistryError::File { action: "write", path: path.clone(), source };
        let file = OpenOptions::new().create(true).append(true).read(true).open(&path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(source) => failed(source),
            TryLockError::WouldBlock => {
                failed(io::Error::new(io::ErrorKind::ResourceBusy, "another pull is writing it"))
            }
        })?;
        Ok(Self { path, file })
    }

    fn len(&self) -> Result<u64, RegistryError> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(RegistryError::file("read", &self.path))
    }

    fn empty(&mut self) -> Result<(), RegistryError> {
        self.file.set_len(0).map_err(RegistryError::file("empty", &self.path))
    }

    /// Writes what comes, but not more than `size` bytes in all: the rest is of no use and may have no end.
    async fn append(&mut self, mut stream: SizedStream, size: u64) -> Result<io::Result<()>, RegistryError> {
        let mut missing = size.saturating_sub(self.len()?);
        while missing > 0 {
            let chunk = match stream.next().await {
                Some(Ok(chunk)) => chunk,
                // The client's own check of a whole answer comes at its end, too: too little has come.
                Some(Err(error)) => return Ok(Err(error)),
                None => return Ok(Err(io::ErrorKind::UnexpectedEof.into())),
            };
            let wanted = usize::try_from(missing).unwrap_or(usize::MAX).min(chunk.len());
            self.file.write_all(&chunk[..wanted]).map_err(RegistryError::file("write", &self.path))?;
            missing -= wanted as u64;
        }
        Ok(Ok(()))
    }

    fn digest(&self) -> Result<String, RegistryError> {
        let file = File::open(&self.path).and_then(digest::sha256_of);
        file.map_err(RegistryError::file("read", &self.path))
    }

    fn become_file(self, target: &Path) -> Result<(), RegistryError> {
        self.file.sync_all().map_err(RegistryError::file("write", &self.path))?;
        fs::rename(&self.path, target).map_err(RegistryError::file("write", target))
    }

    fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot be removed");
        }
    }
}
