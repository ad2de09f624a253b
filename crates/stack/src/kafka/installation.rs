//! The jars of Kafka and the Java that runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::KafkaOptions;
use crate::error::StackError;
use crate::locate;

const HOME_VARIABLE: &str = "BLACKFRIDAY_KAFKA_HOME";
const WHAT: &str = "Kafka (a folder with libs/kafka_*.jar)";
/// What `tools/kafka/quick-start.sh` leaves next to the jars. Without it a broker starts in twice the time.
const QUICK_START: &str = "quick-start";
const CLASSES: &str = "kafka.jsa";
const FEATURES: &str = "bootstrap.checkpoint";

/// Where Kafka and Java are.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    home: PathBuf,
    java: PathBuf,
}

impl Installation {
    /// `BLACKFRIDAY_KAFKA_HOME`, else the home of `kafka-server-start.sh` on PATH, else `.tools/kafka`.
    pub(super) fn find() -> Result<Self, StackError> {
        Ok(Self { home: find_home()?, java: find_java()? })
    }

    /// A Java command that wants a main class of Kafka and its arguments. What it unpacks, it unpacks in `folder`: one that
    /// is killed does not tidy up.
    pub(super) fn java(&self, options: &KafkaOptions, folder: &Path) -> Command {
        let mut command = Command::new(&self.java);
        command.arg(format!("-Xmx{}m", options.heap_mib));
        if !options.for_load {
            command.arg("-XX:TieredStopAtLevel=1");
        }
        command.args(["-XX:+UseSerialGC", "-Xshare:auto", "-Djava.awt.headless=true"]);
        command.args(
            self.quick_start(CLASSES).map(|archive| format!("-XX:SharedArchiveFile={}", archive.display())),
        );
        command.arg("-XX:-UsePerfData").arg(format!("-Djava.io.tmpdir={}", folder.display()));
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        command.arg("-cp").arg(self.home.join("libs").join("*"));
        command
    }

    /// The features that a formatted storage begins with, if they were kept.
    pub(super) fn features(&self) -> Option<PathBuf> {
        self.quick_start(FEATURES)
    }

    /// As the jar of its clients is named, which every distribution has.
    pub(super) fn version(&self) -> Option<String> {
        let names = fs::read_dir(self.home.join("libs")).ok()?.flatten();
        names.filter_map(|entry| version(entry.file_name().to_str()?)).next()
    }

    fn quick_start(&self, file: &str) -> Option<PathBuf> {
        Some(self.home.join(QUICK_START).join(file)).filter(|path| path.is_file())
    }
}

fn find_home() -> Result<PathBuf, StackError> {
    if let Some(path) = locate::named_by(HOME_VARIABLE) {
        return if has_jars(&path) {
            Ok(path)
        } else {
            Err(StackError::Misnamed { what: WHAT, variable: HOME_VARIABLE, path })
        };
    }
    let on_path = locate::on_path("kafka-server-start.sh").and_then(|script| home_of(&script));
    let candidates = [on_path, locate::in_tools("kafka")];
    let home = candidates.into_iter().flatten().find(|home| has_jars(home));
    home.ok_or(StackError::Missing { what: WHAT, variable: HOME_VARIABLE })
}

/// The script is in `<home>/bin`, perhaps behind a symbolic link.
fn home_of(script: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(script).ok()?.parent()?.parent()?.to_owned())
}

fn version(jar: &str) -> Option<String> {
    let version = jar.strip_prefix("kafka-clients-")?.strip_suffix(".jar")?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| version.to_owned())
}

fn has_jars(home: &Path) -> bool {
    let Ok(entries) = fs::read_dir(home.join("libs")) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("kafka_") && name.ends_with(".jar")
    })
}

fn find_java() -> Result<PathBuf, StackError> {
    let named = locate::named_by("JAVA_HOME").map(|home| home.join("bin").join("java"));
    let named = named.filter(|java| java.is_file());
    named
        .or_else(|| locate::on_path("java"))
        .ok_or(StackError::Missing { what: "java (version 17 or newer)", variable: "JAVA_HOME" })
}
