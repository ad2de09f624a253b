use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use blackfriday_stack::{
    Proxy, Valkey, ValkeyGroup, ValkeyGroupOptions, ValkeyKind, ValkeyOptions, Wire, eventually,
};

use crate::chaos::setup::StoreKind;

/// How long Sentinels may take to agree on a primary.
const PRIMARY_LIMIT: Duration = Duration::from_secs(40);

/// The store: one server behind a proxy, or a primary with its replica and three Sentinels, which name the servers themselves.
#[derive(Debug)]
pub(crate) enum Counters {
    One {
        server: Arc<Valkey>,
        proxy: Proxy,
    },
    /// Before each Sentinel is a proxy.
    Group(ValkeyGroup, Vec<Proxy>),
}

impl Counters {
    pub(super) async fn start(kind: StoreKind) -> Result<Self> {
        let kind = match kind {
            StoreKind::Valkey => ValkeyKind::Valkey,
            StoreKind::Redis => ValkeyKind::Redis,
            StoreKind::Sentinels => {
                let group = ValkeyGroup::start_with(ValkeyGroupOptions::default()).await?;
                let mut proxies = Vec::new();
                for sentinel in group.sentinels() {
                    proxies.push(Proxy::to(sentinel.address()).await?);
                }
                return Ok(Self::Group(group, proxies));
            }
        };
        let server = Valkey::start_with(ValkeyOptions { kind, ..ValkeyOptions::default() }).await?;
        let proxy = Proxy::speaking(Wire::Valkey, server.address()).await?;
        Ok(Self::One { server: Arc::new(server), proxy })
    }

    /// How the services reach it.
    pub(super) fn url(&self) -> String {
        match self {
            Self::One { proxy, .. } => format!("redis://{}", proxy.address()),
            Self::Group(group, proxies) => {
                group.url_by(&proxies.iter().map(Proxy::address).collect::<Vec<_>>())
            }
        }
    }

    /// The server that counts.
    pub(crate) async fn primary(&self) -> Result<Arc<Valkey>> {
        let group = match self {
            Self::One { server, .. } => return Ok(Arc::clone(server)),
            Self::Group(group, _) => group,
        };
        let agreed = eventually(PRIMARY_LIMIT, async || group.primary().await.is_some()).await;
        agreed.context("Sentinels that agree on a primary")?;
        group.primary().await.map(Arc::clone).context("a primary")
    }

    /// The servers and their Sentinels.
    pub(crate) fn group(&self) -> Result<&ValkeyGroup> {
        match self {
            Self::One { .. } => {
                bail!("this fault is one of a primary with its replica, and the store is one server")
            }
            Self::Group(group, _) => Ok(group),
        }
    }

    /// What its clients reach it through.
    pub(super) fn wires(&self) -> Vec<&Proxy> {
        match self {
            Self::One { proxy, .. } => vec![proxy],
            Self::Group(..) => Vec::new(),
        }
    }

    /// What its clients reach the Sentinels through.
    pub(crate) fn sentinel_wires(&self) -> &[Proxy] {
        match self {
            Self::One { .. } => &[],
            Self::Group(_, proxies) => proxies,
        }
    }
}
