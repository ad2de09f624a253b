//! Every kind's name, how long it lasts, and what it is.

use super::{Absence, Blow, Clocked, Harm, Kind, Loss, Role, Wire};

/// What is said of a kind.
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    /// Shortest and longest time from its begin to its end, in milliseconds.
    pub(super) lasts_ms: [u64; 2],
    pub(super) docs: [&'static str; 2],
}

/// Longer than every time-out of a request and of the group's session.
const PAST_TIMEOUTS: [u64; 2] = [6_500, 7_500];
const AT_ONCE: [u64; 2] = [0, 1];
const SHORT: [u64; 2] = [100, 1_200];
const LONG: [u64; 2] = [1_500, 3_000];

// What is said of the same fault, whatever part it hits.
const KILLED: [&str; 2] =
    ["SIGKILL of a service, which is started again.", "What it had in hand is told as unknown."];
const ENDED: [&str; 2] =
    ["SIGTERM of a service, which is started again.", "It ends with exit code 0, and loses nothing."];
const PAUSED: [&str; 2] =
    ["SIGSTOP of a service for longer than every time-out.", "Whatever it does later must do no harm."];
const STARVED: [&str; 2] = [
    "A service may open no more files and connections than it has.",
    "It refuses new ones, keeps the old, and goes on when it may.",
];
const CUT: [&str; 2] = [
    "Every connection of it breaks, in the middle of whatever it carries.",
    "What may have arrived is told as unknown, or sent again under a key.",
];
const STALLED: [&str; 2] = ["Nothing passes, and neither side is told.", "Requests end by their time-outs."];
const DELAYED: [&str; 2] =
    ["Everything is late by a quarter of a second, each way.", "Answers are late, and all is well."];
const THROTTLED: [&str; 2] =
    ["It carries 16 KiB a second.", "Queues fill up to their limits; above them requests are refused."];
const ANSWERS_LOST: [&str; 2] = [
    "Requests are carried out, and their answers are lost.",
    "Whatever was committed must not be told as refused.",
];

const CLOCK_WRONG: [&str; 2] =
    ["A clock is an hour or two days ahead or behind.", "Nothing that is counted depends on it."];
const SECOND_LOG: [&str; 2] = [
    "The other log's server, to which only reports go, is away.",
    "Reports are refused if surely neither log has them; else each log's state is told. Sales are accepted.",
];
const SECOND_WRITER: [&str; 2] = [
    "The other log's only writer is away.",
    "Reports are refused if surely neither log has them; else each log's state is told. Sales are accepted.",
];

