use std::fmt;

use blackfriday_broker::EventLog;
use blackfriday_verify::Topics;

/// A way from clients through a log into a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) events: Events,
    pub(crate) log: EventLog,
    pub(crate) store: StoreKind,
}

/// What takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Events {
    Sales,
    Weather,
}

/// Which server counts.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// Valkey.
    Valkey,
    /// Redis.
    Redis,
}

/// Weather takes both at once: each log has a store of its own.
const OF_WEATHER: [Path; 2] = [
    Path { events: Events::Weather, log: EventLog::Kafka, store: StoreKind::Redis },
    Path { events: Events::Weather, log: EventLog::RabbitMq, store: StoreKind::Valkey },
];

/// The way of sales, if there are any, and those of weather.
pub(crate) fn paths(sales: Option<(EventLog, StoreKind)>, weather: bool) -> Vec<Path> {
    let of_sales = sales.map(|(log, store)| Path { events: Events::Sales, log, store });
    let of_weather = if weather { &OF_WEATHER[..] } else { &[] };
    of_sales.into_iter().chain(of_weather.iter().copied()).collect()
}

impl Events {
    pub(crate) fn topics(self) -> Topics {
        match self {
            Self::Sales => Topics::SALES,
            Self::Weather => Topics::WEATHER,
        }
    }

    /// Where the gateway takes them.
    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::Sales => "venta",
            Self::Weather => "input",
        }
    }
}

impl Path {
    /// The flag by which a command looks at it.
    pub(crate) fn topics(self) -> Topics {
        self.events.topics()
    }
}

impl StoreKind {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Valkey => "Valkey",
            Self::Redis => "Redis",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = match self.events {
            Events::Sales => "sales",
            Events::Weather => "weather",
        };
        write!(f, "{events}: {} → {}", self.log.title(), self.store.title())
    }
}
