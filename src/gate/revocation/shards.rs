//! A set of entries that any core reads without a lock and that one writer changes a part at a time.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use foldhash::quality::RandomState;

use super::target::{KINDS, Target, stricter};
use crate::model::{LogEntry, Timestamp};

/// Adding copies one part in so many: with a million entries, about four thousand pointers.
const SHARDS: usize = 256;

/// By hash of the target; several where hashes collide.
type Shard = HashMap<u64, Arc<[LogEntry]>, foldhash::fast::RandomState>;

/// Entries by target.
pub(super) struct Shards {
    shards: Box<[ArcSwap<Shard>]>,
    hasher: RandomState,
    /// How many entries of each kind there are; raised before an entry can be found. Most instances hold no entry of
    /// most kinds, and then need not look.
    counts: [AtomicUsize; KINDS],
    /// Held by whoever changes anything.
    writing: Mutex<()>,
}

impl Shards {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| ArcSwap::default()).collect(),
            hasher: RandomState::default(),
            counts: Default::default(),
            writing: Mutex::new(()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How many of each kind there are.
    pub(super) fn counts(&self) -> [usize; KINDS] {
        std::array::from_fn(|kind| self.counts.get(kind).map_or(0, |count| count.load(Ordering::Relaxed)))
    }

    /// Hands over every entry, one part of the set at a time.
    pub(super) fn for_each(&self, to: &mut dyn FnMut(&LogEntry)) {
        for slot in &self.shards {
            slot.load().values().flat_map(|entries| entries.iter()).for_each(&mut *to);
        }
    }

    /// Whether there is an entry about `target` that `applies`.
    pub(super) fn any(&self, target: Target<'_>, applies: impl FnOnce(&LogEntry) -> bool) -> bool {
        if self.count(target).load(Ordering::Acquire) == 0 {
            return false;
        }
        let hash = self.hasher.hash_one(target);
        let shard = self.shard(hash).load();
        shard.get(&hash).and_then(|entries| find(entries, target)).is_some_and(applies)
    }

    /// Adds entries; of two about the same target, what either revokes stays revoked.
    pub(super) fn add<'a>(&self, entries: impl Iterator<Item = &'a LogEntry>) {
        let mut by_shard: HashMap<usize, Vec<(u64, &LogEntry)>> = HashMap::new();
        for entry in entries {
            if let Some(target) = Target::of(&entry.what) {
                let hash = self.hasher.hash_one(target);
                by_shard.entry(index(hash)).or_default().push((hash, entry));
            }
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for entries in by_shard.into_values() {
            let Some(&(first, _)) = entries.first() else { continue };
            let slot = self.shard(first);
            let mut shard = Shard::clone(&slot.load());
            for (hash, entry) in entries {
                self.add_to(&mut shard, hash, entry);
            }
            slot.store(Arc::new(shard));
        }
    }

    fn add_to(&self, shard: &mut Shard, hash: u64, entry: &LogEntry) {
        let Some(target) = Target::of(&entry.what) else { return };
        let held = shard.get(&hash).map(|held| &**held).unwrap_or_default();
        let mut merged: Vec<LogEntry> = held.to_vec();
        match merged.iter_mut().find(|held| Target::of(&held.what) == Some(target)) {
            Some(held) => *held = stricter(held, entry),
            None => {
                self.count(target).fetch_add(1, Ordering::Release);
                merged.push(entry.clone());
            }
        }
        shard.insert(hash, merged.into());
    }

    /// Drops what has expired from one part in `parts`, the `part`-th.
    pub(super) fn prune(&self, part: usize, parts: usize, now: Timestamp) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in self.shards.iter().skip(part).step_by(parts) {
            let old = slot.load_full();
            let expired = |entry: &LogEntry| entry.until < now;
            if !old.values().any(|entries| entries.iter().any(expired)) {
                continue;
            }
            let kept = old.iter().filter_map(|(hash, entries)| {
                let kept: Arc<[LogEntry]> = entries.iter().filter(|entry| !expired(entry)).cloned().collect();
                (!kept.is_empty()).then_some((*hash, kept))
            });
            slot.store(Arc::new(kept.collect()));
            for entry in old.values().flat_map(|entries| entries.iter()).filter(|entry| expired(entry)) {
                if let Some(target) = Target::of(&entry.what) {
                    self.count(target).fetch_sub(1, Ordering::Release);
                }
            }
        }
    }

    /// Drops everything that is not in `entries`, and adds those.
    pub(super) fn replace(&self, entries: &[LogEntry]) {
        let other = Self { hasher: self.hasher.clone(), ..Self::new() };
        other.add(entries.iter());
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Counts are raised before and lowered after, so that no reader skips an entry that is there throughout.
        for (count, new) in self.counts.iter().zip(&other.counts) {
            count.fetch_add(new.load(Ordering::Relaxed), Ordering::Release);
        }
        let mut dropped = [0_usize; KINDS];
        for (slot, new) in self.shards.iter().zip(&other.shards) {
            for entry in slot.swap(new.load_full()).values().flat_map(|entries| entries.iter()) {
                if let Some(count) = Target::of(&entry.what).and_then(|target| dropped.get_mut(target.kind())) {
                    *count += 1;
                }
            }
        }
        for (count, dropped) in self.counts.iter().zip(dropped) {
            count.fetch_sub(dropped, Ordering::Release);
        }
    }

    /// All entries that end after `now` and of which `other` says nothing as strict.
    pub(super) fn missing_from(&self, other: &Self, now: Timestamp) -> Vec<LogEntry> {
        let mut missing = Vec::new();
        for slot in &self.shards {
            for entry in slot.load().values().flat_map(|entries| entries.iter()).filter(|entry| entry.until > now) {
                let covered = Target::of(&entry.what)
                    .is_some_and(|target| other.any(target, |theirs| stricter(theirs, entry) == *theirs));
                if !covered {
                    missing.push(entry.clone());
                }
            }
        }
        missing
    }

    #[expect(clippy::indexing_slicing, reason = "`index` is the top eight bits, and there are 256 shards")]
    fn shard(&self, hash: u64) -> &ArcSwap<Shard> {
        &self.shards[index(hash)]
    }

    #[expect(clippy::indexing_slicing, reason = "`kind` is below `KINDS`")]
    fn count(&self, target: Target<'_>) -> &AtomicUsize {
        &self.counts[target.kind()]
    }
}

fn find<'a>(entries: &'a [LogEntry], target: Target<'_>) -> Option<&'a LogEntry> {
    entries.iter().find(|entry| Target::of(&entry.what) == Some(target))
}

const fn index(hash: u64) -> usize {
    (hash >> 56) as usize
}
