//! One file per verb.

use std::process::ExitCode;

/// Runs the verb that the process's arguments name.
pub fn main() -> ExitCode {
    todo!()
}
