//! `portcullis schema`: the JSON Schema of the configuration, for editors.

use super::failure::Failure;
use super::output;
use crate::config;

pub(super) fn run() -> Result<(), Failure> {
    output::json(&config::schema());
    Ok(())
}
