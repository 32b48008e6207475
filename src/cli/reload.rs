//! `portcullis reload`: puts the configuration of a running instance in force as it is now.

use super::failure::Failure;
use super::instance::Instance;
use super::output;
use crate::admin::ReloadView;

pub(super) fn run(instance: &Instance) -> Result<(), Failure> {
    let client = instance.client("`admin.socket` is off, so nobody can be asked; send SIGHUP instead")?;
    super::block_on(async {
        // It says why not in the words in which start would.
        let outcome: ReloadView = client.post("/v1/reload", &serde_json::Map::new()).await?;
        if instance.json {
            output::json(&outcome);
        } else {
            output::line(&format!("reloaded; configuration {} is in force", outcome.configuration));
        }
        Ok(())
    })
}
