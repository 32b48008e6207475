//! Looks at the list when something may have ended, and ends it.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, sleep_until, timeout};

use super::Live;
use super::entries::Entry;
use crate::edge::Hangup;
use crate::gate::tenure::Tenure;
use crate::gate::{Gate, Shared};
use crate::model::denial::Reason;
use crate::model::settings::OnStale;
use crate::model::{DecisionId, Denial, Timestamp, Verified};

/// Entries of the log that come together are looked for together: at most one look in this time.
const TOGETHER: Duration = Duration::from_millis(10);

/// While anything goes on it is looked at this often: wall clocks are corrected, and heartbeats fail to come.
const TICK: Duration = Duration::from_secs(1);

/// Looked at before others on this core have their turn: far less than a millisecond.
const AT_ONCE: u32 = 256;

/// Lines written before others have their turn; a line takes microseconds.
const LINES_AT_ONCE: usize = 32;

/// For how long whoever serves an exchange may take to end it; then it is hung up on. Only one whose client does not
/// read takes that long.
const HURRY: Duration = Duration::from_millis(40);

/// A record is read again so soon when the store did not answer.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// So many records are read again at a time, and none is waited for longer.
const REREAD_AT_ONCE: usize = 16;
const REREAD_WITHIN: Duration = Duration::from_secs(2);

