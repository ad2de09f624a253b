//! Asks again and again until something is ready, or until it is known that it will not be.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use blackfriday_terminal::failure::{Denied, Unavailable};
use serde_json::Value;
use tokio::time::sleep;

use super::fault::{self, Fault, Patience, Trouble};
use super::progress::Progress;
use super::query;
use super::target::{Kind, Standing, Target};
use crate::shell::{Shell, last_lines};

/// How often is asked, and how long is waited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) poll: Duration,
    /// How long a fault may last that the kubelet may cure by trying again; four times that where somebody else may.
    pub(super) patience: Duration,
    /// For one wait.
    pub(super) timeout: Duration,
}

impl Pace {
    fn of(&self, patience: Patience) -> Duration {
        match patience {
            Patience::None => Duration::ZERO,
            Patience::Short => self.patience,
            Patience::Long => self.patience * 4,
            Patience::Endless => Duration::MAX,
        }
    }
}

/// What is known after one round of questions.
struct Observed {
    standing: Standing,
    faults: Vec<Fault>,
}

/// Faults and since when they last.
#[derive(Default)]
struct Seen(BTreeMap<String, (Instant, Fault)>);

/// What is asked about one target.
pub(super) struct Wait<'a> {
    shell: &'a Shell,
    target: &'a Target,
    pace: Pace,
    /// By container, when the wait began.
    restarts: Option<BTreeMap<String, u64>>,
}

impl<'a> Wait<'a> {
    pub(super) fn new(shell: &'a Shell, target: &'a Target, pace: Pace) -> Self {
        Self { shell, target, pace, restarts: None }
    }

    /// None when it is ready; else what keeps it from ever being so.
    pub(super) async fn run(mut self) -> Result<Option<Fault>> {
        let (started, progress) = (Instant::now(), Progress::begin());
        let (mut seen, mut unanswered) = (Seen::default(), None);
        loop {
            let missing = match self.observe().await {
                Ok(Observed { standing: Standing::Ready, .. }) => return Ok(None),
                Ok(Observed { standing: Standing::Waiting(why), faults }) => {
                    unanswered = None;
                    seen.update(faults);
                    if let Some(fault) = seen.lasting(&self.pace) {
                        return Ok(Some(fault));
                    }
                    seen.first().map_or(why, |fault| format!("{}: {}", fault.object, fault.reason))
                }
                Err(error) if error.is::<Denied>() => return Err(error),
                // An API server that is being restarted is no reason to give up.
                Err(error) => {
                    let since = *unanswered.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.pace.of(Patience::Long) {
                        return Err(error);
                    }
                    last_lines(&format!("{error:#}"))
                }
            };
            progress.tell(&format!("{}: {missing}", self.target), started.elapsed());
            if started.elapsed() >= self.pace.timeout {
                return self.late(seen, &missing);
            }
            sleep(self.pace.poll).await;
        }
    }

    fn late(&self, seen: Seen, missing: &str) -> Result<Option<Fault>> {
        if let Some(fault) = seen.first() {
            return Ok(Some(fault.clone()));
        }
        let (after, target) = (self.pace.timeout.as_secs(), self.target);
        let namespace = target.namespace.map_or("--all-namespaces".to_owned(), |name| format!("-n {name}"));
        let look = format!("type: kubectl get events {namespace} --sort-by=.lastTimestamp");
        let advice = format!("{look}; or give it more time: deploy --timeout");
        Err(Unavailable(format!("{target} is not ready after {after} s: {missing}\n  {advice}")).into())
    }

    async fn observe(&mut self) -> Result<Observed> {
        let answer = self.shell.json(&self.target.query(), None).await?;
        let standing = self.target.standing(&answer);
        if standing == Standing::Ready {
            return Ok(Observed { standing, faults: Vec::new() });
        }
        let mut faults = self.of_operators().await?;
        let objects = answer["items"].as_array().map_or_else(|| vec![answer.clone()], Clone::clone);
        faults.extend(objects.iter().filter_map(|object| fault::of_object(self.target, object)));
        if let Some(namespace) = self.target.namespace {
            faults.extend(self.of_pods(namespace, self.target, &objects).await?);
        }
        if self.target.kind == Kind::VirtualMachine {
            faults.extend(self.of_data_volumes(&answer).await?);
        }
        Ok(Observed { standing, faults })
    }

    async fn of_operators(&self) -> Result<Vec<Fault>> {
        let mut faults = Vec::new();
        for &(namespace, name) in self.target.operators() {
            let target = Target::new(Kind::Deployment, namespace, name);
            let deployment = self.shell.json(&target.query(), None).await?;
            faults.extend(fault::of_operator((namespace, name), &deployment));
        }
        Ok(faults)
    }

