//! The process `blackfriday-dashboard`.

use std::process::ExitCode;

use blackfriday_dashboard::{Config, run};
use blackfriday_service::{Failure, bind, main_with};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    main_with("blackfriday-dashboard", |config: Config, context| async move {
        let listener = bind(config.listen)?;
        run(config, listener, context).await.map_err(|error| Failure::Configuration(error.into()))
    })
}
