//! Structured logs on standard error.

use crate::model::settings::LogSettings;

/// Starts logging for the process. Later calls change nothing.
pub fn start(settings: &LogSettings) {
    let _ = settings;
    todo!()
}
