//! The process `blackfriday-gateway`.

use std::process::ExitCode;

use blackfriday_gateway::{Config, run};
use blackfriday_service::{bind, main_with};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    main_with("blackfriday-gateway", |config: Config, context| async move {
        let listener = bind(config.listen)?;
        Ok(run(config, listener, context).await?)
    })
}
