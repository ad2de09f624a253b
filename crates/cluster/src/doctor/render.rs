use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use blackfriday_terminal::failure::{FileError, Unavailable};
use serde::Deserialize as _;
use tempfile::TempDir;

use super::object::{List, Object};
use crate::overlay::Overlay;
use crate::shell::Shell;

/// What overlays are made of.
const PARTS: [&str; 3] = ["base", "components", "overlays"];
/// In place of the secrets that were not made yet.
const NOTHING: &str = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n\
    generatorOptions:\n  disableNameSuffixHash: true\n";

/// The objects of an overlay, as they would be applied; without Secrets and digests before those are there.
pub(super) async fn render(shell: &Shell, overlay: &Overlay) -> Result<Vec<Object>> {
    let yaml = if Path::new(&overlay.folder("generated/kustomization.yaml")).exists() {
        shell.build(&overlay.own_folder()).await?
    } else {
        let copy = copy(&overlay.manifests).context(FileError("copy the manifests".to_owned()))?;
        shell.build(&Overlay::read(copy.path(), &overlay.name)?.own_folder()).await?
    };
    // kubectl has no command that turns YAML into JSON; `label --local` does, asks no cluster, and knows no kind.
    let words = ["label", "--local", "-f", "-", "-o", "json", "blackfriday-doctor=rendered"];
    let list = shell.json(&words, Some(&yaml)).await?;
    let objects = List::deserialize(&list).context(Unavailable("kubectl label: no list came".to_owned()))?;
    Ok(objects.items)
}

fn copy(manifests: &Path) -> std::io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for part in PARTS {
        copy_folder(&manifests.join(part), &folder.path().join(part))?;
    }
    let generated = folder.path().join("generated");
    fs::create_dir(&generated)?;
    fs::write(generated.join("kustomization.yaml"), NOTHING)?;
    Ok(folder)
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