pub(super) const ROWS: &[Row] = &[
    row(Kind::Kill(Role::Gateway), "kill-gateway", SHORT, KILLED),
    row(Kind::Kill(Role::Relay), "kill-relay", SHORT, KILLED),
    row(Kind::Kill(Role::Writer), "kill-writer", SHORT, KILLED),
    row(Kind::Kill(Role::Consumer), "kill-consumer", SHORT, KILLED),
    row(Kind::Stop(Role::Gateway), "stop-gateway", SHORT, ENDED),
    row(Kind::Stop(Role::Relay), "stop-relay", SHORT, ENDED),
    row(Kind::Stop(Role::Writer), "stop-writer", SHORT, ENDED),
    row(Kind::Stop(Role::Consumer), "stop-consumer", SHORT, ENDED),
    row(Kind::Pause(Role::Gateway), "pause-gateway", PAST_TIMEOUTS, PAUSED),
    row(Kind::Pause(Role::Relay), "pause-relay", PAST_TIMEOUTS, PAUSED),
    row(Kind::Pause(Role::Writer), "pause-writer", PAST_TIMEOUTS, PAUSED),
    row(Kind::Pause(Role::Consumer), "pause-consumer", PAST_TIMEOUTS, PAUSED),
    row(Kind::Starve(Role::Gateway), "starve-gateway", LONG, STARVED),
    row(Kind::Starve(Role::Relay), "starve-relay", LONG, STARVED),
    row(Kind::Starve(Role::Writer), "starve-writer", LONG, STARVED),
    row(Kind::Starve(Role::Consumer), "starve-consumer", LONG, STARVED),
    row(
        Kind::ConsumersGone,
        "consumers-gone",
        LONG,
        ["All consumers leave the group, and join it again.", "Sales are accepted; counting waits."],
    ),
    row(
        Kind::RollingRestart,
        "rolling-restart",
        AT_ONCE,
        ["Every service ends by SIGTERM and is started again.", "One after the other, under load."],
    ),
    row(
        Kind::LogKilled,
        "log-killed",
        SHORT,
        [
            "SIGKILL of the log's server, which is started again.",
            "Sales are refused, or their outcome unknown.",
        ],
    ),
    row(
        Kind::LogPaused,
        "log-paused",
        PAST_TIMEOUTS,
        [
            "SIGSTOP of the log's server for longer than a request.",
            "Sales are refused, or their outcome unknown.",
        ],
    ),
    row(
        Kind::StoreKilled,
        "store-killed",
        SHORT,
        ["SIGKILL of the store, which is started again.", "Sales are accepted; counting waits."],
    ),
    row(
        Kind::StorePaused,
        "store-paused",
        PAST_TIMEOUTS,
        ["SIGSTOP of the store for longer than its time-outs.", "Sales are accepted; counting waits."],
    ),
    row(
        Kind::StoreWiped,
        "store-wiped",
        SHORT,
        ["The store is killed and its data folder deleted.", "All is counted again."],
    ),
    row(
        Kind::StoreRolledBack,
        "store-rolled-back",
        LONG,
        ["The store is killed and comes back from an older copy.", "What the copy lacks is counted again."],
    ),
    row(
        Kind::StoreFlushed,
        "store-flushed",
        SHORT,
        ["FLUSHALL under the consumers.", "All is counted again."],
    ),
    row(
        Kind::FunctionsFlushed,
        "functions-flushed",
        SHORT,
        ["FUNCTION FLUSH under the consumers.", "They load their function again."],
    ),
    row(
        Kind::StoreFull,
        "store-full",
        LONG,
        ["`maxmemory` is set below what is used, and raised again.", "Counting stops loudly, and goes on."],
    ),
    row(
        Kind::KeyOverwritten,
        "key-overwritten",
        LONG,
        [
            "Somebody overwrites a counter of ours with a text.",
            "Counting stops loudly until the store is emptied.",
        ],
    ),
    row(
        Kind::StoreConnectionsCut,
        "store-connections-cut",
        SHORT,
        ["The store closes every connection.", "Applies whose answer was lost are found applied, or not."],
    ),
    row(
        Kind::TopicSettings,
        "topic-settings",
        SHORT,
        ["The topic gets other segments and another compression.", "Nothing is to be seen."],
    ),
    row(
        Kind::PartitionsAdded,
        "partitions-added",
        SHORT,
        ["The topic gets one more partition.", "Keys stay where they are, and the new one is counted."],
    ),
    row(Kind::Garbage, "garbage", SHORT, ["Records that are no protobuf.", "They go to the dead letters."]),
    row(
        Kind::Tombstones,
        "tombstones",
        SHORT,
        ["Records with a key and without a payload.", "They go to the dead letters."],
    ),
    row(
        Kind::LargeRecords,
        "large-records",
        SHORT,
        ["Records that are too large for the dead-letter topic.", "Their beginnings go there."],
    ),
    row(
        Kind::ForeignEvents,
        "foreign-events",
        SHORT,
        ["Weather in the topic of sales, and sales in that of weather.", "They go to the dead letters."],
    ),
    row(
        Kind::Transactions,
        "transactions",
        SHORT,
        ["Somebody else's transactions, committed and aborted.", "Their control records count nothing."],
    ),
    row(
        Kind::DeadLettersRefused,
        "dead-letters-refused",
        LONG,
        ["The dead-letter topic takes nothing.", "A partition with something for it waits loudly."],
    ),
    row(
        Kind::DiskAlarm,
        "disk-alarm",
        LONG,
        ["RabbitMQ's disk alarm: whoever publishes is blocked.", "Sales are refused; counting goes on."],
    ),
    row(
        Kind::MemoryAlarm,
        "memory-alarm",
        LONG,
        ["RabbitMQ's memory alarm: whoever publishes is blocked.", "Sales are refused; counting goes on."],
    ),
    row(
        Kind::TooFewInSync,
        "too-few-in-sync",
        LONG,
        ["One broker is killed where all have to be in sync.", "Sales are refused; counting goes on."],
    ),
    row(
        Kind::LeadersMoved,
        "leaders-moved",
        SHORT,
        [
            "Each partition's leader is paused until another one leads, and leads again.",
            "Records are sent again.",
        ],
    ),
    row(
        Kind::StoreTorn,
        "store-torn",
        LONG,
        [
            "The append-only file is torn in a command, three times in a row.",
            "What it lost is counted again; if it gave back half of a batch, counting stops loudly.",
        ],
    ),
    row(
        Kind::StoreLoading,
        "store-loading",
        LONG,
        ["The store is killed, and loads its data for seconds.", "Sales are accepted; counting waits."],
    ),
    row(
        Kind::StoreMisconf,
        "store-misconf",
        LONG,
        ["The store cannot write snapshots, and takes no writes.", "Counting stops loudly, and goes on."],
    ),
    row(
        Kind::PrimaryKilled,
        "primary-killed",
        SHORT,
        ["The primary is killed, the replica promoted, and the old one comes back.", "Counting follows."],
    ),
    row(
        Kind::StaleReplica,
        "stale-replica",
        LONG,
        ["A replica is promoted that lacks the last seconds.", "What it lacks is counted again."],
    ),
    row(
        Kind::Sentinels(Absence::Refused),
        "sentinels-cut",
        LONG,
        [
            "Connections of consumers to Sentinels break, and no new one is let in; the primary closes theirs, too.",
            "Counting waits, and goes on.",
        ],
    ),
    row(
        Kind::Sentinels(Absence::Silent),
        "sentinels-stall",
        LONG,
        [
            "Nothing passes between consumers and Sentinels, and neither side is told; the primary closes connections.",
            "Counting waits, and goes on.",
        ],
    ),
    row(Kind::Network(Harm::Cut, Wire::Relays), "relays-cut", SHORT, CUT),
    row(Kind::Network(Harm::Stall, Wire::Relays), "relays-stall", LONG, STALLED),
    row(Kind::Network(Harm::Delay, Wire::Relays), "relays-delay", LONG, DELAYED),
    row(Kind::Network(Harm::Throttle, Wire::Relays), "relays-throttle", LONG, THROTTLED),
    row(Kind::Network(Harm::Answers, Wire::Relays), "relays-answers", SHORT, ANSWERS_LOST),
    row(Kind::Network(Harm::Cut, Wire::Writers), "writers-cut", SHORT, CUT),
    row(Kind::Network(Harm::Stall, Wire::Writers), "writers-stall", LONG, STALLED),
    row(Kind::Network(Harm::Delay, Wire::Writers), "writers-delay", LONG, DELAYED),
    row(Kind::Network(Harm::Throttle, Wire::Writers), "writers-throttle", LONG, THROTTLED),
    row(Kind::Network(Harm::Answers, Wire::Writers), "writers-answers", SHORT, ANSWERS_LOST),
    row(Kind::Network(Harm::Cut, Wire::Log), "log-cut", SHORT, CUT),
    row(Kind::Network(Harm::Stall, Wire::Log), "log-stall", LONG, STALLED),
    row(Kind::Network(Harm::Delay, Wire::Log), "log-delay", LONG, DELAYED),
    row(Kind::Network(Harm::Throttle, Wire::Log), "log-throttle", LONG, THROTTLED),
    row(Kind::Network(Harm::Answers, Wire::Log), "log-answers", SHORT, ANSWERS_LOST),
    row(Kind::Network(Harm::Cut, Wire::Store), "store-cut", SHORT, CUT),
    row(Kind::Network(Harm::Stall, Wire::Store), "store-stall", LONG, STALLED),
    row(Kind::Network(Harm::Delay, Wire::Store), "store-delay", LONG, DELAYED),
    row(Kind::Network(Harm::Throttle, Wire::Store), "store-throttle", LONG, THROTTLED),
    row(Kind::Network(Harm::Answers, Wire::Store), "store-answers", SHORT, ANSWERS_LOST),
    row(
        Kind::MajorityKilled,
        "majority-killed",
        LONG,
        [
            "SIGKILL of most of the brokers: no partition has a leader.",
            "Sales are refused, or their outcome unknown.",
        ],
    ),
    row(
        Kind::LogDiskFull,
        "log-disk-full",
        LONG,
        ["A broker can write no more to its disk, and is restarted.", "Sales are refused; nothing is lost."],
    ),
    row(
        Kind::StoreDiskFull,
        "store-disk-full",
        LONG,
        ["The store can write no more to its disk.", "It takes no writes; counting waits, and goes on."],
    ),
    row(Kind::Clock(Clocked::Writer), "clock-writer", LONG, CLOCK_WRONG),
    row(Kind::Clock(Clocked::Consumer), "clock-consumer", LONG, CLOCK_WRONG),
    row(
        Kind::Clock(Clocked::Log),
        "clock-log",
        LONG,
        [
            "The log's server comes back from SIGKILL an hour ahead or behind, and later with the right time.",
            "Its time is the time of acceptance: counted is once, in the seconds that it names.",
        ],
    ),
    row(
        Kind::HostileClients,
        "hostile-clients",
        LONG,
        [
            "Clients hold more bodies without an end than a gateway has memory for.",
            "It refuses those above its limit, and its memory stays below.",
        ],
    ),
    row(
        Kind::OutOfMemory,
        "out-of-memory",
        LONG,
        [
            "A gateway may take little more memory than it has, and clients hold bodies until it wants more.",
            "It ends, and is started again; what it had in hand is told as unknown.",
        ],
    ),
    row(Kind::Second(Blow::LogKilled), "second-log-killed", SHORT, SECOND_LOG),
    row(Kind::Second(Blow::LogPaused), "second-log-paused", PAST_TIMEOUTS, SECOND_LOG),
    row(Kind::Second(Blow::WriterKilled), "second-writer-killed", SHORT, SECOND_WRITER),
    row(Kind::Second(Blow::WriterPaused), "second-writer-paused", PAST_TIMEOUTS, SECOND_WRITER),
    row(
        Kind::Second(Blow::StoreFlushed),
        "second-store-flushed",
        SHORT,
        ["FLUSHALL of the store behind the other log.", "All reports are counted again."],
    ),
    row(
        Kind::Loss(Loss::Retention),
        "retention-passed",
        AT_ONCE,
        [
            "In a field of its own, retention passes a consumer that is stopped.",
            "It stops the partition loudly and skips nothing, until it is resumed at the earliest record.",
        ],
    ),
    row(
        Kind::Loss(Loss::Tail),
        "log-tail-lost",
        AT_ONCE,
        [
            "In a field of its own, a log loses its last records, and others come in their place.",
            "The consumer stops the partition loudly, until the store is emptied.",
        ],
    ),
    row(
        Kind::Loss(Loss::Deleted),
        "log-deleted",
        AT_ONCE,
        [
            "In a field of its own, a topic is deleted and made again.",
            "The consumer stops the partition loudly, until the store is emptied.",
        ],
    ),
];

const fn row(kind: Kind, name: &'static str, lasts_ms: [u64; 2], docs: [&'static str; 2]) -> Row {
    Row { kind, name, lasts_ms, docs }
}
