//! The process `blackfriday-consumer`.

use std::process::ExitCode;

use blackfriday_consumer::{Config, run};
use blackfriday_service::main_with;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    main_with(
        "blackfriday-consumer",
        |config: Config, context| async move { Ok(run(config, context).await?) },
    )
}
