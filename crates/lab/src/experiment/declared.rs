//! What is compared: of each experiment the variants, the first of which the others are held against.

use blackfriday_broker::EventLog;
use blackfriday_stack::ValkeyKind;

use super::cluster::Question;
use crate::bench::{Acks, Demand, Queue, Setup, Subject, Variant};

/// Sales a second where latency and freshness are compared at the same rate: a machine of two cores carries it every way.
const STEADY: f64 = 5_000.0;

/// Sales a second that a store in an emulated machine carries, too.
const SLOW: f64 = 200.0;

/// A question that is answered by measuring.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Experiment {
    /// Three, two and one hop: one sale a request.
    Hops,
    /// Three, two and one hop: many sales a request.
    HopsBatch,
    /// Three, two and one hop at 5,000 sales a second, and how fresh the count is.
    HopsSteady,
    /// Sales of several requests in one call upstream, against a call for each.
    Lanes,
    /// Kafka against RabbitMQ's streams: one sale a request.
    Logs,
    /// Kafka against RabbitMQ's streams: many sales a request.
    LogsBatch,
    /// Kafka against RabbitMQ's streams at 5,000 sales a second.
    LogsSteady,
    /// Valkey against Redis: one sale a request.
    Stores,
    /// Valkey against Redis: many sales a request.
    StoresBatch,
    /// Valkey against Redis at 5,000 sales a second.
    StoresSteady,
    /// A store alone, and one with a replica and Sentinels, at 5,000 sales a second.
    Replica,
    /// A store alone that is started again, and one with a replica and Sentinels: its primary dies under load, until counting goes
    /// on.
    Failover,
    /// The store as a process, and in the virtual machine of its disk, which QEMU emulates: boot, memory, and how long a batch takes.
    Disk,
    /// The store's append-only file: synced every second, always, not at all.
    Persistence,
    /// A record acknowledged by all replicas in sync, or by the leader alone, in a cluster of three brokers.
    Acks,
    /// A stream of RabbitMQ against a classic and a quorum queue: a bare publisher over AMQP.
    Queues,
    /// Requests of records on the way to Kafka at once: 5, 2 and 1.
    InFlight,
    /// One writer against two.
    Writers,
    /// A backlog counted by 1, 2, 3 and 6 consumers.
    Consumers,
    /// A topic of 1, 6 and 16 partitions.
    Partitions,
    /// A hundred, ten thousand and a million products.
    Products,
    /// 1, 64 and 1,000 connections.
    Connections,
    /// How long the consumer waits for a fuller batch, at 5,000 sales a second.
    BatchWait,
    /// In a cluster: as many gateways as the HPA gives, against one.
    Autoscaler,
    /// In a cluster: what the VPA recommends, against what the pods ask for.
    Recommendations,
    /// In a cluster: a store in a virtual machine against one in a pod: boot, memory, and how long a batch takes.
    Machine,
}