    async fn of_pods(&mut self, namespace: &str, target: &Target, objects: &[Value]) -> Result<Vec<Fault>> {
        let answer = self.shell.json(&query::pods(namespace), None).await?;
        let all = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
        let (pods, claims): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|item| item["kind"] == "Pod");
        let answer = self.shell.json(&query::warnings(namespace), None).await?;
        let events = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
        let before = self.restarts.get_or_insert_with(|| pods.iter().flat_map(fault::restarts).collect());
        let around = Trouble { events, restarts_before: before };
        let mut faults = Vec::new();
        for pod in pods.iter().filter(|pod| objects.iter().any(|object| is_of(target, object, pod))) {
            faults.extend(fault::of_claims(pod, &claims, events));
            faults.extend(fault::of_pod(pod, &around));
        }
        faults.extend(objects.iter().filter_map(|object| fault::of_creation(object, events)));
        Ok(faults)
    }

    async fn of_data_volumes(&self, machine: &Value) -> Result<Vec<Fault>> {
        let mut faults = Vec::new();
        for name in data_volumes(machine) {
            let answer = self.shell.json(&query::data_volume(&name), None).await?;
            faults.extend(fault::of_data_volume(&answer));
        }
        Ok(faults)
    }
}

impl Seen {
    /// Keeps those that are still there, since they were first seen, with the longest of their messages: of two that take
    /// turns, as `ErrImagePull` and `ImagePullBackOff`, one tells more.
    fn update(&mut self, faults: Vec<Fault>) {
        let now = Instant::now();
        let mut next = BTreeMap::new();
        for fault in faults {
            let key = fault.object.clone();
            let (since, old) = self.0.remove(&key).unwrap_or_else(|| (now, fault.clone()));
            let told = if old.message.len() > fault.message.len() && old.patience == fault.patience {
                old
            } else {
                fault
            };
            next.entry(key).or_insert((since, told));
        }
        self.0 = next;
    }

    fn lasting(&self, pace: &Pace) -> Option<Fault> {
        let is_over = |(since, fault): &&(Instant, Fault)| since.elapsed() >= pace.of(fault.patience);
        self.0
            .values()
            .filter(is_over)
            .min_by_key(|(_, fault)| fault.patience)
            .map(|(_, fault)| fault.clone())
    }

    fn first(&self) -> Option<&Fault> {
        self.0.values().min_by_key(|(_, fault)| fault.patience).map(|(_, fault)| fault)
    }
}

/// Whether a pod is there for an object.
fn is_of(target: &Target, object: &Value, pod: &Value) -> bool {
    let label = |name: &str| pod["metadata"]["labels"][name].as_str();
    match target.kind {
        Kind::Deployment | Kind::StatefulSet | Kind::Job => {
            let wanted = object["spec"]["selector"]["matchLabels"].as_object();
            wanted.is_some_and(|wanted| wanted.iter().all(|(name, value)| label(name) == value.as_str()))
        }
        Kind::Kafka => label("strimzi.io/cluster") == Some("blackfriday"),
        Kind::KafkaTopic | Kind::KafkaUser => label("strimzi.io/name") == Some("blackfriday-entity-operator"),
        Kind::RabbitmqCluster => label("app.kubernetes.io/name") == object["metadata"]["name"].as_str(),
        Kind::VirtualMachine => label("vm.kubevirt.io/name") == object["metadata"]["name"].as_str(),
        Kind::KubeVirt => true,
        Kind::Definition => false,
    }
}

/// The names of the DataVolumes that a machine's disks come from.
fn data_volumes(machine: &Value) -> Vec<String> {
    let volumes = machine["spec"]["template"]["spec"]["volumes"].as_array();
    let name = |volume: &Value| volume["dataVolume"]["name"].as_str().map(str::to_owned);
    volumes.into_iter().flatten().filter_map(name).collect()
}

/// A fault, and what its log says last.
pub(super) async fn told(shell: &Shell, fault: &Fault) -> String {
    let mut text = fault.to_string();
    if let Some(words) = &fault.log {
        // A log that is gone adds nothing to the fault.
        if let Ok(done) = shell.attempt(words, None).await {
            let log = last_lines(&String::from_utf8_lossy(&done.stdout));
            if !log.is_empty() {
                text = format!("{text}\n  the last of its log:\n  {log}");
            }
        }
    }
    text
}
