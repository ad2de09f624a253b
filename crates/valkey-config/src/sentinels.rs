//! Asks the Sentinels of a group who is primary now.

use std::time::Duration;

use anyhow::{Context as _, Result};
use blackfriday_store::{StoreError, ValkeyConfig};
use blackfriday_telemetry::access::Secret;
use blackfriday_terminal::failure::Usage;

use crate::value::Endpoint;

/// How long one Sentinel may take.
const LIMIT: Duration = Duration::from_secs(3);

/// What the Sentinels said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The first that knows the group named this server.
    Primary(Endpoint),
    /// None knows it, or none answers; and why.
    Unknown(String),
}

/// The Sentinels that watch one group.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) sentinels: Vec<Endpoint>,
    /// The Sentinels' own.
    pub(crate) password: Option<Secret>,
}

impl Group {
    /// Asks each in turn, until one knows, in as many rounds.
    pub(crate) async fn ask(&self, rounds: u32, pause: Duration) -> Result<Answer> {
        let mut answer = self.ask_once().await?;
        for _ in 1..rounds {
            if matches!(answer, Answer::Primary(_)) {
                break;
            }
            tokio::time::sleep(pause).await;
            answer = self.ask_once().await?;
        }
        Ok(answer)
    }

    async fn ask_once(&self) -> Result<Answer> {
        let config = self.config()?;
        Ok(match config.named_primary().await {
            Ok(Some((host, port))) => Answer::Primary(Endpoint { host, port }),
            Ok(None) => Answer::Unknown("none knows it".to_owned()),
            Err(StoreError::Denied { who, source, .. }) => {
                Answer::Unknown(format!("{who} refused our login: check sentinel-password: {source}"))
            }
            Err(error) => Answer::Unknown(format!("{:#}", anyhow::Error::from(error))),
        })
    }

    fn config(&self) -> Result<ValkeyConfig> {
        let sentinels: Vec<_> = self.sentinels.iter().map(ToString::to_string).collect();
        let url = format!("redis+sentinel://{}/{}", sentinels.join(","), self.name);
        let mut config = ValkeyConfig::new(&url)
            .map_err(anyhow::Error::msg)
            .with_context(|| Usage("configuration: the addresses of the Sentinels".to_owned()))?;
        config.connect_timeout_ms = u64::try_from(LIMIT.as_millis()).expect("a few seconds");
        config.access.sentinel_password.clone_from(&self.password);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use blackfriday_stack::{Sentinel, SentinelOptions, Valkey, free_port};

    use super::*;
    use crate::value::sentinel;

    async fn ask(addresses: &[&str], name: &str) -> Answer {
        let sentinels = addresses.iter().map(|address| sentinel(address).expect("an address")).collect();
        let group = Group { name: name.to_owned(), sentinels, password: None };
        group.ask(2, Duration::ZERO).await.expect("an answer")
    }

    #[tokio::test]
    async fn the_first_that_knows_is_believed() {
        let valkey = Valkey::start().await.expect("Valkey");
        let one = Sentinel::start(&valkey, &SentinelOptions::default()).await.expect("a Sentinel");
        let away = format!("127.0.0.1:{}", free_port().expect("a port"));
        let primary = Endpoint { host: "127.0.0.1".to_owned(), port: valkey.port() };
        assert_eq!(ask(&[&away, &one.address()], "blackfriday").await, Answer::Primary(primary));
        assert_eq!(ask(&[&one.address()], "other").await, Answer::Unknown("none knows it".to_owned()));
        let Answer::Unknown(why) = ask(&[&away], "blackfriday").await else { panic!("nobody is there") };
        assert!(why.contains("refused"), "{why}");
    }
}
