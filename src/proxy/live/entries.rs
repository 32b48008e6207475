//! The list itself: places that are used again.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::edge::Hangup;
use crate::gate::tenure::Tenure;
use crate::model::denial::Reason;
use crate::model::settings::RouteSettings;
use crate::model::{DecisionId, Timestamp};

/// One exchange.
pub(super) struct Entry {
    pub(super) tenure: Tenure,
    pub(super) route: Arc<RouteSettings>,
    pub(super) grace: Duration,
    pub(super) id: DecisionId,
    /// Tells this exchange from others that have had its place.
    pub(super) serial: u64,
    /// Since when the credential does not count.
    pub(super) failing: Option<Timestamp>,
    /// What reading its record again came to, where that was not good.
    pub(super) gone: Option<Reason>,
    /// When its record is to be read again; `None` before it was first looked at.
    pub(super) reread_at: Option<Timestamp>,
    pub(super) rereading: bool,
    /// Why it is over, once it is.
    pub(super) verdict: Option<Reason>,
    pub(super) answer: Option<Waker>,
    pub(super) upload: Option<Waker>,
    pub(super) hangup: Option<Hangup>,
    pub(super) ends_itself: bool,
    pub(super) holders: u32,
}

impl Entry {
    pub(super) fn new(
        tenure: Tenure,
        route: Arc<RouteSettings>,
        grace: Duration,
        id: DecisionId,
        hangup: Hangup,
    ) -> Self {
        Self {
            tenure,
            route,
            grace,
            id,
            serial: 0,
            failing: None,
            gone: None,
            reread_at: None,
            rereading: false,
            verdict: None,
            answer: None,
            upload: None,
            hangup: Some(hangup),
            ends_itself: false,
            holders: 1,
        }
    }
}

/// Exchanges by the number of their place.
#[derive(Default)]
pub(super) struct Entries {
    slots: Vec<Option<Entry>>,
    vacant: Vec<u32>,
    last_serial: u64,
}

impl Entries {
    pub(super) fn insert(&mut self, mut entry: Entry) -> u32 {
        self.last_serial += 1;
        entry.serial = self.last_serial;
        if let Some(slot) = self.vacant.pop()
            && let Some(place) = self.slots.get_mut(slot as usize)
        {
            *place = Some(entry);
            return slot;
        }
        self.slots.push(Some(entry));
        // More than four thousand million exchanges do not fit in memory.
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn at(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// One holder less; the entry, where it was the last.
    pub(super) fn release(&mut self, slot: u32) -> Option<Entry> {
        let place = self.slots.get_mut(slot as usize)?;
        let entry = place.as_mut()?;
        entry.holders = entry.holders.saturating_sub(1);
        if entry.holders > 0 {
            return None;
        }
        let entry = place.take();
        self.vacant.push(slot);
        if self.vacant.len() == self.slots.len() && self.slots.len() > KEPT {
            (self.slots, self.vacant) = (Vec::new(), Vec::new());
        }
        entry
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// One more than the highest number of a place.
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }
}

/// Places beyond these are given back when nobody is left.
const KEPT: usize = 1024;
