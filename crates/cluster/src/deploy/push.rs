//! Images and the workload on their way into the registry.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blackfriday_registry::RegistryError;
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::file;

/// An archive, and what the registry shall call it: by itself if it is given, else as the archive does.
pub(super) fn named(text: &str) -> Result<(PathBuf, String)> {
    if let Some((path, name)) = text.split_once('=') {
        return Ok((PathBuf::from(path), name.to_owned()));
    }
    let path = PathBuf::from(text);
    let name = blackfriday_image::name_in(&path)?.with_context(|| {
        Usage(format!("--images {text}: it has no name inside: --images {text}=blackfriday/NAME:TAG"))
    })?;
    Ok((path, name))
}

/// Says what a registry's answer means, and what to do.
pub(super) fn explained(error: anyhow::Error, to: &str) -> anyhow::Error {
    let registry = to.split('/').next().unwrap_or(to);
    let Some(kind) = error.downcast_ref::<RegistryError>() else { return error };
    let said = format!("{error:#}").to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let text = match kind {
        RegistryError::Denied { .. } => format!(
            "{registry} refuses: are BLACKFRIDAY_REGISTRY_USERNAME and BLACKFRIDAY_REGISTRY_PASSWORD_FILE what `blackfriday \
             registry` printed?"
        ),
        _ if says(&["no space left", "insufficient storage", "status: 507", "code: 507", "507 "]) => format!(
            "the disk of the registry {registry} is full: give it room, or remove images there that no deployment uses; then \
             run deploy again, what was pushed is not sent again"
        ),
        _ if says(&["certificate", "ssl", "tls"]) => {
            format!("{registry} is not trusted: --ca FILE, or BLACKFRIDAY_REGISTRY_CA, names its authority")
        }
        RegistryError::Request { .. } if says(&["status: 5", "code: 5", "server error"]) => format!(
            "the registry {registry} failed; its own log says why (a full disk, most often); then run deploy again, what was \
             pushed is not sent again"
        ),
        RegistryError::Request { .. } => {
            format!(
                "the registry {registry} cannot be reached: is it running? docs/registry.md says how to start one"
            )
        }
        _ => format!("push to {registry}"),
    };
    error.context(text)
}

/// The file that is pushed as the workload.
pub(super) fn workload(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| Usage(format!("--workload {}", path.display())))
}

/// Writes the reference by which the workload is pulled in the cluster.
pub(super) fn keep(pinned: &str, path: &Path) -> Result<()> {
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = written.and_then(|()| file::replace(path, &format!("{pinned}\n")));
    written.with_context(|| Usage(format!("write {}", path.display())))
}