impl Experiment {
    /// As files and commands name it.
    pub(super) fn name(self) -> String {
        let named = clap::ValueEnum::to_possible_value(&self);
        named.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What is asked.
    pub(super) fn question(self) -> String {
        let named = clap::ValueEnum::to_possible_value(&self);
        named.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    /// What it asks of a cluster, if it needs one.
    pub(super) fn in_cluster(self) -> Option<Question> {
        match self {
            Self::Autoscaler => Some(Question::Autoscaler),
            Self::Recommendations => Some(Question::Recommendations),
            Self::Machine => Some(Question::Machine),
            _ => None,
        }
    }

    /// Whether it boots a disk, which somebody has to name.
    pub(super) fn needs_disk(self) -> bool {
        self == Self::Disk
    }

    /// Of the variants, in their order.
    pub(super) fn names(self) -> Vec<&'static str> {
        match self.in_cluster() {
            Some(question) => question.names().into(),
            None => self.variants().iter().map(|variant| variant.name).collect(),
        }
    }

    /// The variants in their order; none of what is measured in a cluster, where nothing is started here.
    pub(super) fn variants(self) -> Vec<Variant> {
        match self {
            Self::Hops => ways([Subject::Relay, Subject::Writer, Subject::Log], Demand::default()),
            Self::HopsBatch => {
                ways([Subject::RelayBatch, Subject::WriterBatch, Subject::LogBatch], Demand::default())
            }
            Self::HopsSteady => ways([Subject::Relay, Subject::Writer, Subject::Log], steady()),
            Self::Lanes => varied(
                Subject::Writer,
                Demand::default(),
                [
                    ("coalesced", Setup::default()),
                    ("one-by-one", with(&[("BLACKFRIDAY_INTAKE_LANE_BATCH_SALES", "1")])),
                ],
            ),
            Self::Logs => varied(Subject::Writer, Demand::default(), logs()),
            Self::LogsBatch => varied(Subject::WriterBatch, Demand::default(), logs()),
            Self::LogsSteady => varied(Subject::Writer, steady(), logs()),
            Self::Stores => varied(Subject::Log, Demand::default(), stores()),
            Self::StoresBatch => varied(Subject::LogBatch, Demand::default(), stores()),
            Self::StoresSteady => varied(Subject::Log, steady(), stores()),
            Self::Replica => varied(Subject::Log, steady(), replicas()),
            Self::Failover => {
                varied(Subject::Failover, Demand { rate: Some(STEADY), ..Demand::default() }, replicas())
            }
            Self::Disk => {
                let demand = Demand { rate: Some(SLOW), with_freshness: true, ..Demand::default() };
                let of = |in_machine| Setup { in_machine, ..Setup::default() };
                varied(Subject::Boot, demand, [("process", of(false)), ("emulated", of(true))])
            }
            Self::Queues => [Queue::Stream, Queue::Classic, Queue::Quorum].map(queue).into(),
            Self::Persistence => varied(Subject::Log, steady(), persistence()),
            Self::Acks => {
                let of = |acks| Setup { brokers: 3, acks, ..Setup::default() };
                varied(Subject::Producer, Demand::default(), [("all", of(Acks::All)), ("one", of(Acks::One))])
            }
            Self::InFlight => varied(Subject::Log, Demand::default(), in_flight()),
            Self::Writers => {
                let of = |writers| Setup { writers, ..Setup::default() };
                varied(Subject::Writer, Demand::default(), [("one", of(1)), ("two", of(2))])
            }
            Self::Consumers => demanded(
                Subject::Backlog,
                [("one", 1), ("two", 2), ("three", 3), ("six", 6)]
                    .map(|(name, consumers)| (name, Demand { consumers, ..Demand::default() })),
            ),
            Self::Partitions => {
                let of = |partitions| Setup { partitions, ..Setup::default() };
                varied(Subject::LogBatch, Demand::default(), [("p1", of(1)), ("p6", of(6)), ("p16", of(16))])
            }
            Self::Products => {
                // Each has a store of its own: what the last has counted would slow the first.
                let apart = [("n100", 100), ("n10000", 10_000), ("n1000000", 1_000_000)];
                apart.map(|(name, products)| products_apart(name, products)).into()
            }
            Self::Connections => demanded(
                Subject::Log,
                [("c1", 1), ("c64", 64), ("c1000", 1_000)]
                    .map(|(name, connections)| (name, Demand { connections, ..Demand::default() })),
            ),
            Self::BatchWait => varied(Subject::Log, steady(), batch_waits()),
            Self::Autoscaler | Self::Recommendations | Self::Machine => Vec::new(),
        }
    }
}

/// The same in each, but the way that sales take.
fn ways(subjects: [Subject; 3], demand: Demand) -> Vec<Variant> {
    let names = ["relay", "writers", "log"].into_iter().zip(subjects);
    names.map(|(name, subject)| Variant { name, setup: Setup::default(), subject, demand }).collect()
}

/// The same in each, but what runs.
fn varied<const N: usize>(
    subject: Subject,
    demand: Demand,
    setups: [(&'static str, Setup); N],
) -> Vec<Variant> {
    setups.map(|(name, setup)| Variant { name, setup, subject, demand }).into()
}

/// The same in each, but what is asked of it.
fn demanded<const N: usize>(subject: Subject, demands: [(&'static str, Demand); N]) -> Vec<Variant> {
    demands.map(|(name, demand)| Variant { name, setup: Setup::default(), subject, demand }).into()
}

fn products_apart(name: &'static str, products: u64) -> Variant {
    let setup = Setup { apart: name, ..Setup::default() };
    Variant { name, setup, subject: Subject::LogBatch, demand: Demand { products, ..Demand::default() } }
}

fn queue(queue: Queue) -> Variant {
    let setup = Setup { log: EventLog::RabbitMq, ..Setup::default() };
    let demand = Demand { queue, ..Demand::default() };
    Variant { name: queue.name(), setup, subject: Subject::Publisher, demand }
}

fn replicas() -> [(&'static str, Setup); 2] {
    [("alone", Setup::default()), ("with-replica", Setup { with_replica: true, ..Setup::default() })]
}

fn steady() -> Demand {
    Demand { rate: Some(STEADY), with_freshness: true, ..Demand::default() }
}

fn with(environment: &'static [(&'static str, &'static str)]) -> Setup {
    Setup { environment, ..Setup::default() }
}

fn persistence() -> [(&'static str, Setup); 3] {
    let of = |store_config| Setup { store_config, ..Setup::default() };
    [
        ("everysec", of(&[])),
        ("always", of(&[("appendfsync", "always")])),
        ("off", of(&[("appendonly", "no")])),
    ]
}

fn in_flight() -> [(&'static str, Setup); 3] {
    [
        ("f5", Setup::default()),
        ("f2", with(&[("BLACKFRIDAY_KAFKA_MAX_IN_FLIGHT", "2")])),
        ("f1", with(&[("BLACKFRIDAY_KAFKA_MAX_IN_FLIGHT", "1")])),
    ]
}

fn batch_waits() -> [(&'static str, Setup); 3] {
    [
        ("w10", with(&[("BLACKFRIDAY_CONSUMER_BATCH_WAIT_MS", "10")])),
        ("w50", with(&[("BLACKFRIDAY_CONSUMER_BATCH_WAIT_MS", "50")])),
        ("w200", with(&[("BLACKFRIDAY_CONSUMER_BATCH_WAIT_MS", "200")])),
    ]
}

fn logs() -> [(&'static str, Setup); 2] {
    [("kafka", EventLog::Kafka), ("rabbitmq", EventLog::RabbitMq)]
        .map(|(name, log)| (name, Setup { log, ..Setup::default() }))
}

fn stores() -> [(&'static str, Setup); 2] {
    [("valkey", ValkeyKind::Valkey), ("redis", ValkeyKind::Redis)]
        .map(|(name, store)| (name, Setup { store, ..Setup::default() }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn each_experiment_asks_something_and_varies_one_thing() {
        for experiment in Experiment::value_variants() {
            let (name, names) = (experiment.name(), experiment.names());
            assert!(!name.is_empty() && !experiment.question().is_empty(), "{experiment:?}");
            let different: BTreeSet<_> = names.iter().collect();
            assert!(names.len() >= 2 && different.len() == names.len(), "{name}: {names:?}");
            let variants = experiment.variants();
            assert_eq!(variants.is_empty(), experiment.in_cluster().is_some(), "{name}");
            let Some((first, others)) = variants.split_first() else { continue };
            for other in others {
                let differs = [
                    other.setup != first.setup,
                    other.subject != first.subject,
                    other.demand != first.demand && other.setup.apart.is_empty(),
                ];
                assert_eq!(differs.into_iter().filter(|differs| *differs).count(), 1, "{name}");
            }
        }
    }
}
