//! How each kind of fault begins, and how it is healed. What it hits follows from its plan alone.
//!
//! Invariant: both are bounded in time, and a fault that must be loud is complained about if it is not.

mod clock;
mod group;
pub(crate) mod kafka;
mod log;
mod network;
mod poison;
mod process;
pub(crate) mod record;
mod second;
mod store;

use anyhow::Result;

use super::aside;
use super::field::Field;
use super::kind::{Blow, Clocked, Harm, Kind, Loss, Wire};
use super::schedule::Planned;

/// Who does it.
enum By {
    Process,
    Clock,
    Log,
    Store,
    Group,
    Kafka,
    Poison,
    Network(Harm, Wire),
    Second(Blow),
    Aside(Loss),
}

/// Begins a fault.
pub(crate) async fn begin(field: &mut Field, fault: &Planned) -> Result<()> {
    match by(fault.kind) {
        By::Process => process::begin(field, fault).await,
        By::Clock => clock::begin(field, fault).await,
        By::Log => log::begin(field, fault).await,
        By::Store => store::begin(field, fault).await,
        By::Kafka => kafka::begin(field, fault).await,
        By::Group => group::begin(field, fault.kind).await,
        By::Poison => poison::begin(field, fault.kind).await,
        By::Second(blow) => second::begin(field, blow).await,
        By::Aside(loss) => {
            let complaints = aside::meet(loss, field.main.kind()).await?;
            complaints.into_iter().for_each(|complaint| field.complain(complaint));
            Ok(())
        }
        By::Network(harm, wire) => {
            network::begin(field, wire, harm);
            Ok(())
        }
    }
}

/// Heals it: from here on everything has to come back by itself.
pub(crate) async fn heal(field: &mut Field, fault: &Planned) -> Result<()> {
    match by(fault.kind) {
        By::Process => process::heal(field, fault),
        By::Clock => clock::heal(field, fault).await,
        By::Log => log::heal(field, fault).await,
        By::Store => store::heal(field, fault.kind).await,
        By::Kafka => kafka::heal(field, fault).await,
        By::Group => group::heal(field, fault.kind).await,
        By::Poison => poison::heal(field, fault.kind).await,
        By::Second(blow) => second::heal(field, blow).await,
        By::Aside(_) => Ok(()),
        By::Network(_, wire) => network::heal(field, wire).await,
    }
}

fn by(kind: Kind) -> By {
    match kind {
        Kind::Kill(_)
        | Kind::Stop(_)
        | Kind::Pause(_)
        | Kind::Starve(_)
        | Kind::ConsumersGone
        | Kind::RollingRestart
        | Kind::HostileClients
        | Kind::OutOfMemory
        | Kind::Clock(Clocked::Writer | Clocked::Consumer) => By::Process,
        Kind::Clock(Clocked::Log) => By::Clock,
        Kind::LogKilled
        | Kind::LogPaused
        | Kind::MajorityKilled
        | Kind::LogDiskFull
        | Kind::DiskAlarm
        | Kind::MemoryAlarm => By::Log,
        Kind::Second(blow) => By::Second(blow),
        Kind::Loss(loss) => By::Aside(loss),
        Kind::Network(harm, wire) => By::Network(harm, wire),
        Kind::PrimaryKilled | Kind::StaleReplica | Kind::Sentinels(_) => By::Group,
        Kind::StoreKilled
        | Kind::StorePaused
        | Kind::StoreWiped
        | Kind::StoreRolledBack
        | Kind::StoreFlushed
        | Kind::FunctionsFlushed
        | Kind::StoreFull
        | Kind::KeyOverwritten
        | Kind::StoreTorn
        | Kind::StoreLoading
        | Kind::StoreMisconf
        | Kind::StoreDiskFull
        | Kind::StoreConnectionsCut => By::Store,
        Kind::TopicSettings | Kind::PartitionsAdded | Kind::TooFewInSync | Kind::LeadersMoved => By::Kafka,
        Kind::Garbage
        | Kind::Tombstones
        | Kind::LargeRecords
        | Kind::ForeignEvents
        | Kind::Transactions
        | Kind::DeadLettersRefused => By::Poison,
    }
}
