//! What the manifests run of ours besides the services: each program knows the words that its container gives it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::program;

const MANIFESTS: [&str; 6] = [
    "base/verify/redrive.cron-job.yaml",
    "base/verify/resume.cron-job.yaml",
    "base/verify/smoke.cron-job.yaml",
    "base/verify/verify.cron-job.yaml",
    "components/valkey-common/sentinel.stateful-set.yaml",
    "components/valkey-plain/stateful-set.yaml",
];

/// The first of our tools' images in a manifest, and the arguments of its container.
fn container(manifest: &str) -> Option<(String, Vec<String>)> {
    let mut lines = manifest.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let image = lines.find_map(|line| line.strip_prefix("image: blackfriday/"))?;
    let (name, _) = image.split_once(':')?;
    let arguments =
        lines.skip_while(|line| *line != "args:").skip(1).map_while(|line| line.strip_prefix("- "));
    let arguments = arguments.map(|word| {
        let word = word.trim_matches('"');
        word.replace("$(MEMORY_BYTES)", "1").replace("$(POD_NAME)", "pod-0")
    });
    Some((name.to_owned(), arguments.collect()))
}

#[test]
fn every_program_knows_the_arguments_of_its_container() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s");
    for name in MANIFESTS {
        let manifest = fs::read_to_string(folder.join(name)).context(name)?;
        let (image, arguments) =
            container(&manifest).with_context(|| format!("{name}: no container of ours"))?;
        ensure!(!arguments.is_empty(), "{name}: no arguments");
        // Help is shown only if everything before it was understood.
        let output = Command::new(program(&format!("blackfriday-{image}"))?)
            .args(&arguments)
            .arg("--help")
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {image} {arguments:?}: {said}");
        let wrong = Command::new(program(&format!("blackfriday-{image}"))?)
            .args(["--of-nobody", "--help"])
            .output()?;
        ensure!(wrong.status.code() == Some(64), "{image} takes whatever it is given");
    }
    Ok(())
}
