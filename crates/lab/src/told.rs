//! How what was measured reaches whoever asked for it, unless a signal comes first.

use anyhow::Result;
use blackfriday_service::Shutdown;
use blackfriday_terminal::failure::Interrupted;
use blackfriday_terminal::output;
use serde_json::Value;

/// Waits for a report and writes it, as JSON or as tables.
pub(crate) async fn written<R>(
    measured: impl Future<Output = Result<R>>,
    json: bool,
    to_json: impl Fn(&R) -> Value,
    print: impl Fn(&R),
    shutdown: &Shutdown,
) -> Result<R> {
    tokio::select! {
        report = measured => {
            let report = report?;
            if json {
                output::line(to_json(&report));
            } else {
                print(&report);
            }
            Ok(report)
        }
        () = shutdown.begun() => Err(Interrupted.into()),
    }
}
