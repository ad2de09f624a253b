use std::fmt;
use std::io::{self, IsTerminal, Read, stderr};
use std::time::Duration;

use anyhow::Result;
use backon::{ExponentialBuilder, Retryable};
use blackfriday_registry::{CHUNK, Reference, RegistryClient, RegistryError};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::archive::Section;
use crate::convert::{Blob, Content, Image};

/// Between tries of a blob, of which there is one more than pauses.
const PAUSES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(500)).with_max_times(2);

/// Of a digest, as git shortens its own.
const DIGITS: usize = 12;

/// What a push came to.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) layers: usize,
    pub(crate) already_there: usize,
    pub(crate) bytes: u64,
}

/// Sends what the registry lacks, and then the manifest that names it.
pub(crate) async fn push(registry: &RegistryClient, at: &Reference, image: &Image) -> Result<Sent> {
    let bar = bar(image.blobs.iter().map(Blob::len).sum());
    let (config, layers) = image.blobs.split_last().expect("an image has a configuration");
    let mut sent = Sent::default();
    for layer in layers {
        if registry.has_blob(at, &layer.descriptor.digest).await? {
            sent.already_there += 1;
            bar.inc(layer.len());
            continue;
        }
        send(registry, at, layer, &bar).await?;
        sent.layers += 1;
        sent.bytes += layer.len();
    }
    if !registry.has_blob(at, &config.descriptor.digest).await? {
        send(registry, at, config, &bar).await?;
    }
    // First the name that it keeps: the next push takes the other one away, and a registry may collect what has none.
    registry.push_manifest(&lasting(at, &image.digest), image.manifest.clone()).await?;
    registry.push_manifest(at, image.manifest.clone()).await?;
    bar.finish_and_clear();
    Ok(sent)
}

/// `host/path:tag-0123456789ab`, of the digest.
fn lasting(at: &Reference, digest: &str) -> Reference {
    let digits: String = digest.chars().skip_while(|c| *c != ':').skip(1).take(DIGITS).collect();
    let tag = format!("{}-{digits}", at.tag().unwrap_or_default());
    Reference::with_tag(at.registry().to_owned(), at.repository().to_owned(), tag)
}

/// A chunked upload cannot be continued by a digest: one that fails is sent again from its start.
pub(crate) async fn send(
    registry: &RegistryClient,
    at: &Reference,
    blob: &Blob,
    bar: &ProgressBar,
) -> Result<(), RegistryError> {
    let before = bar.position();
    let send = || registry.push_blob(at, &blob.descriptor.digest, chunks(blob, bar));
    send.retry(PAUSES)
        .sleep(tokio::time::sleep)
        .when(|error| matches!(error, RegistryError::Request { .. }))
        .notify(|error, _pause| {
            tracing::info!(error = error as &dyn std::error::Error, "trying again");
            bar.set_position(before);
        })
        .await
}

fn chunks(blob: &Blob, bar: &ProgressBar) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let content = match &blob.content {
        Content::Section(section) => Ok(section.clone()),
        Content::Bytes(bytes) => Err(bytes.clone()),
    };
    let bar = bar.clone();
    stream::try_unfold(content, move |content| {
        let bar = bar.clone();
        async move {
            let next = match content {
                Ok(section) => {
                    tokio::task::spawn_blocking(|| chunk(section)).await.map_err(io::Error::other)??
                }
                Err(mut bytes) if !bytes.is_empty() => {
                    Some((bytes.split_to(bytes.len().min(CHUNK)), Err(bytes)))
                }
                Err(_) => None,
            };
            bar.inc(next.as_ref().map_or(0, |(chunk, _)| chunk.len() as u64));
            Ok(next)
        }
    })
}

/// The next chunk, and what follows it.
fn chunk(mut section: Section) -> io::Result<Option<(Bytes, Result<Section, Bytes>)>> {
    let mut chunk = Vec::new();
    (&mut section).take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), Ok(section))))
}

pub(crate) fn bar(bytes: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "  {bar:40} {bytes:>10} / {total_bytes}  {bytes_per_sec}";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    ProgressBar::new(bytes).with_style(style)
}

impl Blob {
    fn len(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Section(section) => section.len(),
        }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layers, already_there, bytes } = self;
        write!(f, "{layers} layers sent ({}), {already_there} already there", HumanBytes(*bytes))
    }
}
