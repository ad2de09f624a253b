use anyhow::Result;
use blackfriday_registry::AccessArguments;
use blackfriday_terminal::output;
use blackfriday_workload::{Source, Workload};

/// Which workload, and where from.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct SourceArguments {
    /// The workload: a TOML file, or `oci://host[:port]/path@sha256:…` in a registry; the built-in one without it.
    #[arg(long, env = "BLACKFRIDAY_WORKLOAD", value_name = "FILE|REF")]
    workload: Option<Source>,
    #[command(flatten)]
    access: AccessArguments,
}

impl SourceArguments {
    /// The workload, from where it is.
    ///
    /// # Errors
    /// The file is no workload, or the registry does not give it.
    pub async fn read(&self) -> Result<Workload> {
        let Some(source) = &self.workload else { return Ok(Workload::black_friday()) };
        let workload = source.read(|| self.access.client()).await?;
        if let Some(pinned) = workload.pinned() {
            output::note(format_args!("workload {pinned}"));
        }
        Ok(workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(workload: Option<&str>) -> Result<Workload> {
        let workload = workload.map(|text| text.parse().expect("infallible"));
        SourceArguments { workload, ..SourceArguments::default() }.read().await
    }

    #[tokio::test]
    async fn a_workload_is_built_in_a_file_or_in_a_registry() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("small.toml");
        let made = blackfriday_workload::make(&blackfriday_workload::Recipe {
            title: "small".to_owned(),
            seed: 1,
            products: 1,
        });
        std::fs::write(&path, made).expect("written");
        assert_eq!(read(None).await.expect("built in").digest(), Workload::black_friday().digest());
        assert_eq!(read(path.to_str()).await.expect("a file").title, "small");
        std::fs::write(&path, "title = 1").expect("written");
        for wrong in [path.to_str(), Some("/nonexistent.toml"), Some("oci://no-version")] {
            let error = read(wrong).await.expect_err("cannot be");
            assert_eq!(
                blackfriday_terminal::failure::exit_code(&error, &[crate::exit_code]),
                64,
                "{error:#}"
            );
        }
    }
}
