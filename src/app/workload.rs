//! The first certificates of a SPIFFE agent, before anything is built that names them.

use super::StartError;
use crate::crypto::workload::{FILES, fetch};
use crate::model::settings::SpiffeSettings;

/// Waits for the first SVID; where the agent is away, the last one will do.
pub(super) fn first(settings: &SpiffeSettings) -> Result<(), StartError> {
    let failed = |problem: &dyn std::fmt::Display| StartError::Failed(format!("spiffe: {problem}"));
    // On a thread of its own, as whoever starts us may be within a runtime.
    let fetching = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            Ok(runtime.map_err(|problem| failed(&problem))?.block_on(fetch(settings)))
        });
        thread.join().unwrap_or_else(|_| Err(failed(&"fetching the first SVID broke off")))
    });
    let Err(problem) = fetching? else { return Ok(()) };
    if FILES.iter().all(|file| settings.directory.join(file).exists()) {
        tracing::warn!(%problem, "no SVID comes from the SPIFFE agent; starting with the last SVID");
        return Ok(());
    }
    Err(failed(&problem))
}
