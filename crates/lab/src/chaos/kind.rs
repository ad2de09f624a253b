//! The kinds of faults: each with its name, two lines of what it is and what is to be seen, how long it lasts, and what it
//! hits. Faults that hit different parts may last at the same time.

mod rows;

use std::fmt;
use std::str::FromStr;

use blackfriday_broker::EventLog;

use self::rows::{ROWS, Row};
use super::setup::{Setup, StoreKind};
use crate::service::Service;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// SIGKILL of a service.
    Kill(Role),
    /// SIGTERM of a service.
    Stop(Role),
    /// SIGSTOP of a service, SIGCONT after every time-out.
    Pause(Role),
    /// A service may open no more files and connections than it has.
    Starve(Role),
    /// All consumers leave, and join again.
    ConsumersGone,
    /// Every service is restarted, one after the other.
    RollingRestart,
    /// The log's server is killed.
    LogKilled,
    /// The log's server hangs.
    LogPaused,
    /// The store is killed.
    StoreKilled,
    /// The store hangs.
    StorePaused,
    /// The store's data folder is deleted.
    StoreWiped,
    /// The store comes back from an old copy.
    StoreRolledBack,
    /// FLUSHALL.
    StoreFlushed,
    /// FUNCTION FLUSH.
    FunctionsFlushed,
    /// `maxmemory` is reached.
    StoreFull,
    /// A key of ours is overwritten.
    KeyOverwritten,
    /// Every connection to the store is cut.
    StoreConnectionsCut,
    /// Settings of the topic are changed.
    TopicSettings,
    /// A partition is added.
    PartitionsAdded,
    /// Records that are no protobuf.
    Garbage,
    /// Records without a payload.
    Tombstones,
    /// Records larger than a dead letter may be.
    LargeRecords,
    /// Events in the topic of others.
    ForeignEvents,
    /// Transactions of somebody else.
    Transactions,
    /// The dead-letter topic refuses.
    DeadLettersRefused,
    /// RabbitMQ's disk alarm.
    DiskAlarm,
    /// RabbitMQ's memory alarm.
    MemoryAlarm,
    /// The network between two parts.
    Network(Harm, Wire),
    /// One broker of several is away, and all have to be in sync.
    TooFewInSync,
    /// Leaders change.
    LeadersMoved,
    /// The append-only file is torn, several times.
    StoreTorn,
    /// The store loads its data for long.
    StoreLoading,
    /// The store cannot write snapshots.
    StoreMisconf,
    /// The primary is killed, and the replica promoted.
    PrimaryKilled,
    /// A replica is promoted that has lost the primary's last seconds.
    StaleReplica,
    /// Consumers cannot ask the Sentinels for the primary.
    Sentinels(Absence),
    /// Most of the brokers are killed: no partition has a leader.
    MajorityKilled,
    /// The disk of a broker is full.
    LogDiskFull,
    /// The disk of the store is full.
    StoreDiskFull,
    /// A clock is put wrong.
    Clock(Clocked),
    /// Clients want a gateway to run out of memory.
    HostileClients,
    /// They succeed.
    OutOfMemory,
    /// Something of the other log, which only reports go to.
    Second(Blow),
    /// A log becomes another one than was counted.
    Loss(Loss),
}

/// What a log loses, in a field of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// Retention passes a consumer that is stopped.
    Retention,
    /// The last records, in whose place others come.
    Tail,
    /// All of it: the topic is deleted, and made again.
    Deleted,
}

/// How the way to the Sentinels is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Absence {
    /// Connections break, and new ones are refused.
    Refused,
    /// Nothing passes, and nobody is told.
    Silent,
}

/// Whose clock is put wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clocked {
    /// One writer's.
    Writer,
    /// One consumer's.
    Consumer,
    /// The log's, whose time is the one of acceptance.
    Log,
}

/// What happens to the other log, its writer and its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blow {
    /// SIGKILL of the log's server.
    LogKilled,
    /// SIGSTOP of the log's server.
    LogPaused,
    /// SIGKILL of its writer.
    WriterKilled,
    /// SIGSTOP of its writer.
    WriterPaused,
    /// FLUSHALL of its store.
    StoreFlushed,
}

/// What happens to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Harm {
    /// All connections break.
    Cut,
    /// Nothing passes, and nobody is told.
    Stall,
    /// Everything is late.
    Delay,
    /// There is little room.
    Throttle,
    /// What was asked for is done, and the answer is lost.
    Answers,
}

/// Between two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wire {
    /// Gateway and relays.
    Relays,
    /// Relays and writers.
    Writers,
    /// Writers and consumers, and the log.
    Log,
    /// Consumers and the store.
    Store,
}

/// Services of one kind, of which a fault hits one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The front door.
    Gateway,
    /// REST in, gRPC out.
    Relay,
    /// Into the log.
    Writer,
    /// Out of the log.
    Consumer,
}

