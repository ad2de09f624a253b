//! Brings container images into a registry, without a daemon and without unpacking anything: from the archives that Nix's
//! dockerTools makes, and from the registries of others.
//!
//! Invariant: equal archives give equal digests, on any machine. One chunk of one layer is in memory at a time; what has
//! to be (un)compressed is in temporary files.

mod archive;
mod convert;
mod kustomize;
mod layer;
mod mirror;
mod push;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blackfriday_registry::{Access, AccessArguments, RegistryAuth, RegistryClient, tagged};
use blackfriday_terminal::failure::DataError;
use blackfriday_terminal::output;

use crate::archive::Archive;
use crate::convert::Image;
use crate::kustomize::Entry;

pub use crate::mirror::{Copied, Mirror, foreign};

/// Brings container images into a registry.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Push an image archive to a registry, without a container daemon.
    #[command(after_help = "Examples:\n  \
        blackfriday image push result registry.example:5000/blackfriday/gateway:0.2.0 --kustomize k8s/components/images\n  \
        ./result | blackfriday image push - registry.example:5000/blackfriday/gateway:0.2.0\n  \
        blackfriday image push --dry-run result\n\n\
        Prints each REF by digest. Layers that the registry has are not sent again. Exit code 64\n\
        for wrong arguments, 65 if the file is no image archive, 69 if the registry cannot be\n\
        reached, 77 if it refuses.")]
    Push(PushArguments),
    /// Copy the images of others that rendered manifests name, and take them from this registry, by digest.
    #[command(after_help = "Example:\n  \
        kustomize build k8s/overlays/minikube | blackfriday image mirror registry.example:5000 --kustomize k8s/generated/images\n\n\
        Prints each copy by digest. `k8s/generate.sh` takes a copy for as long as the manifests name what it is\n\
        a copy of. Exit codes as of `image push`.")]
    Mirror(MirrorArguments),
}

/// What goes where.
#[derive(clap::Args, Debug)]
pub struct PushArguments {
    /// A tar in the format of `docker save` or an OCI layout, also compressed by gzip; - for standard input.
    #[arg(value_name = "FILE")]
    archive: PathBuf,
    /// `host[:port]/path:tag`, one or more.
    #[arg(value_name = "REF", required_unless_present = "dry_run")]
    to: Vec<String>,
    /// Only print the image's digest and what it is made of; nothing is sent or written.
    #[arg(long)]
    dry_run: bool,
    /// Write the first REF and the digest into the Kustomize component in this folder, next to those of other images.
    #[arg(long, value_name = "DIR")]
    kustomize: Option<PathBuf>,
    /// The image's name in the manifests that the component is for; without it, the name in the archive or in the first REF.
    #[arg(long, value_name = "NAME:TAG", requires = "kustomize")]
    name: Option<String>,
    /// The registry as the cluster's nodes reach it, `host[:port]`, in the component in place of that of the first REF.
    #[arg(long, requires = "kustomize", value_name = "HOST")]
    cluster_registry: Option<String>,
    #[command(flatten)]
    access: AccessArguments,
}

/// What is copied where.
#[derive(clap::Args, Debug)]
pub struct MirrorArguments {
    /// `host[:port]` of the registry that gets the copies. The manifests come by standard input.
    #[arg(value_name = "HOST")]
    registry: String,
    /// The Kustomize component in which the copies take the images' places.
    #[arg(long, value_name = "DIR")]
    kustomize: PathBuf,
    #[command(flatten)]
    platform: PlatformArguments,
    #[command(flatten)]
    access: AccessArguments,
}

/// For which machines images are copied.
#[derive(clap::Args, Debug, Clone)]
pub struct PlatformArguments {
    /// The nodes' system and processor, of images that there are for several.
    #[arg(
        id = "mirror_platform",
        long = "mirror-platform",
        value_name = "OS/ARCH",
        default_value = "linux/amd64"
    )]
    pub platform: String,
}

/// Carries a command out.
///
/// # Errors
/// The file is no image archive, or the registry refuses or cannot be reached.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Push(arguments) => push_archive(arguments).await,
        Command::Mirror(arguments) => mirror_all(&arguments).await,
    }
}

