//! Workloads: what `load` and `demo` send. Made from a seed, kept in files and registries.

use std::path::PathBuf;

use anyhow::{Context, Result};
use blackfriday_registry::{AccessArguments, reference, tagged};
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output::count;
use blackfriday_terminal::{file, output};
use blackfriday_workload::{Recipe, Workload, artifact, make};
use serde_json::json;

/// Makes workloads, and brings them into registries and back.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Make a workload from a seed: a catalogue of four categories, prices, and the arrival curve of a black friday.
    #[command(after_help = "Example:\n  blackfriday workload make --seed 7 --products 50 friday.toml")]
    Make(MakeArguments),
    /// Write a workload into a registry, and print the reference that will always stand for it.
    #[command(
        after_help = "Example:\n  blackfriday workload push registry.example:5000/workloads/friday:1 friday.toml\n\n\
        Equal files have equal digests. Exit code 69 if the registry cannot be reached, 77 if it refuses."
    )]
    Push(PushArguments),
    /// Bring a workload from a registry into a file: whole and unchanged, or not at all.
    #[command(
        after_help = "Example:\n  blackfriday workload pull oci://registry.example:5000/workloads/friday:1 friday.toml\n\n\
        A transfer that broke off is continued by the next pull. Exit code 65 if what came is no\n\
        workload or not what the digest says, 69 if it is not there or the registry cannot be\n\
        reached, 77 if the registry refuses."
    )]
    Pull(PullArguments),
    /// Show what a registry has under a reference, without pulling it.
    #[command(
        after_help = "Example:\n  blackfriday workload inspect registry.example:5000/workloads/friday:1"
    )]
    Inspect(InspectArguments),
}

/// What is made.
#[derive(clap::Args, Debug)]
pub struct MakeArguments {
    /// The file; standard output without it.
    file: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    /// Its name.
    #[arg(long, value_name = "NAME", default_value = "Black Friday")]
    title: String,
    /// Where all chance comes from: the same seed gives the same file. Also the seed of the traffic.
    #[arg(long, value_name = "N", default_value_t = 17,
          value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: u64,
    /// Products in each of the four categories.
    #[arg(long, value_name = "N", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    products: u32,
}

/// What goes where.
#[derive(clap::Args, Debug)]
pub struct PushArguments {
    /// `host[:port]/path:tag`
    #[arg(value_name = "REF")]
    to: String,
    /// The file.
    file: PathBuf,
    /// Write the reference that is printed into this file, too.
    #[arg(long, value_name = "FILE")]
    reference_file: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArguments,
}

/// What comes where.
#[derive(clap::Args, Debug)]
pub struct PullArguments {
    /// `host[:port]/path:tag` or `host[:port]/path@sha256:…`, also with oci:// before it
    #[arg(value_name = "REF")]
    from: String,
    /// The file.
    #[arg(value_name = "FILE", default_value = "workload.toml")]
    file: PathBuf,
    #[command(flatten)]
    access: AccessArguments,
}

/// What is shown.
#[derive(clap::Args, Debug)]
pub struct InspectArguments {
    /// `host[:port]/path:tag` or `host[:port]/path@sha256:…`, also with oci:// before it
    #[arg(value_name = "REF")]
    of: String,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: AccessArguments,
}

pub(crate) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Make(arguments) => make_file(arguments),
        Command::Push(arguments) => push(arguments).await,
        Command::Pull(arguments) => pull(arguments).await,
        Command::Inspect(arguments) => inspect(arguments).await,
    }
}

fn make_file(arguments: MakeArguments) -> Result<()> {
    let MakeArguments { file, force, title, seed, products } = arguments;
    let text = make(&Recipe { title, seed, products });
    let Some(path) = file else {
        output::line(text.trim_end());
        return Ok(());
    };
    let same = std::fs::read_to_string(&path).is_ok_and(|found| found == text);
    if path.exists() && !force && !same {
        return Err(Usage(format!(
            "{} is there, and holds something else: --force replaces it",
            path.display()
        ))
        .into());
    }
    file::replace(&path, &text).with_context(|| Usage(format!("write {}", path.display())))?;
    let workload = Workload::parse(&text).context("what was made can be read")?;
    let products = count(workload.products.len() as u64, "product", "products");
    output::note(format_args!("{}: {products}, seed {seed}", path.display()));
    output::line(workload.digest());
    Ok(())
}

async fn push(arguments: PushArguments) -> Result<()> {
    let to = tagged(&arguments.to)?;
    let file = arguments.file.display();
    let text = std::fs::read_to_string(&arguments.file).with_context(|| Usage(format!("read {file}")))?;
    Workload::parse(&text).with_context(|| Usage(format!("{file} is no workload")))?;
    let pushed = artifact::push(&arguments.access.client()?, &to, text).await?;
    output::note(if pushed.was_sent { "sent" } else { "the file was there already" });
    if let Some(path) = &arguments.reference_file {
        let write = || Usage(format!("write {}", path.display()));
        file::replace(path, &format!("{}\n", pushed.pinned)).with_context(write)?;
    }
    output::line(pushed.pinned);
    Ok(())
}

async fn pull(arguments: PullArguments) -> Result<()> {
    let from = reference(&arguments.from)?;
    let (inspected, workload) = artifact::pull(&arguments.access.client()?, &from, &arguments.file).await?;
    let (title, products) = (&workload.title, count(workload.products.len() as u64, "product", "products"));
    output::note(format_args!("{}: {title}, {products}", arguments.file.display()));
    output::line(inspected.pinned);
    Ok(())
}

async fn inspect(arguments: InspectArguments) -> Result<()> {
    let of = reference(&arguments.of)?;
    let inspected = artifact::inspect(&arguments.access.client()?, &of).await?;
    if arguments.json {
        output::line(json!({
            "reference": inspected.pinned,
            "digest": inspected.digest,
            "manifest": inspected.manifest,
        }));
        return Ok(());
    }
    let file = &inspected.file;
    let mut rows = vec![
        ("reference".to_owned(), inspected.pinned.clone()),
        ("type".to_owned(), inspected.of_type().to_owned()),
        ("file".to_owned(), file.digest.clone()),
        ("".to_owned(), format!("{} bytes, {}", file.size, file.media_type)),
    ];
    rows.extend(inspected.manifest.annotations.unwrap_or_default());
    output::table(&["", "workload"], rows.into_iter().map(|(name, text)| vec![name, text]));
    Ok(())
}
