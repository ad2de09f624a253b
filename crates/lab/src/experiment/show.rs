use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use blackfriday_registry::{AccessArguments, reference};
use blackfriday_terminal::failure::{FileError, Usage};
use blackfriday_terminal::{file, output};

use super::artifact::pull;
use super::outcome::{Difference, Outcome, VariantOutcome};
use super::results::{self, Results};
use super::shown::shown;
use super::value::{interval, plain};

const SCHEME: &str = "oci://";

/// Shows results.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday lab show docs/lab\n  \
    blackfriday lab show oci://registry.example:5000/workloads/friday:lab --out results\n\n\
    Exit code 64 if there is no such folder or result, 65 if what is there are no results or damaged,\n\
    69 if it is not there or the registry cannot be reached, 77 if the registry refuses.")]
pub(super) struct Arguments {
    /// A folder of results, or `oci://host[:port]/path` with a tag or a digest.
    #[arg(value_name = "DIR|REF")]
    from: String,
    /// Keep what the registry has in this folder, too, for `lab report --results`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the results as JSON, in an array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: AccessArguments,
}

pub(super) async fn show(arguments: &Arguments) -> Result<()> {
    let results = if arguments.from.starts_with(SCHEME) {
        from_registry(arguments).await?
    } else {
        ensure!(
            arguments.out.is_none(),
            Usage(format!("--out keeps what a registry has, and {} is a folder", arguments.from))
        );
        results::read(Path::new(&arguments.from))?
    };
    if arguments.json {
        output::line(serde_json::to_string_pretty(&results.values().collect::<Vec<_>>())?);
        return Ok(());
    }
    results.values().for_each(print);
    Ok(())
}

async fn from_registry(arguments: &Arguments) -> Result<Results> {
    let pulled = pull(&arguments.access.client()?, &reference(&arguments.from)?).await?;
    output::note(&pulled.pinned);
    if let Some(workload) = &pulled.workload {
        output::note(format_args!("next to the workload {workload}"));
    }
    if let Some(folder) = &arguments.out {
        let failed = |path: &Path| FileError(format!("write {}", path.display()));
        std::fs::create_dir_all(folder).with_context(|| failed(folder))?;
        for outcome in pulled.results.values() {
            let path = folder.join(format!("{}.json", outcome.experiment));
            file::replace(&path, &outcome.to_text()).with_context(|| failed(&path))?;
        }
    }
    Ok(pulled.results)
}

fn print(outcome: &Outcome) {
    let Outcome { experiment, question, rounds, turn_s, finished, machine, servers, .. } = outcome;
    output::line(format_args!("{experiment}: {question}"));
    let (cores, mib) = (machine.cores, machine.memory_mib);
    output::line(format_args!(
        "{rounds} rounds of {turn_s} s, {finished}; {}, {cores} cores, {mib} MiB; {}",
        machine.processor,
        servers.join(", ")
    ));
    let metrics = columns(outcome);
    let head: Vec<_> = std::iter::once("median").chain(metrics.iter().map(String::as_str)).collect();
    output::table(&head, outcome.variants.iter().map(|variant| row(variant, &metrics)));
    let shown: Vec<_> = shown(outcome).collect();
    if shown.is_empty() {
        output::line("no difference was shown\n");
        return;
    }
    let of = |one: &Difference| {
        vec![one.variant.clone(), one.against.clone(), one.metric.clone(), interval(&one.ratio, "to")]
    };
    output::table(&["variant", "against", "metric", "ratio, 95 %"], shown.into_iter().map(of));
    output::line("");
}

/// What is not of one process alone: there are many of those.
fn columns(outcome: &Outcome) -> Vec<String> {
    let all = outcome.variants.iter().flat_map(|variant| variant.median.keys());
    let all: std::collections::BTreeSet<_> = all.collect();
    let whole: Vec<_> =
        all.iter().filter(|metric| !metric.contains('.')).map(|metric| (*metric).clone()).collect();
    if whole.is_empty() { all.into_iter().cloned().collect() } else { whole }
}

fn row(variant: &VariantOutcome, metrics: &[String]) -> Vec<String> {
    let of =
        |metric: &String| variant.median.get(metric).map_or_else(|| "–".to_owned(), |value| plain(*value));
    std::iter::once(variant.name.clone()).chain(metrics.iter().map(of)).collect()
}
