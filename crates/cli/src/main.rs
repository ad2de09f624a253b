//! The command `blackfriday`.

use std::process::ExitCode;

use blackfriday_cli::{Cli, run};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => {
            let code = if error.use_stderr() { 64 } else { 0 };
            // There is nowhere left to say that standard error is closed.
            error.print().ok();
            ExitCode::from(code)
        }
    }
}
