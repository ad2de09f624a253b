use std::time::SystemTime;

use anyhow::{Context, Result};
use blackfriday_terminal::failure::{Denied, Unavailable};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::addons::Groups;
use super::clock::{self, Heard};
use super::object::{Answer, List, Node, Object, Pod};
use super::versions::Versions;
use crate::shell::{Shell, is_late};

/// All that is asked of a cluster.
pub(super) struct Cluster {
    pub(super) versions: Versions,
    pub(super) nodes: Answer<List<Node>>,
    pub(super) pods: Answer<List<Pod>>,
    pub(super) groups: Answer<Groups>,
    pub(super) quotas: Answer<List<Object>>,
    /// Services in the namespace where DNS is.
    pub(super) dns: Answer<List<Object>>,
    pub(super) metrics: Answer<Object>,
    pub(super) ingress_classes: Answer<List<Object>>,
    pub(super) gateway_classes: Answer<List<Object>>,
    pub(super) storage_classes: Answer<List<Object>>,
    pub(super) kubevirt: Answer<List<Object>>,
    pub(super) cdi: Answer<List<Object>>,
    pub(super) leases: Answer<List<Object>>,
    pub(super) heard: Heard,
}

impl Cluster {
    /// # Errors
    /// No cluster answers.
    pub(super) async fn look(shell: &Shell) -> Result<Self> {
        let versions = shell.json(&["version", "-o", "json"], None).await?;
        Ok(Self {
            versions: read(versions, "version")?,
            nodes: ask(shell, &["get", "nodes"]).await?,
            pods: ask(shell, &["get", "pods", "--all-namespaces"]).await?,
            groups: ask_raw(shell, "/apis").await?,
            quotas: ask(shell, &["get", "resourcequotas", "--all-namespaces"]).await?,
            dns: ask(shell, &["get", "services", "--namespace", "kube-system"]).await?,
            metrics: ask(shell, &["get", "apiservices", "v1beta1.metrics.k8s.io"]).await?,
            ingress_classes: ask(shell, &["get", "ingressclasses"]).await?,
            gateway_classes: ask(shell, &["get", "gatewayclasses.gateway.networking.k8s.io"]).await?,
            storage_classes: ask(shell, &["get", "storageclasses"]).await?,
            kubevirt: ask(shell, &["get", "kubevirts.kubevirt.io", "--all-namespaces"]).await?,
            cdi: ask(shell, &["get", "cdis.cdi.kubevirt.io"]).await?,
            leases: ask(shell, &["get", "leases", "--namespace", "kube-node-lease"]).await?,
            heard: hear(shell).await?,
        })
    }
}

async fn ask<T: DeserializeOwned>(shell: &Shell, words: &[&str]) -> Result<Answer<T>> {
    let words = [words, &["--ignore-not-found", "-o", "json"]].concat();
    answer(shell.json(&words, None).await, &words.join(" "))
}

async fn ask_raw<T: DeserializeOwned>(shell: &Shell, path: &str) -> Result<Answer<T>> {
    answer(shell.json(&["get", "--raw", path], None).await, path)
}

fn answer<T: DeserializeOwned>(asked: Result<Value>, what: &str) -> Result<Answer<T>> {
    match asked {
        Ok(Value::Null) => Ok(Answer::Absent),
        Ok(value) => Ok(Answer::Is(read(value, what)?)),
        Err(error) if error.downcast_ref::<Denied>().is_some() => Ok(Answer::Denied),
        Err(error) if is_late(&error) => Ok(Answer::Late(error.to_string())),
        Err(error) => Err(error),
    }
}

fn read<T: DeserializeOwned>(value: Value, what: &str) -> Result<T> {
    serde_json::from_value(value)
        .with_context(|| Unavailable(format!("kubectl {what}: something else than expected came")))
}

/// With `-v=8` kubectl shows the header `Date` of an answer; it masks what is secret.
async fn hear(shell: &Shell) -> Result<Heard> {
    let before = SystemTime::now();
    let server = match shell.attempt(&["get", "--raw", "/version", "-v=8"], None).await {
        Ok(done) => clock::date(&done.stderr),
        Err(error) if is_late(&error) => None,
        Err(error) => return Err(error),
    };
    Ok(Heard { before, after: SystemTime::now(), server })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::Verdict;
    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_a_finding_and_not_the_end() {
        let shell = Shell::of(&["sh", "-c", "sleep 60"], Duration::from_millis(50));
        let nodes = ask::<List<Node>>(&shell, &["get", "nodes"]).await.expect("an answer");
        let check = nodes.seen("nodes").expect_err("a finding");
        assert_eq!(check.verdict, Verdict::Warning);
        assert!(check.seen.ends_with("did not end within 0.05 s"), "{}", check.seen);
        assert_eq!(hear(&shell).await.expect("no time was heard").server, None);
    }
}
