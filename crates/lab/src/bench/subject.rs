/// What is measured.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A bare axum handler that parses a sale and answers: no way can be faster over HTTP with this server.
    Handler,
    /// The gateway that `--peer` starts.
    Peer,
    /// Gateway, relay, two writers: one sale a request.
    Relay,
    /// Gateway and two writers: one sale a request.
    Writer,
    /// A gateway that writes into the log itself: one sale a request.
    Log,
    /// Gateway, relay, two writers: many sales a request.
    RelayBatch,
    /// Gateway and two writers: many sales a request.
    WriterBatch,
    /// A gateway that writes into the log itself: many sales a request.
    LogBatch,
    /// A bare librdkafka producer with the writer's settings.
    Producer,
    /// A bare publisher of RabbitMQ, over AMQP 0.9.1.
    #[value(skip)]
    Publisher,
    /// A bare librdkafka consumer that counts the bytes of everything that was accepted until then.
    Consumer,
    /// The consumer, from nothing: it counts everything that was accepted until then into an empty store.
    Backlog,
    /// A gateway that writes into the log itself, while the store's primary is killed.
    #[value(skip)]
    Failover,
    /// A gateway that writes into the log itself, after the store has booted.
    #[value(skip)]
    Boot,
}

impl Subject {
    /// Whose time counts as the services' own.
    pub(crate) const SERVICES: [&str; 4] = ["gateway", "relay", "writer", "consumer"];

    /// Each of `bench` once, in the order of a round.
    pub(crate) const ALL: [Self; 11] = [
        Self::Handler,
        Self::Peer,
        Self::Relay,
        Self::Writer,
        Self::Log,
        Self::RelayBatch,
        Self::WriterBatch,
        Self::LogBatch,
        Self::Producer,
        Self::Consumer,
        Self::Backlog,
    ];

    /// As it is called in the table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Handler => "bare handler",
            Self::Peer => "peer",
            Self::Relay => "gateway, relay, writers",
            Self::Writer => "gateway, writers",
            Self::Log => "gateway",
            Self::RelayBatch => "gateway, relay, writers; batches",
            Self::WriterBatch => "gateway, writers; batches",
            Self::LogBatch => "gateway; batches",
            Self::Producer => "bare producer",
            Self::Publisher => "bare publisher",
            Self::Consumer => "bare consumer",
            Self::Backlog => "consumer, from nothing",
            Self::Failover => "gateway; the store's primary dies",
            Self::Boot => "gateway; the store boots",
        }
    }

    /// Whether it is held against Kafka's own client.
    pub(crate) const fn needs_kafka(self) -> bool {
        matches!(self, Self::Producer | Self::Consumer | Self::Peer)
    }

    /// Whether it is sent requests, and for as long as one likes.
    pub(crate) const fn is_driven(self) -> bool {
        !matches!(self, Self::Producer | Self::Publisher | Self::Consumer | Self::Backlog)
    }

    /// Whether it is one of the ways through the services, whose sales are counted.
    pub(crate) const fn is_counted(self) -> bool {
        self.is_driven() && !matches!(self, Self::Handler | Self::Peer)
    }

    /// Whether writers are on the way.
    pub(crate) const fn has_writers(self) -> bool {
        matches!(self, Self::Relay | Self::Writer | Self::RelayBatch | Self::WriterBatch)
    }

    /// Whether a request has many sales.
    pub(crate) const fn is_batch(self) -> bool {
        matches!(self, Self::RelayBatch | Self::WriterBatch | Self::LogBatch)
    }
}