async fn mirror_all(arguments: &MirrorArguments) -> Result<()> {
    let mut rendered = String::new();
    io::stdin().lock().read_to_string(&mut rendered).context(DataError("read the manifests".to_owned()))?;
    let (from, to) = (makers()?, arguments.access.client()?);
    let platform = &arguments.platform.platform;
    let mirror =
        Mirror { from: &from, to: &to, host: &arguments.registry, platform, component: &arguments.kustomize };
    for source in foreign(&rendered, &arguments.registry)? {
        let copied = mirror.copy(&source).await.with_context(|| format!("copy {source}"))?;
        output::note(format_args!("{source}: {}", copied.sent));
        output::line(copied.pinned);
    }
    Ok(())
}

/// A client of the registries of others, for what everybody may read.
///
/// # Errors
/// As [`RegistryClient::new`].
pub fn makers() -> Result<RegistryClient> {
    Ok(RegistryClient::new(&Access { ca: None, auth: RegistryAuth::Anonymous, plain_http: false })?)
}

async fn push_archive(arguments: PushArguments) -> Result<()> {
    let to = arguments.to.iter().map(|text| tagged(text)).collect::<Result<Vec<_>, _>>()?;
    if arguments.dry_run {
        describe(&read(arguments.archive).await?);
        return Ok(());
    }
    let registry = arguments.access.client()?;
    let image = read(arguments.archive).await?;
    for at in &to {
        let sent = push::push(&registry, at, &image).await?;
        output::note(format_args!("{at}: {sent}"));
        output::line(format_args!("{}/{}@{}", at.registry(), at.repository(), image.digest));
    }
    if let (Some(folder), Some(first)) = (&arguments.kustomize, to.first()) {
        let host = arguments.cluster_registry.as_deref().unwrap_or(first.registry());
        let new_name = format!("{host}/{}", first.repository());
        let in_ref = || first.repository().rsplit('/').next().unwrap_or_default().to_owned();
        let name = arguments.name.clone().or_else(|| image.name.clone()).unwrap_or_else(in_ref);
        let path = kustomize::write(folder, Entry { name, new_name, digest: image.digest.clone() })?;
        output::note(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

/// Pushes an archive as `host/name:tag`, and sets that name to the digest in the component. Gives the reference by digest,
/// and what was sent.
///
/// # Errors
/// As [`run`].
pub async fn push_as(
    registry: &RegistryClient,
    archive: &Path,
    to: &str,
    component: &Path,
) -> Result<(String, String)> {
    let at = tagged(to)?;
    let image = read(archive.to_owned()).await?;
    let sent = push::push(registry, &at, &image).await?.to_string();
    let (new_name, digest) = (format!("{}/{}", at.registry(), at.repository()), image.digest.clone());
    let pinned = format!("{new_name}@{digest}");
    let name = image.name.unwrap_or_else(|| at.repository().to_owned());
    kustomize::write(component, Entry { name, new_name, digest })?;
    Ok((pinned, sent))
}

/// What an archive calls its image, with the tag.
///
/// # Errors
/// The file is no image archive.
pub fn name_in(path: &Path) -> Result<Option<String>> {
    let name = Archive::open(path).and_then(|archive| convert::tagged_name(&archive));
    name.with_context(|| DataError(format!("{} is no image archive", path.display())))
}

async fn read(path: PathBuf) -> Result<Image> {
    let work = move || {
        let image = Archive::open(&path).and_then(|archive| Image::new(&archive));
        image.with_context(|| DataError(format!("{} is no image archive", path.display())))
    };
    tokio::task::spawn_blocking(work).await.context("the conversion died")?
}

fn describe(image: &Image) {
    output::line(&image.digest);
    let rows = image.blobs.iter().map(|blob| {
        vec![
            blob.descriptor.digest.clone(),
            blob.descriptor.size.to_string(),
            blob.descriptor.media_type.clone(),
        ]
    });
    output::note(format_args!("{} layers", image.layers()));
    output::table(&["blob", "bytes", "type"], rows);
}
