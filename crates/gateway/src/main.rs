//! The process `blackfriday-gateway`.

use std::process::ExitCode;

use blackfriday_gateway::{Config, run};
use blackfriday_service::{Failure, bind, main_with};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    main_with("blackfriday-gateway", |config: Config, context| async move {
        let listener = bind(config.listen)?;
        run(config, listener, context).await.map_err(|error| {
            let kind = if error.is_unavailable() { Failure::Unavailable } else { Failure::Configuration };
            kind(error.into())
        })
    })
}