/// What a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A service.
    Service(Role),
    /// The log's server, and the way to it.
    Log,
    /// The store, and the way to it.
    Store,
    /// The way to these services.
    Wire(Wire),
    /// The other log, and what is behind it.
    Second,
    /// Servers of its own.
    Aside,
    /// More than one part: nothing else is broken meanwhile.
    All,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; ROWS.len()] = {
        let (mut all, mut at) = ([Self::RollingRestart; ROWS.len()], 0);
        while at < ROWS.len() {
            all[at] = ROWS[at].kind;
            at += 1;
        }
        all
    };

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it is, and what is to be seen.
    #[must_use]
    pub fn docs(self) -> [&'static str; 2] {
        self.row().docs
    }

    /// Shortest and longest time from its begin to its end, in milliseconds.
    #[must_use]
    pub fn lasts_ms(self) -> [u64; 2] {
        self.row().lasts_ms
    }

    /// What it hits.
    #[must_use]
    pub const fn part(self) -> Part {
        match self {
            Self::Kill(role) | Self::Stop(role) | Self::Pause(role) | Self::Starve(role) => {
                Part::Service(role)
            }
            Self::ConsumersGone => Part::Service(Role::Consumer),
            // What must be loud needs load, and somebody to say so.
            Self::RollingRestart
            | Self::StoreFull
            | Self::StoreMisconf
            | Self::StoreDiskFull
            | Self::KeyOverwritten
            | Self::DeadLettersRefused
            | Self::HostileClients
            | Self::OutOfMemory
            | Self::Sentinels(_) => Part::All,
            Self::Network(_, Wire::Log) => Part::Log,
            Self::Network(_, Wire::Store) => Part::Store,
            Self::Network(_, wire) => Part::Wire(wire),
            Self::LogKilled
            | Self::LogPaused
            | Self::TopicSettings
            | Self::PartitionsAdded
            | Self::Garbage
            | Self::Tombstones
            | Self::LargeRecords
            | Self::ForeignEvents
            | Self::Transactions
            | Self::TooFewInSync
            | Self::LeadersMoved
            | Self::MajorityKilled
            | Self::LogDiskFull
            | Self::DiskAlarm
            | Self::MemoryAlarm => Part::Log,
            Self::StoreKilled
            | Self::StorePaused
            | Self::StoreWiped
            | Self::StoreRolledBack
            | Self::StoreFlushed
            | Self::StoreConnectionsCut
            | Self::StoreTorn
            | Self::StoreLoading
            | Self::PrimaryKilled
            | Self::StaleReplica
            | Self::FunctionsFlushed => Part::Store,
            Self::Clock(Clocked::Writer) => Part::Service(Role::Writer),
            Self::Clock(Clocked::Consumer) => Part::Service(Role::Consumer),
            Self::Clock(Clocked::Log) => Part::Log,
            Self::Second(_) => Part::Second,
            Self::Loss(_) => Part::Aside,
        }
    }

    /// Whether it can be met with these servers.
    #[must_use]
    pub fn fits(self, setup: &Setup) -> bool {
        let kafka = setup.log == EventLog::Kafka;
        match self {
            Self::TopicSettings
            | Self::PartitionsAdded
            | Self::Transactions
            | Self::DeadLettersRefused
            | Self::LogDiskFull => kafka,
            // The brokers of a cluster have one clock between them.
            Self::Clock(Clocked::Log) => setup.brokers == 1,
            Self::TooFewInSync | Self::LeadersMoved | Self::MajorityKilled => kafka && setup.brokers > 2,
            Self::DiskAlarm | Self::MemoryAlarm => !kafka,
            Self::Network(_, Wire::Store) => setup.store != StoreKind::Sentinels,
            Self::PrimaryKilled | Self::StaleReplica | Self::Sentinels(_) => {
                setup.store == StoreKind::Sentinels
            }
            _ => true,
        }
    }
}

impl Kind {
    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.kind == self).expect("every kind has a row")
    }
}

impl Role {
    /// The services of this kind.
    #[must_use]
    pub const fn services(self) -> &'static [Service] {
        match self {
            Self::Gateway => &[Service::Gateway],
            Self::Relay => &[Service::Relay, Service::SecondRelay],
            Self::Writer => &[Service::WriterA, Service::WriterB],
            Self::Consumer => &[Service::Consumer, Service::SecondConsumer],
        }
    }
}

impl Part {
    /// Whether faults of both may last at once.
    #[must_use]
    pub fn goes_with(self, other: Self) -> bool {
        self != other && self != Self::All && other != Self::All
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("is not one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_name_and_words_of_its_own() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert!(kind.docs().iter().all(|line| line.ends_with('.')), "{kind}");
            let [shortest, longest] = kind.lasts_ms();
            assert!(shortest < longest, "{kind}");
        }
        "no-such-kind".parse::<Kind>().expect_err("no kind");
    }
}
