//! Which credentials have changed lately.
//!
//! An entry of the cache carries the generation that was current before its verification began. A change raises the
//! generation and is remembered under it. So an entry that was read before a change never counts after it, however late
//! it is inserted; and where nothing has changed, a hit costs one comparison.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::cache::{Entry, STORED_FOR, is_stored};
use crate::model::Timestamp;

/// Beyond so many at a time all stored entries are taken to have changed.
const MOST: usize = 4096;

/// After that no entry of a record of ours lives that was read before the change, with room for a slow store.
const REMEMBERED_FOR: Duration = STORED_FOR.saturating_mul(2);

#[derive(Default)]
pub(super) struct Changes {
    generation: AtomicU64,
    recent: ArcSwap<Recent>,
    writing: Mutex<()>,
}

#[derive(Clone, Default)]
struct Recent {
    /// Stored entries of generations below this have changed.
    floor: u64,
    by_id: HashMap<Arc<str>, Change>,
}

#[derive(Clone, Copy)]
struct Change {
    generation: u64,
    at: Timestamp,
}

impl Changes {
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether the entry still holds.
    pub(super) fn hold(&self, entry: &Entry) -> bool {
        // Taken before `recent`, so that the entry is never marked for a change that has not been looked at.
        let generation = self.generation();
        let read = entry.generation.load(Ordering::Relaxed);
        if read == generation {
            return true;
        }
        let recent = self.recent.load();
        let changed = recent.by_id.get(&entry.verified.credential_id).is_some_and(|change| read < change.generation);
        if changed || (is_stored(entry.verified.kind) && read < recent.floor) {
            return false;
        }
        entry.generation.store(generation, Ordering::Relaxed);
        true
    }

    /// These have changed.
    pub(super) fn note<'a>(&self, ids: impl IntoIterator<Item = &'a Arc<str>>, now: Timestamp) {
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_none() {
            return;
        }
        self.update(|recent, generation| {
            // What is believed for longer and has not been looked at since could not be told to have changed: the floor
            // rises to what is forgotten.
            let Recent { floor, by_id } = recent;
            by_id.retain(|_, change| {
                let remembered = now.since(change.at) <= REMEMBERED_FOR;
                *floor = if remembered { *floor } else { change.generation.max(*floor) };
                remembered
            });
            for id in ids {
                recent.by_id.insert(Arc::clone(id), Change { generation, at: now });
            }
            if recent.by_id.len() > MOST {
                *recent = Recent { floor: generation, by_id: HashMap::new() };
            }
        });
    }

    /// All that is stored may have changed.
    pub(super) fn note_all(&self) {
        self.update(|recent, generation| *recent = Recent { floor: generation, by_id: HashMap::new() });
    }

    fn update(&self, change: impl FnOnce(&mut Recent, u64)) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.generation() + 1;
        let mut recent = Recent::clone(&self.recent.load());
        change(&mut recent, generation);
        self.recent.store(Arc::new(recent));
        // Last: whoever sees the new generation sees what changed with it.
        self.generation.store(generation, Ordering::Release);
    }
}
