use anyhow::Result;
use blackfriday_terminal::output;
use serde_json::{Value, json};

use super::field::Field;
use super::usage::Resident;

/// What every process has in memory: idle, which is after its start and before any load, and after the load.
pub(super) struct Memory {
    idle: Vec<Resident>,
    loaded: Vec<Resident>,
    /// Whether the last that it did was to count a backlog, in a new consumer.
    after_backlog: bool,
}

impl Memory {
    /// Of processes that nothing was asked of so far.
    pub(super) fn idle(field: &Field) -> Result<Self> {
        let idle = field.watched()?.resident();
        Ok(Self { loaded: idle.clone(), idle, after_backlog: false })
    }

    /// Looks again. What was seen after a backlog is kept until the next one.
    pub(super) fn look(&mut self, field: &Field, after_backlog: bool) -> Result<()> {
        if after_backlog || !self.after_backlog {
            self.loaded = field.watched()?.resident();
            self.after_backlog = after_backlog;
        }
        Ok(())
    }

    pub(super) fn print(&self) {
        let after = if self.after_backlog { "after a backlog" } else { "after the load" };
        let rows = self.idle.iter().zip(&self.loaded).map(|(idle, loaded)| {
            vec![idle.name.to_owned(), mib(idle.now_kib), mib(loaded.now_kib), mib(loaded.peak_kib)]
        });
        output::table(&["MiB resident", "idle", after, "at the most"], rows);
    }

    pub(super) fn to_json(&self) -> Value {
        let pairs = self.idle.iter().zip(&self.loaded);
        let process = |(idle, loaded): (&Resident, &Resident)| {
            json!({"process": idle.name, "idle_kib": idle.now_kib, "loaded_kib": loaded.now_kib,
                   "peak_kib": loaded.peak_kib})
        };
        json!({"after_backlog": self.after_backlog, "processes": pairs.map(process).collect::<Vec<_>>()})
    }
}

/// With one decimal: a service is small.
fn mib(kib: u64) -> String {
    let tenths = (kib * 10 + 512) / 1024;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kibibytes_are_rounded_to_a_tenth() {
        assert_eq!([0, 51, 52, 1_024, 20_480, 20_429].map(mib), ["0.0", "0.0", "0.1", "1.0", "20.0", "20.0"]);
    }
}
