use blackfriday_broker::EventLog;

/// Which servers a run is about: those of the sales, and of one copy of each report.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// The log.
    pub log: EventLog,
    /// How many brokers, where that is Kafka.
    pub brokers: u8,
    /// The store.
    pub store: StoreKind,
    /// Whether some clocks are to go wrong.
    pub clocks: bool,
}

impl Setup {
    /// What reports go to, too: the other log, and a store of its own.
    #[must_use]
    pub fn second(&self) -> Self {
        let log = if self.log == EventLog::Kafka { EventLog::RabbitMq } else { EventLog::Kafka };
        let store = if self.store == StoreKind::Redis { StoreKind::Valkey } else { StoreKind::Redis };
        Self { log, brokers: 1, store, clocks: false }
    }
}

/// A store.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// One Valkey, behind a network that fails.
    Valkey,
    /// One Redis in its place.
    Redis,
    /// A Valkey with a replica, and three Sentinels.
    Sentinels,
}
