//! A primary, its replica, and the Sentinels that say which is which.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Sentinel, SentinelOptions, Valkey, ValkeyKind, ValkeyOptions};
use crate::error::StackError;
use crate::eventually::eventually;

/// Until the Sentinels have found each other and the replica has its copy.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);

/// How a [`ValkeyGroup`] is started.
#[derive(Clone, Debug)]
pub struct ValkeyGroupOptions {
    /// Which of the two servers.
    pub kind: ValkeyKind,
    /// How many Sentinels; more than half of them must agree that the primary is away.
    pub sentinels: usize,
    /// How long the primary must be silent to be away. A replica may be promoted for as long as it has lost its primary for
    /// less than ten times this.
    pub down_after: Duration,
    /// More directives of `valkey.conf`, of both servers.
    pub config: Vec<(String, String)>,
}

impl Default for ValkeyGroupOptions {
    fn default() -> Self {
        let down_after = Duration::from_secs(3);
        Self { kind: ValkeyKind::default(), sentinels: 3, down_after, config: Vec::new() }
    }
}

/// Two servers and their Sentinels. Which of the servers is the primary may change at any time.
#[derive(Debug)]
pub struct ValkeyGroup {
    servers: [Arc<Valkey>; 2],
    sentinels: Vec<Sentinel>,
    name: String,
}

impl ValkeyGroup {
    /// Starts all of it, and waits until the replica has its copy and every Sentinel knows everybody.
    ///
    /// # Errors
    /// A server does not start, or they do not find each other within 60 s.
    pub async fn start_with(options: ValkeyGroupOptions) -> Result<Self, StackError> {
        let of_primary =
            ValkeyOptions { kind: options.kind, config: options.config.clone(), ..ValkeyOptions::default() };
        Self::around(Valkey::start_with(of_primary).await?, options).await
    }

    /// As [`ValkeyGroup::start_with`], around a server that is there.
    ///
    /// # Errors
    /// As [`ValkeyGroup::start_with`].
    pub async fn around(
        primary: impl Into<Arc<Valkey>>,
        options: ValkeyGroupOptions,
    ) -> Result<Self, StackError> {
        let primary = primary.into();
        let mut config = options.config;
        config.push(("replicaof".to_owned(), format!("127.0.0.1 {}", primary.port())));
        let of_replica = ValkeyOptions { kind: options.kind, config, ..ValkeyOptions::default() };
        let replica = Arc::new(Valkey::start_with(of_replica).await?);
        let quorum = u32::try_from(options.sentinels / 2 + 1).unwrap_or(u32::MAX);
        let of_sentinels =
            SentinelOptions { quorum, down_after: options.down_after, ..SentinelOptions::default() };
        let mut sentinels = Vec::new();
        for _ in 0..options.sentinels {
            sentinels.push(Sentinel::start(&primary, &of_sentinels).await?);
        }
        let group = Self { servers: [primary, replica], sentinels, name: of_sentinels.name };
        group.settles(SETTLED_LIMIT).await?;
        Ok(group)
    }

    /// `valkey+sentinel://<address>,…/<name>`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(self.sentinels.iter().map(Sentinel::address))
    }

    /// As [`ValkeyGroup::url`], with other addresses of the Sentinels, such as those of proxies before them.
    #[must_use]
    pub fn url_by(&self, sentinels: &[SocketAddr]) -> String {
        self.url_of(sentinels.iter().map(SocketAddr::to_string))
    }

    fn url_of(&self, sentinels: impl Iterator<Item = String>) -> String {
        let addresses: Vec<_> = sentinels.collect();
        format!("valkey+sentinel://{}/{}", addresses.join(","), self.name)
    }

    /// The two servers, the one first that was the primary at first.
    #[must_use]
    pub fn servers(&self) -> &[Arc<Valkey>; 2] {
        &self.servers
    }

    /// The Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Sentinel] {
        &self.sentinels
    }

    /// The server that all Sentinels name as the primary, if they agree.
    pub async fn primary(&self) -> Option<&Arc<Valkey>> {
        self.named().await.map(|index| &self.servers[index])
    }

    /// The other one.
    pub async fn replica(&self) -> Option<&Arc<Valkey>> {
        self.named().await.map(|index| &self.servers[1 - index])
    }

    /// Breaks the replication between the two, in both directions: the replica stays as it is, however far the primary goes on,
    /// until [`ValkeyGroup::join`]. To Sentinels it looks like a replica that cannot log in.
    ///
    /// # Errors
    /// A server that runs cannot be reached, or the replica still is connected after 60 s.
    pub async fn part(&self) -> Result<(), StackError> {
        for server in self.running() {
            server.set("masteruser", "nobody").await?;
            server.set("masterauth", "wrong").await?;
        }
        for server in self.running() {
            server.command(&["CLIENT", "KILL", "TYPE", "replica"]).await?;
        }
        let parted = async || {
            for server in self.running() {
                if has_link(server, "up").await {
                    return false;
                }
            }
            true
        };
        eventually(SETTLED_LIMIT, parted).await
    }

    /// Lets the servers that run replicate again, after a restart, too: a Sentinel that made one of them a primary or a replica
    /// meanwhile has had its settings written into its file.
    ///
    /// # Errors
    /// One of them cannot be reached.
    pub async fn join(&self) -> Result<(), StackError> {
        for server in self.running() {
            server.set("masteruser", "").await?;
            server.set("masterauth", "").await?;
            server.command(&["CONFIG", "REWRITE"]).await?;
        }
        Ok(())
    }

    /// Waits at most so long until everything is as at the start, whichever server is the primary: all Sentinels name it and
    /// know everybody, it says so itself, and the other one has its copy.
    ///
    /// # Errors
    /// It is not so within the limit.
    pub async fn settles(&self, limit: Duration) -> Result<(), StackError> {
        eventually(limit, async || self.is_settled().await).await
    }

    async fn is_settled(&self) -> bool {
        let (Some(primary), Some(replica)) = (self.primary().await, self.replica().await) else {
            return false;
        };
        for sentinel in &self.sentinels {
            let known = sentinel.command(&["SENTINEL", "MASTER", &self.name]).await.unwrap_or_default();
            let others = format!("num-other-sentinels\n{}", self.sentinels.len() - 1);
            if !(known.contains("num-slaves\n1") && known.contains(&others)) {
                return false;
            }
        }
        let role = primary.command(&["ROLE"]).await;
        role.is_ok_and(|role| role.starts_with("master")) && has_link(replica, "up").await
    }

    async fn named(&self) -> Option<usize> {
        let mut named = None;
        for sentinel in &self.sentinels {
            let address = sentinel.primary().await.ok()?;
            let index = self.servers.iter().position(|server| server.address() == address)?;
            if named.is_some_and(|named| named != index) {
                return None;
            }
            named = Some(index);
        }
        named
    }

    fn running(&self) -> impl Iterator<Item = &Valkey> {
        self.servers.iter().map(AsRef::as_ref).filter(|server| server.pid().is_some())
    }
}

/// Whether this is a replica whose connection to its primary is so.
async fn has_link(server: &Valkey, status: &str) -> bool {
    let info = server.command(&["INFO", "replication"]).await.unwrap_or_default();
    info.contains(&format!("master_link_status:{status}"))
}
