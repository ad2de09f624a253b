use anyhow::{Context, Result};
use blackfriday_terminal::failure::Unavailable;
use blackfriday_terminal::output;
use serde_json::{Value, json};

use super::Run;
use crate::deploy::changes::Changes;
use crate::deploy::query::{self, LIVE};
use crate::deploy::release::{LOG_ID, NAMESPACES, Release, Setup};
use crate::deploy::target::holds;
use crate::line::Line;
use crate::shell::last_lines;

/// If these passwords change, the setup job has to tell Kafka.
const KAFKA_PASSWORDS: &str = "secret kafka/kafka-credentials";

impl Run<'_> {
    pub(super) async fn namespaces(&mut self, folder: &str) -> Result<()> {
        let there = self.shell.json(&query::namespaces(), None).await?;
        let count = there["items"].as_array().map_or(usize::from(there.is_object()), Vec::len);
        if count == NAMESPACES.len() {
            // The overlay may have changed their labels: applied again they would go back and forth.
            output::note("  nothing changed, they are there");
            return Ok(());
        }
        self.apply(folder, false, None).await
    }

    pub(super) async fn install(
        &mut self,
        release: &'static Release,
        folder: &str,
        fetch: &Line,
    ) -> Result<()> {
        let definition = self.shell.json(&release.find(), None).await?;
        if definition.is_object() && !is_ours(release, &definition) {
            output::note(format_args!("  {} is there and not by this command: left as it is", release.name));
            self.foreign.insert(release.name);
            return Ok(());
        }
        self.shell.script(fetch).await?;
        self.apply(folder, false, None).await
    }

    pub(super) async fn apply(
        &mut self,
        folder: &str,
        force: bool,
        setup: Option<&'static Setup>,
    ) -> Result<()> {
        let rendered = self.shell.build(folder).await?;
        let before = self.shell.json(&LIVE, Some(&rendered)).await?;
        let after = self.shell.json(&query::apply(force), Some(&rendered)).await?;
        let changes = Changes::between(&before, &after);
        output::note(format_args!("  {changes}"));
        let is_new = changes.changed.iter().any(|name| name == KAFKA_PASSWORDS);
        if let Some(setup) = setup.filter(|setup| is_new && changes.unchanged.contains(&place(setup))) {
            output::note(format_args!("  {KAFKA_PASSWORDS} changed: {} runs again", place(setup)));
            self.shell.kubectl(&query::delete_setup(setup), None).await?;
            self.shell.json(&query::apply(force), Some(&rendered)).await?;
        }
        self.changes.add(changes);
        Ok(())
    }

    /// A job cannot be changed, only made again; and one that failed does not start again.
    pub(super) async fn renew_setup(&self, setup: &Setup, overlay: &str) -> Result<()> {
        let job = self.shell.json(&query::find_setup(setup), None).await?;
        if !job.is_object() {
            output::note("  it is not there");
            return Ok(());
        }
        let why = if holds(&job, "Failed") {
            "it failed"
        } else {
            let rendered = self.shell.build(overlay).await?;
            let tried = self.shell.attempt(&query::try_setup(setup), Some(&rendered)).await?;
            match (tried.is_ok, tried.stderr.contains("immutable")) {
                (true, _) => {
                    output::note("  it is not");
                    return Ok(());
                }
                (false, true) => "it cannot be changed",
                (false, false) => {
                    let said = last_lines(&tried.stderr);
                    return Err(Unavailable(format!("{}: {said}", place(setup))).into());
                }
            }
        };
        self.shell.kubectl(&query::delete_setup(setup), None).await?;
        output::note(format_args!("  deleted, as {why}: it is made again"));
        Ok(())
    }

    pub(super) async fn restore_log(&self, overlay: &str) -> Result<()> {
        if self.shell.json(&query::find_log(), None).await?.is_object() {
            return Ok(());
        }
        let kept = self.shell.json(&query::find_log_id(), None).await?;
        let Some(id) = kept["data"]["id"].as_str() else { return Ok(()) };
        let rendered = self.shell.build(overlay).await?;
        let paused = self.shell.json(&query::paused(), Some(&rendered)).await?;
        let kafka = objects(&paused).into_iter().find(|object| object["kind"] == "Kafka");
        let kafka = kafka.with_context(|| Unavailable(format!("{overlay} has no Kafka")))?;
        self.shell.kubectl(&query::apply(true), Some(kafka.to_string().as_bytes())).await?;
        self.shell.kubectl(&query::give_log_id(id), None).await?;
        output::note(format_args!("  Kafka gets its old log, {id}"));
        Ok(())
    }

    pub(super) async fn save_log_id(&self) -> Result<()> {
        let kafka = self.shell.json(&query::find_log(), None).await?;
        let Some(id) = kafka["status"]["clusterId"].as_str() else {
            output::note("  there is no log");
            return Ok(());
        };
        let made = self.shell.json(&query::log_id(id), None).await?;
        let input = json!(made).to_string();
        self.shell.kubectl(&query::apply(true), Some(input.as_bytes())).await?;
        output::note(format_args!("  {id}, in configmap kafka/{}", LOG_ID));
        Ok(())
    }
}

pub(super) fn is_ours(release: &Release, definition: &Value) -> bool {
    definition["metadata"]["labels"]["blackfriday/operator"] == release.name
}

fn place(Setup { namespace, name }: &Setup) -> String {
    format!("job {namespace}/{name}")
}

fn objects(answer: &Value) -> Vec<Value> {
    answer["items"].as_array().map_or_else(|| vec![answer.clone()], Clone::clone)
}
