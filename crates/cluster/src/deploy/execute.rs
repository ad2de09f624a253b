//! Carries the steps out, one after the other, and says what each changed.

mod apply;
mod removal;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, Result};
use blackfriday_image::Mirror;
use blackfriday_registry::{RegistryClient, tagged};
use blackfriday_terminal::failure::Unavailable;
use blackfriday_terminal::output;
use blackfriday_workload::artifact;

use super::changes::Changes;
use super::plan::Request;
use super::push;
use super::release::Release;
use super::step::{Source, Step};
use super::target::Target;
use super::wait::{Pace, Wait, told};
use crate::doctor::{self, DoctorArguments};
use crate::line::Line;
use crate::shell::{Shell, last_lines};

/// A deployment on its way.
pub(super) struct Run<'a> {
    request: &'a Request,
    typed: &'a Shell,
    /// For what the step says that is under way, and for nothing else.
    shell: Shell,
    pace: Pace,
    registry: Option<RegistryClient>,
    doctor: DoctorArguments,
    /// Operators that somebody else installed.
    foreign: BTreeSet<&'static str>,
    changes: Changes,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        request: &'a Request,
        typed: &'a Shell,
        pace: Pace,
        registry: Option<RegistryClient>,
        doctor: DoctorArguments,
    ) -> Self {
        let (foreign, changes) = (BTreeSet::new(), Changes::default());
        Self { request, typed, shell: typed.only(Vec::new()), pace, registry, doctor, foreign, changes }
    }

    /// False if a step's answer was no: the rest is not done.
    pub(super) async fn all(&mut self, steps: &[Step]) -> Result<bool> {
        let count = steps.len();
        for (at, step) in steps.iter().enumerate() {
            output::note(format_args!("[{}/{count}] {}", at + 1, step.title()));
            if !self.step(step).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Of all that was applied.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    async fn step(&mut self, step: &Step) -> Result<bool> {
        self.shell = self.typed.only([step.commands(self.typed), step.questions(self.typed)].concat());
        match step {
            Step::Preflight { .. } => return self.preflight().await,
            Step::Push { archive, to, component } => self.push(archive, to, component).await?,
            Step::PushWorkload { file, to, reference } => self.push_workload(file, to, reference).await?,
            Step::Generate { line, secrets } => self.generate(line, secrets).await?,
            Step::Mirror { source, host, platform, component } => {
                self.mirror(source, host, platform, component).await?;
            }
            Step::Namespaces { folder } => self.namespaces(folder).await?,
            Step::Install { release, folder, fetch } => self.install(release, folder, fetch).await?,
            Step::Of(release, step) => self.of(release, step).await?,
            Step::RenewSetup { setup, overlay } => self.renew_setup(setup, overlay).await?,
            Step::RestoreLog { overlay } => self.restore_log(overlay).await?,
            Step::Apply { folder, force, setup } => self.apply(folder, *force, *setup).await?,
            Step::Await(target) => self.until_ready(target).await?,
            Step::Try { cron_job, job } => return self.try_once(cron_job, job).await,
            Step::Addresses => self.addresses().await?,
            Step::SaveLogId => self.save_log_id().await?,
            Step::ReleaseTopics => self.release_topics().await?,
            Step::Delete { words, .. } => self.delete(words).await?,
            Step::Uninstall(release) => self.uninstall(release).await?,
            Step::RemoveNamespace(name) => self.remove_namespace(name).await?,
            Step::RemoveSecrets(folder) => removal::remove_secrets(folder)?,
        }
        Ok(true)
    }

    async fn preflight(&self) -> Result<bool> {
        let report = doctor::examine(&self.doctor).await?;
        output::note(&report);
        if !report.works() {
            output::note(
                "the cluster is not fit for it yet, and nothing was changed; --skip-preflight goes on all the same",
            );
        }
        Ok(report.works())
    }

    async fn of(&mut self, release: &Release, step: &Step) -> Result<()> {
        if self.foreign.contains(release.name) {
            output::note(format_args!("  {} is not ours: left as it is", release.name));
            return Ok(());
        }
        Box::pin(self.step(step)).await.map(drop)
    }

    async fn push(&self, archive: &Path, to: &str, component: &Path) -> Result<()> {
        let registry = self.registry.as_ref().expect("a push is planned only with a registry");
        let pushed = blackfriday_image::push_as(registry, archive, to, component).await;
        let (pinned, sent) = pushed.map_err(|error| push::explained(error, to))?;
        output::note(format_args!("  {pinned}: {sent}"));
        Ok(())
    }

    async fn push_workload(&self, file: &Path, to: &str, reference: &Path) -> Result<()> {
        let registry = self.registry.as_ref().expect("a push is planned only with a registry");
        let at = tagged(to)?;
        let pushed = artifact::push(registry, &at, push::workload(file)?).await;
        let pushed = pushed.map_err(|error| push::explained(error.into(), to))?;
        push::keep(&pushed.pinned, reference)?;
        let sent = if pushed.was_sent { "sent" } else { "already there" };
        output::note(format_args!("  {}: {sent}", pushed.pinned));
        Ok(())
    }

    async fn mirror(&self, source: &Source, host: &str, platform: &str, component: &Path) -> Result<()> {
        let to = self.registry.as_ref().expect("copies are planned only with a registry");
        if let Some(fetch) = &source.fetch {
            self.shell.script(fetch).await?;
        }
        let (from, rendered) = (blackfriday_image::makers()?, self.shell.build(&source.folder).await?);
        let mirror = Mirror { from: &from, to, host, platform, component };
        let sources = blackfriday_image::foreign(&String::from_utf8_lossy(&rendered), host)?;
        if sources.is_empty() {
            output::note("  nothing, all images are from there");
        }
        for source in &sources {
            let copied = mirror.copy(source).await.with_context(|| format!("copy {source}"))?;
            output::note(format_args!("  {}: {}", copied.pinned, copied.sent));
        }
        Ok(())
    }

    async fn generate(&self, line: &Line, secrets: &Path) -> Result<()> {
        let before = files(secrets);
        let words = line.stages().last().expect("a line has a command");
        // What would be piped to it by a shell: the password, which no argument holds.
        let password = (line.stages().len() > 1).then(|| std::env::var_os(super::plan::PASSWORD)).flatten();
        let password = password.map(OsString::into_encoded_bytes);
        let done = self.shell.run(words, password.as_deref(), &BTreeMap::new()).await?;
        if !done.is_ok {
            return Err(Unavailable(format!("{line}: {}", last_lines(&done.stderr))).into());
        }
        let made: Vec<_> = files(secrets).difference(&before).cloned().collect();
        if made.is_empty() {
            output::note(format_args!(
                "  nothing changed, {} files are in {}",
                before.len(),
                secrets.display()
            ));
        } else {
            output::note(format_args!("  made {} files in {}", made.len(), secrets.display()));
        }
        Ok(())
    }

    async fn until_ready(&self, target: &Target) -> Result<()> {
        let Some(fault) = Wait::new(&self.shell, target, self.pace).run().await? else { return Ok(()) };
        Err(Unavailable(format!("{target} does not become ready\n{}", told(&self.shell, &fault).await))
            .into())
    }
}

fn files(folder: &Path) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
}
