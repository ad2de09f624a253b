//! The command `blackfriday`.

use std::process::ExitCode;

use blackfriday_cli::run;
use blackfriday_terminal::process;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match process::parse() {
        Ok(cli) => run(cli),
        Err(code) => code,
    }
}
