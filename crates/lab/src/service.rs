/// One of our processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The public REST API.
    Gateway,
    /// One that calls the writers itself.
    WriterGateway,
    /// One that writes into the log itself.
    LogGateway,
    /// REST in, gRPC out.
    Relay,
    /// Next to it.
    SecondRelay,
    /// The first of two gRPC servers.
    WriterA,
    /// The second.
    WriterB,
    /// One more.
    FurtherWriter(u8),
    /// Counts.
    Consumer,
    /// Shares the partitions with it.
    SecondConsumer,
    /// One more.
    FurtherConsumer(u8),
    /// Read API and page.
    Dashboard,
    /// Weather into Kafka.
    KafkaWriter,
    /// Weather, and sales where there are any, into RabbitMQ.
    RabbitWriter,
    /// From Kafka into Redis.
    KafkaConsumer,
    /// From RabbitMQ into Valkey.
    RabbitConsumer,
}

impl Service {
    /// Every process of a pipeline of sales, in the order in which they start.
    pub const ALL: [Self; 6] =
        [Self::WriterA, Self::WriterB, Self::Consumer, Self::Relay, Self::Gateway, Self::Dashboard];
    /// Every process of a pipeline whose gateway writes into the log itself, in the order in which they start.
    pub const ONE_HOP: [Self; 3] = [Self::Consumer, Self::Gateway, Self::Dashboard];
    /// As many writers as are measured side by side.
    pub const WRITERS: [Self; 4] =
        [Self::WriterA, Self::WriterB, Self::FurtherWriter(3), Self::FurtherWriter(4)];
    /// Every process of the three ways into the log at once but writers and consumers, in the order in which they start.
    pub const WAYS: [Self; 4] = [Self::Relay, Self::Gateway, Self::WriterGateway, Self::LogGateway];
    /// As many consumers as a topic has partitions by default in a cluster.
    pub const CONSUMERS: [Self; 6] = [
        Self::Consumer,
        Self::SecondConsumer,
        Self::FurtherConsumer(3),
        Self::FurtherConsumer(4),
        Self::FurtherConsumer(5),
        Self::FurtherConsumer(6),
    ];
    /// All of these, and what reads the store.
    pub const MEASURED: [Self; 15] = [
        Self::WriterA,
        Self::WriterB,
        Self::FurtherWriter(3),
        Self::FurtherWriter(4),
        Self::Relay,
        Self::Gateway,
        Self::WriterGateway,
        Self::LogGateway,
        Self::Consumer,
        Self::SecondConsumer,
        Self::FurtherConsumer(3),
        Self::FurtherConsumer(4),
        Self::FurtherConsumer(5),
        Self::FurtherConsumer(6),
        Self::Dashboard,
    ];
    /// Every process of a pipeline into both logs, in the order in which they start.
    pub const BOTH: [Self; 7] = [
        Self::KafkaWriter,
        Self::RabbitWriter,
        Self::KafkaConsumer,
        Self::RabbitConsumer,
        Self::Relay,
        Self::Gateway,
        Self::Dashboard,
    ];

    /// Every process of a pipeline with two of each but the gateway, whose reports go to Kafka, too, in the order in which they
    /// start.
    pub const DOUBLED_AND_KAFKA: [Self; 9] = Self::doubled(Self::KafkaWriter, Self::KafkaConsumer);
    /// The same with RabbitMQ in its place.
    pub const DOUBLED_AND_RABBITMQ: [Self; 9] = Self::doubled(Self::RabbitWriter, Self::RabbitConsumer);

    /// One that counts.
    pub const ALONE: [Self; 1] = [Self::Consumer];

    const fn doubled(writer: Self, consumer: Self) -> [Self; 9] {
        [
            Self::WriterA,
            Self::WriterB,
            writer,
            Self::Consumer,
            Self::SecondConsumer,
            consumer,
            Self::Relay,
            Self::SecondRelay,
            Self::Gateway,
        ]
    }

    /// As a table of processes calls it; those that share work share a name.
    pub(crate) fn short_name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::WriterGateway => "gateway to writers",
            Self::LogGateway => "gateway to log",
            Self::Relay | Self::SecondRelay => "relay",
            Self::WriterA
            | Self::WriterB
            | Self::FurtherWriter(_)
            | Self::KafkaWriter
            | Self::RabbitWriter => "writer",
            Self::Consumer
            | Self::SecondConsumer
            | Self::FurtherConsumer(_)
            | Self::KafkaConsumer
            | Self::RabbitConsumer => "consumer",
            Self::Dashboard => "dashboard",
        }
    }

    /// The program that it runs.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Gateway | Self::WriterGateway | Self::LogGateway => "blackfriday-gateway",
            Self::Relay | Self::SecondRelay => "blackfriday-relay",
            Self::WriterA
            | Self::WriterB
            | Self::FurtherWriter(_)
            | Self::KafkaWriter
            | Self::RabbitWriter => "blackfriday-writer",
            Self::Consumer
            | Self::SecondConsumer
            | Self::FurtherConsumer(_)
            | Self::KafkaConsumer
            | Self::RabbitConsumer => "blackfriday-consumer",
            Self::Dashboard => "blackfriday-dashboard",
        }
    }

    /// Where it is told where to listen, if it serves anything but its admin port.
    pub(crate) fn listen_variable(self) -> Option<&'static str> {
        match self {
            Self::Gateway | Self::WriterGateway | Self::LogGateway => Some("BLACKFRIDAY_GATEWAY_LISTEN"),
            Self::Relay | Self::SecondRelay => Some("BLACKFRIDAY_RELAY_LISTEN"),
            Self::WriterA
            | Self::WriterB
            | Self::FurtherWriter(_)
            | Self::KafkaWriter
            | Self::RabbitWriter => Some("BLACKFRIDAY_WRITER_LISTEN"),
            Self::Dashboard => Some("BLACKFRIDAY_DASHBOARD_LISTEN"),
            Self::Consumer
            | Self::SecondConsumer
            | Self::FurtherConsumer(_)
            | Self::KafkaConsumer
            | Self::RabbitConsumer => None,
        }
    }
}
