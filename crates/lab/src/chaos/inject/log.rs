use anyhow::Result;
use blackfriday_stack::Alarm;

use crate::chaos::field::{Field, Log};
use crate::chaos::kind::Kind;
use crate::chaos::schedule::Planned;

pub(super) async fn begin(field: &Field, fault: &Planned) -> Result<()> {
    match (fault.kind, &field.main.log) {
        (Kind::LogKilled, log) => log.kill(fault.pick)?,
        (Kind::LogPaused, log) => log.pause(fault.pick)?,
        (Kind::MajorityKilled, log) => most(log, fault)?.try_for_each(|pick| log.kill(pick))?,
        (Kind::LogDiskFull, log) => log.fill_disk(fault.pick)?,
        (Kind::DiskAlarm, Log::RabbitMq(rabbitmq)) => rabbitmq.raise(Alarm::Disk).await?,
        (Kind::MemoryAlarm, Log::RabbitMq(rabbitmq)) => rabbitmq.raise(Alarm::Memory).await?,
        _ => {}
    }
    Ok(())
}

pub(super) async fn heal(field: &Field, fault: &Planned) -> Result<()> {
    match (fault.kind, &field.main.log) {
        (Kind::LogKilled | Kind::LogDiskFull, log) => log.restart(fault.pick).await?,
        (Kind::MajorityKilled, log) => {
            for pick in most(log, fault)? {
                log.restart(pick).await?;
            }
        }
        (Kind::LogPaused, log) => log.resume(fault.pick)?,
        (Kind::DiskAlarm, Log::RabbitMq(rabbitmq)) => rabbitmq.clear(Alarm::Disk).await?,
        (Kind::MemoryAlarm, Log::RabbitMq(rabbitmq)) => rabbitmq.clear(Alarm::Memory).await?,
        _ => {}
    }
    Ok(())
}

/// More than half of the brokers, beginning with the one that the plan has picked.
fn most(log: &Log, fault: &Planned) -> Result<impl Iterator<Item = u32> + use<>> {
    let brokers = u32::try_from(log.kafka()?.nodes().len())?;
    let first = fault.pick % brokers;
    Ok((0..=brokers / 2).map(move |next| (first + next) % brokers))
}