/// Watches over the list until its proxy is gone and nothing is on it any more: what began under one configuration is held
/// to it to its end.
pub(in crate::proxy) async fn watch(live: Rc<Live>, gate: Rc<Gate>, shared: Arc<Shared>) {
    let mut added = shared.revocations.added();
    let mut watcher = Watcher { live, gate, shared, serving: VecDeque::new(), counted: 0, sees_stale: false };
    loop {
        let wake_at = watcher.wake_at();
        tokio::select! {
            // The sender lives as long as what all workers share.
            _ = added.changed() => {}
            () = watcher.live.sooner.notified() => {}
            () = at(wake_at) => {}
        }
        watcher.hang_up().await;
        // Before looking: what is added meanwhile is looked for again.
        added.mark_unchanged();
        let began = Instant::now();
        watcher.look().await;
        if watcher.live.is_over() {
            watcher.count(0);
            return;
        }
        sleep_until(began + TOGETHER).await;
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

struct Watcher {
    live: Rc<Live>,
    gate: Rc<Gate>,
    shared: Arc<Shared>,
    /// What has been told that it is over, by place and serial number, and when it will have had time to act on it.
    serving: VecDeque<(Instant, u32, u64)>,
    /// What the gauge says.
    counted: i64,
    /// Whether anything goes on that ends when the log is stale.
    sees_stale: bool,
}

/// What one look has found.
struct Findings {
    now: Timestamp,
    next: Timestamp,
    sees_stale: bool,
    ended: Vec<Ended>,
    reread: HashMap<Arc<str>, Record>,
    wakers: Vec<Waker>,
}

/// What is to be read again, and for whom: places and serial numbers.
struct Record {
    tenure: Tenure,
    places: Vec<(u32, u64)>,
}

/// For the log.
struct Ended {
    id: DecisionId,
    route: Arc<str>,
    verified: Arc<Verified>,
    denial: Denial,
}

impl Watcher {
    /// When there is something to do even if nobody says so.
    fn wake_at(&self) -> Option<Instant> {
        let stale_from = self.sees_stale.then(|| self.shared.revocations.stale_from()).flatten();
        let due = self.live.armed.get().min(stale_from.unwrap_or(Timestamp::NEVER));
        let hang_up = self.serving.front().map(|(at, ..)| *at);
        let look = (due < Timestamp::NEVER).then(|| Instant::now() + due.since(self.shared.clock.now()).min(TICK));
        [hang_up, look].into_iter().flatten().min()
    }

    /// Looks at everything once, a part at a time.
    async fn look(&mut self) {
        let live = Rc::clone(&self.live);
        // Nobody need call while we are looking anyway.
        live.armed.set(super::AT_ONCE);
        live.soonest.set(Timestamp::NEVER);
        let now = self.shared.clock.now();
        let mut found = Findings {
            now,
            next: Timestamp::NEVER,
            sees_stale: false,
            ended: Vec::new(),
            reread: HashMap::new(),
            wakers: Vec::new(),
        };
        let mut from = 0;
        loop {
            let to = live.entries.borrow().places().min(from + AT_ONCE);
            for slot in from..to {
                if let Some(entry) = live.entries.borrow_mut().at_mut(slot) {
                    self.examine(slot, entry, &mut found);
                }
            }
            found.wakers.drain(..).for_each(Waker::wake);
            if to >= live.entries.borrow().places() {
                break;
            }
            from = to;
            tokio::task::yield_now().await;
        }
        let count = live.entries.borrow().len();
        self.count(count);
        self.sees_stale = found.sees_stale;
        let tick = if count == 0 { super::NOTHING } else { now.after(TICK) };
        live.armed.set(found.next.min(live.soonest.get()).min(tick));
        self.reread(found.reread);
        report(found.ended).await;
    }

    fn count(&mut self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if count != self.counted {
            self.shared.metrics.live_streams(count - self.counted);
            self.counted = count;
        }
    }

    fn examine(&mut self, slot: u32, entry: &mut Entry, found: &mut Findings) {
        if entry.verdict.is_some() {
            return;
        }
        let now = found.now;
        found.sees_stale |= entry.route.on_stale == OnStale::Deny;
        let recalled = match entry.gone {
            Some(reason) => Err(Denial::because(reason, "its record was read again")),
            None => self.gate.recall(&entry.tenure, entry.route.on_stale, now),
        };
        if let Some(every) = entry.tenure.reread_every() {
            // The end that is known may have been moved since.
            let is_over = matches!(&recalled, Err(denial) if is_end(denial.reason)) && entry.gone.is_none();
            let at = *entry.reread_at.get_or_insert_with(|| now.after(every));
            if (is_over || at <= now) && !entry.rereading {
                entry.rereading = true;
                let record = found.reread.entry(Arc::clone(&entry.tenure.verified().credential_id));
                let record = record.or_insert_with(|| Record { tenure: entry.tenure.clone(), places: Vec::new() });
                record.places.push((slot, entry.serial));
            }
            if is_over {
                return;
            }
            if !entry.rereading {
                found.next = found.next.min(at);
            }
        }
        let denial = match recalled {
            Ok(()) => {
                entry.failing = None;
                found.next = found.next.min(entry.tenure.ends_at());
                return;
            }
            Err(denial) => denial,
        };
        let over_at = entry.failing.get_or_insert(now).after(entry.grace);
        if over_at > now {
            found.next = found.next.min(over_at);
            return;
        }
        entry.verdict = Some(denial.reason);
        found.wakers.extend([entry.answer.take(), entry.upload.take()].into_iter().flatten());
        self.serving.push_back((Instant::now() + HURRY, slot, entry.serial));
        self.shared.metrics.live_stream_ended(denial.reason);
        let (route, verified) = (entry.route.name.clone(), Arc::clone(entry.tenure.verified()));
        found.ended.push(Ended { id: entry.id, route, verified, denial });
    }

    /// Reads records again, each once for all that rest on it, in a task of its own: the log does not wait for that.
    fn reread(&self, records: HashMap<Arc<str>, Record>) {
        if records.is_empty() {
            return;
        }
        let (live, gate, shared) = (Rc::clone(&self.live), Rc::clone(&self.gate), Arc::clone(&self.shared));
        tokio::task::spawn_local(async move {
            let (live, gate, shared) = (&live, &gate, &shared);
            let each = stream::iter(records.into_values());
            each.for_each_concurrent(REREAD_AT_ONCE, |Record { tenure, places }| async move {
                let renewed = timeout(REREAD_WITHIN, gate.renew(&tenure, shared.clock.now())).await;
                let renewed =
                    renewed.map_or(Err(Reason::StoreUnavailable), |read| read.map_err(|denial| denial.reason));
                let now = shared.clock.now();
                let mut entries = live.entries.borrow_mut();
                for (slot, serial) in places {
                    if let Some(entry) = entries.at_mut(slot).filter(|entry| entry.serial == serial) {
                        learn(entry, renewed, now);
                    }
                }
                drop(entries);
                live.sooner.notify_one();
            })
            .await;
        });
    }

    /// Ends what has been told so and has not ended: its client does not read, so nobody asks its body for more.
    async fn hang_up(&mut self) {
        let mut done = 0;
        while let Some((_, slot, serial)) = self.serving.pop_front_if(|(at, ..)| *at <= Instant::now()) {
            let hangup = {
                let mut entries = self.live.entries.borrow_mut();
                let entry = entries.at_mut(slot).filter(|entry| entry.serial == serial && !entry.ends_itself);
                entry.and_then(|entry| entry.hangup.take())
            };
            hangup.iter().for_each(Hangup::hang_up);
            done += 1;
            if done % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// What reading its record again tells of an exchange.
fn learn(entry: &mut Entry, renewed: Result<Timestamp, Reason>, now: Timestamp) {
    entry.rereading = false;
    entry.reread_at = entry.tenure.reread_every().map(|every| now.after(every));
    match renewed {
        Ok(until) => {
            entry.tenure.renew(until);
            entry.gone = None;
        }
        Err(Reason::StoreUnavailable) => {
            entry.reread_at = Some(now.after(RETRY_EVERY));
            // What is known to have ended has ended; what is not, goes on.
            if entry.tenure.ends_at() <= now {
                entry.gone = Some(Reason::StoreUnavailable);
            }
        }
        Err(reason) => entry.gone = Some(reason),
    }
}

const fn is_end(reason: Reason) -> bool {
    matches!(reason, Reason::SessionExpired | Reason::ApiKeyExpired)
}

async fn report(ended: Vec<Ended>) {
    for some in ended.chunks(LINES_AT_ONCE) {
        for Ended { id, route, verified, denial } in some {
            tracing::info!(
                target: "portcullis::access",
                decision_id = %id,
                route = &**route,
                issuer = &*verified.principal.issuer,
                subject = &*verified.principal.subject,
                credential = verified.kind.name(),
                credential_id = &*verified.credential_id,
                denial = denial.reason.row().label,
                detail = denial.detail.as_deref(),
                "live stream ended"
            );
        }
        tokio::task::yield_now().await;
    }
}
