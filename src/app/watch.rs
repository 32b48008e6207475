//! Notices that files have changed on which the configuration rests.
//!
//! They are looked at once a second rather than subscribed to: that is right on every file system, through symbolic links
//! that are swapped (as Kubernetes does with `..data`) and for files that are not there yet, and costs microseconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::prints::Prints;
use super::reload::InForce;
use crate::admin::Reloads;

/// How often they are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// What has changed is looked at again after so long, and used once two looks agree: nothing is read half written.
const SETTLING: Duration = Duration::from_millis(200);
/// A configuration that was refused is tried again after so many looks: what it lacks may be in files that nothing leads to
/// yet.
const TRY_AGAIN: u32 = 10;

/// What asks where files have changed.
pub(super) const CHANGED: &str = "files";
/// The same once more, for a configuration that was refused.
pub(super) const TRIED_AGAIN: &str = "files, once more";

/// Asks for a reload each time that something has changed; until nobody reloads any more.
pub(super) async fn watch(in_force: InForce, reloads: Reloads) {
    let mut traits = in_force.traits.borrow().clone();
    let mut known = traits.prints.clone();
    // For how many looks the last attempt has been refused.
    let mut refused = None;
    loop {
        sleep(PERIOD).await;
        let now = in_force.traits.borrow().clone();
        if !Arc::ptr_eq(&now, &traits) {
            (known, traits, refused) = (now.prints.clone(), now, None);
        }
        if !in_force.settings.load().server.watch {
            continue;
        }
        let cause = if known.clone().differ().await {
            let found = settled(&known).await;
            let is_news = !found.same_contents(&known);
            known = found;
            if !is_news {
                continue;
            }
            CHANGED
        } else {
            match &mut refused {
                Some(looks) if *looks >= TRY_AGAIN => TRIED_AGAIN,
                Some(looks) => {
                    *looks += 1;
                    continue;
                }
                None => continue,
            }
        };
        let Some(outcome) = reloads.reload(cause).await else { return };
        refused = (!outcome.applied).then_some(0);
    }
}

/// The files once nobody writes to them.
async fn settled(known: &Arc<Prints>) -> Arc<Prints> {
    loop {
        let paths = known.clone();
        // Without an answer the runtime is shutting down.
        let Ok(found) = spawn_blocking(move || Arc::new(paths.again())).await else { return known.clone() };
        sleep(SETTLING).await;
        if !found.clone().differ().await {
            return found;
        }
    }
}

impl Prints {
    /// Whether any file is another one by now, as far as its metadata tell.
    async fn differ(self: Arc<Self>) -> bool {
        spawn_blocking(move || !self.are_current()).await.unwrap_or_default()
    }
}
