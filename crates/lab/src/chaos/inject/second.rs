//! What happens to the other log, which only reports go to, to its one writer, and to its store.

use anyhow::Result;

use crate::chaos::field::Field;
use crate::chaos::kind::Blow;

/// It has one server.
const ONLY: u32 = 0;

pub(super) async fn begin(field: &mut Field, blow: Blow) -> Result<()> {
    let writer = field.second.writer();
    match blow {
        Blow::LogKilled => Ok(field.second.log.kill(ONLY)?),
        Blow::LogPaused => Ok(field.second.log.pause(ONLY)?),
        Blow::WriterKilled => field.processes.kill(writer),
        Blow::WriterPaused => field.processes.pause(writer),
        Blow::StoreFlushed => {
            field.second.counters.primary().await?.command(&["FLUSHALL"]).await?;
            Ok(())
        }
    }
}

pub(super) async fn heal(field: &mut Field, blow: Blow) -> Result<()> {
    let writer = field.second.writer();
    match blow {
        Blow::LogKilled => Ok(field.second.log.restart(ONLY).await?),
        Blow::LogPaused => Ok(field.second.log.resume(ONLY)?),
        Blow::WriterKilled => field.processes.spawn(writer),
        Blow::WriterPaused => field.processes.resume(writer),
        Blow::StoreFlushed => Ok(()),
    }
}
