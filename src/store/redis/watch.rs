//! Notices a failover while the old master still answers: it may be cut off from the others and not from us.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::dial::Dialer;
use super::link::jittered;
use super::sentinel::Sentinels;

/// One small question to each sentinel, over connections that stay, once in a process whatever number of handles.
const EVERY: Duration = Duration::from_secs(1);

/// Unless somebody watches already. The task ends with the last handle, or with its runtime: then the next call over
/// any handle begins again.
pub(super) fn begin(dialer: &Arc<Dialer>, sentinels: &Sentinels) {
    if sentinels.watched.load(Ordering::Relaxed) || sentinels.watched.swap(true, Ordering::AcqRel) {
        return;
    }
    let watching = Watching(Arc::clone(&sentinels.watched));
    tokio::spawn(watch(Arc::downgrade(dialer), watching));
}

async fn watch(dialer: Weak<Dialer>, _watching: Watching) {
    let mut desks = Vec::new();
    loop {
        sleep(jittered(EVERY)).await;
        let Some(dialer) = dialer.upgrade() else { return };
        let Some(sentinels) = dialer.sentinels() else { return };
        if desks.is_empty() {
            desks = sentinels.desks();
        }
        sentinels.look(&mut desks, dialer.reach()).await;
    }
}

/// Says that nobody watches any more when it is dropped.
struct Watching(Arc<AtomicBool>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
