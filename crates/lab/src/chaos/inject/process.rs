use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_stack::{Scarce, eventually};

use crate::chaos::field::{Clocks, Field, Hostile};
use crate::chaos::kind::{Clocked, Kind, Role};
use crate::chaos::schedule::Planned;
use crate::service::Service;
use crate::taken::Taken;

const REFUSED_LIMIT: Duration = Duration::from_secs(20);
/// What a gateway may take beyond what it has: far less than all bodies may.
const ROOM_BYTES: u64 = 16 << 20;
const HOUR_S: i64 = 3_600;
const OFF_S: [i64; 4] = [HOUR_S, -HOUR_S, 48 * HOUR_S, -48 * HOUR_S];

pub(super) async fn begin(field: &mut Field, fault: &Planned) -> Result<()> {
    match fault.kind {
        Kind::Kill(role) => field.processes.kill(target(role, fault)),
        Kind::Stop(role) => field.stop_in_order(target(role, fault)).await,
        Kind::Pause(role) => field.processes.pause(target(role, fault)),
        Kind::Starve(role) => starve(field, target(role, fault)),
        Kind::ConsumersGone => {
            for consumer in Role::Consumer.services() {
                field.stop_in_order(*consumer).await?;
            }
            Ok(())
        }
        Kind::RollingRestart => rolling_restart(field).await,
        Kind::Clock(clocked) => put_clock(field, clocked, OFF_S[fault.pick as usize % OFF_S.len()]),
        Kind::HostileClients => exhaust(field).await,
        Kind::OutOfMemory => run_out(field).await,
        _ => Ok(()),
    }
}

pub(super) fn heal(field: &mut Field, fault: &Planned) -> Result<()> {
    match fault.kind {
        Kind::Kill(role) | Kind::Stop(role) => field.processes.spawn(target(role, fault)),
        Kind::Pause(role) => field.processes.resume(target(role, fault)),
        Kind::Starve(role) => field.processes.limit(target(role, fault), Scarce::Descriptors, None),
        Kind::Clock(clocked) => {
            put_clock(field, clocked, 0)?;
            // What waits in it by the wall clock, as Kafka's client does, would wait until the wrong time comes.
            let wearer = Clocks::wearer(clocked).context("a service")?;
            field.processes.kill(wearer)?;
            field.processes.spawn(wearer)
        }
        Kind::HostileClients => {
            field.hostile = None;
            Ok(())
        }
        Kind::OutOfMemory => start_again(field),
        Kind::ConsumersGone => {
            Role::Consumer.services().iter().try_for_each(|consumer| field.processes.spawn(*consumer))
        }
        _ => Ok(()),
    }
}

fn target(role: Role, fault: &Planned) -> Service {
    let services = role.services();
    services[fault.pick as usize % services.len()]
}

fn starve(field: &Field, service: Service) -> Result<()> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", field.processes.pid(service)?));
    let open = open.context("list the descriptors")?.count() as u64;
    field.processes.limit(service, Scarce::Descriptors, Some(open))
}

async fn rolling_restart(field: &mut Field) -> Result<()> {
    for service in field.processes.services() {
        field.stop_in_order(*service).await?;
        field.processes.spawn(*service)?;
        field.processes.wait_ready(*service, true).await?;
    }
    Ok(())
}

fn put_clock(field: &Field, clocked: Clocked, off_s: i64) -> Result<()> {
    let clocks = field.clocks.as_ref().context("clocks of its own")?;
    Ok(clocks.of(clocked).shift(off_s)?)
}

/// Clients hold more bodies than a gateway has memory for, until it refuses them.
async fn exhaust(field: &mut Field) -> Result<()> {
    let hostile = Hostile::start(field.processes.address(Service::Gateway));
    if eventually(REFUSED_LIMIT, async || hostile.is_refused()).await.is_err() {
        field.complain("every hostile client got what it wanted".to_owned());
    }
    field.hostile = Some(hostile);
    Ok(())
}

/// As [`exhaust`], where the memory that it may take is less than its own limit for bodies. A gateway that has just started:
/// what another one's allocator has kept would be room, too.
async fn run_out(field: &mut Field) -> Result<()> {
    field.stop_in_order(Service::Gateway).await?;
    field.processes.spawn(Service::Gateway)?;
    field.processes.wait_ready(Service::Gateway, true).await?;
    let data = Taken::by(field.processes.pid(Service::Gateway)?)?.data_kib << 10;
    field.processes.limit(Service::Gateway, Scarce::MemoryBytes, Some(data + ROOM_BYTES))?;
    field.hostile = Some(Hostile::start(field.processes.address(Service::Gateway)));
    let has_ended = async || field.processes.ended().iter().any(|(service, _)| *service == Service::Gateway);
    if eventually(REFUSED_LIMIT, has_ended).await.is_err() {
        field.complain("the gateway has not reached the limit of its memory".to_owned());
    }
    Ok(())
}

fn start_again(field: &mut Field) -> Result<()> {
    field.hostile = None;
    for (service, status) in field.revive()? {
        if service != Service::Gateway {
            field.complain(format!("{service:?} ended with {status} while the gateway had no memory"));
        }
    }
    field.processes.limit(Service::Gateway, Scarce::MemoryBytes, None)
}
