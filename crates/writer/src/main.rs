//! The process `blackfriday-writer`.

use std::process::ExitCode;

use blackfriday_service::{bind, main_with};
use blackfriday_writer::{Config, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    main_with("blackfriday-writer", |config: Config, context| async move {
        let listener = bind(config.listen)?;
        Ok(run(config, listener, context).await?)
    })
}
