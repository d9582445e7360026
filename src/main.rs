//! The `ansatz` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ansatz::cli::main())
}
