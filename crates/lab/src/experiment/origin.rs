//! What was measured, and where: without both a number says nothing.

use std::fs;
use std::path::PathBuf;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::bench::Traffic;
use crate::program;

/// What is measured.
const PROGRAMS: [&str; 5] =
    ["blackfriday", "blackfriday-gateway", "blackfriday-relay", "blackfriday-writer", "blackfriday-consumer"];
/// As many sales as a client repeats in turns.
const DIGESTED_SALES: u64 = 1_000;

/// Where it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_mib: u64,
    pub(super) kernel: String,
}

impl Machine {
    /// This one.
    pub(super) fn this() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
        let (processors, memory) = (read("/proc/cpuinfo")?, read("/proc/meminfo")?);
        let named = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kib = named(&memory, "MemTotal").and_then(|size| size.split(' ').next()?.parse::<u64>().ok());
        Ok(Self {
            processor: named(&processors, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: available_parallelism()?.get(),
            memory_mib: kib.context("MemTotal in /proc/meminfo")? / 1024,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        })
    }
}

/// What a result says of where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// SHA-256 of the programs, one after the other, and of the disk of a virtual machine; in a cluster of the digests of its images.
    pub(super) programs: String,
    /// SHA-256 of what was sold.
    pub(super) workload: String,
    pub(super) machine: Machine,
}

/// SHA-256 of what is measured: the programs, and the disk of a virtual machine where there is one.
///
/// # Errors
/// One of them is missing.
pub(super) fn programs(disk: Option<PathBuf>) -> Result<String> {
    let mut sha = Sha256::new();
    for path in PROGRAMS.iter().map(|name| program(name)).chain(disk.map(Ok)) {
        let path = path?;
        sha.update(fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(hex(&sha.finalize()))
}

/// SHA-256 of the first sales of each number of products.
pub(super) fn workload(products: impl Iterator<Item = u64>) -> String {
    let mut each: Vec<_> = products.collect();
    each.dedup();
    let mut sha = Sha256::new();
    for products in each {
        let mut traffic = Traffic::of(products);
        (0..DIGESTED_SALES).for_each(|_| sha.update(traffic.sale()));
    }
    hex(&sha.finalize())
}

/// SHA-256 of texts, each on a line of its own.
pub(super) fn digest(texts: impl Iterator<Item: AsRef<str>>) -> String {
    let mut sha = Sha256::new();
    for text in texts {
        sha.update(text.as_ref());
        sha.update("\n");
    }
    hex(&sha.finalize())
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
