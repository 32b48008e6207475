//! Which endpoint gets a request.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use http::HeaderMap;
use http::header::COOKIE;
use tokio::time::Instant;

use super::health::UpstreamHealth;
use super::pool::Pool;
use crate::model::settings::{Balance, Endpoint, HashKey};

/// Where each worker's random numbers begin, so that workers do not choose in step. Nothing secret comes of them.
static SEED: AtomicU64 = AtomicU64::new(1);

/// How one worker's requests are spread over the endpoints of an upstream.
pub(super) struct Chooser {
    balance: Balance,
    shares: Vec<Share>,
    random: Cell<u64>,
    /// Whether some part may be less than all.
    returning: Cell<bool>,
}

/// One endpoint's.
struct Share {
    weight: u32,
    /// The same on every worker and every instance, whatever the order of the configuration.
    identity: u64,
    /// How much it is owed, for taking turns.
    credit: Cell<i64>,
    /// The part of its weight that counts now, in percent.
    part: Cell<u32>,
}

impl Share {
    /// In hundredths, so that a part of the least weight is something too.
    fn weight(&self) -> u32 {
        self.weight.saturating_mul(self.part.get())
    }
}

/// The endpoints that one request has been given to, or still may be, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    /// Most endpoints of an upstream.
    pub(super) const MOST: u32 = u64::BITS;

    /// None of them.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn of(positions: impl Iterator<Item = u32>) -> Self {
        Self(positions.fold(0, |set, at| set | 1_u64.checked_shl(at).unwrap_or(0)))
    }

    fn has(self, position: u32) -> bool {
        self.0 & 1_u64.checked_shl(position).unwrap_or(0) != 0
    }

    fn without(self, position: u32) -> Self {
        Self(self.0 & !1_u64.checked_shl(position).unwrap_or(0))
    }

    pub(super) fn with(self, position: u32) -> Self {
        Self(self.0 | 1_u64.checked_shl(position).unwrap_or(0))
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Chooser {
    pub(super) fn new(balance: &Balance, endpoints: &[Endpoint]) -> Self {
        let share = |endpoint: &Endpoint| {
            let identity = digest(&[endpoint.to_string().as_bytes()]);
            Share { weight: endpoint.weight, identity, credit: Cell::new(0), part: Cell::new(100) }
        };
        let shares = endpoints.iter().take(Set::MOST as usize).map(share).collect();
        Self {
            balance: balance.clone(),
            shares,
            random: Cell::new(mix(SEED.fetch_add(1, Relaxed))),
            returning: Cell::new(false),
        }
    }

    /// All endpoints.
    pub(super) fn all(&self) -> Set {
        Set::of(self.positions().map(|(at, _)| at))
    }

    /// What the endpoint of a request goes by; `None` where that is nothing of the request's own.
    pub(super) fn key(&self, headers: &HeaderMap, client: IpAddr) -> Option<u64> {
        let Balance::Hash(key) = &self.balance else { return None };
        match key {
            HashKey::ClientAddress => match client {
                IpAddr::V4(address) => Some(digest(&[&address.octets()])),
                IpAddr::V6(address) => Some(digest(&[&address.octets()])),
            },
            HashKey::Header(name) => headers.get(name).map(|value| digest(&[value.as_bytes()])),
            HashKey::Cookie(name) => cookie(headers, name).map(|value| digest(&[value])),
        }
    }

    /// The next of those in `left` that may be used, which it leaves, and its position; endpoints that could not be reached
    /// a moment ago come last.
    pub(super) fn choose<'a>(
        &self,
        pools: &'a [Rc<Pool>],
        left: &mut Set,
        key: Option<u64>,
        health: &UpstreamHealth,
    ) -> Option<(u32, &'a Rc<Pool>)> {
        let usable = health.usable();
        let open = left.and(usable.set);
        let reachable = (0..).zip(pools).filter(|(at, pool)| open.has(*at) && !pool.is_avoided());
        let reachable = Set::of(reachable.map(|(at, _)| at));
        let among = if reachable.is_empty() { open } else { reachable };
        self.set_parts(health, usable.returning);
        let chosen = match (&self.balance, key) {
            (_, Some(key)) => self.by_hash(among, key),
            (Balance::LeastRequests, _) => self.least_requests(among, pools),
            _ => self.in_turn(among),
        }?;
        *left = left.without(chosen);
        pools.get(chosen as usize).map(|pool| (chosen, pool))
    }

    /// What each endpoint gets of its share now.
    fn set_parts(&self, health: &UpstreamHealth, returning: Option<Instant>) {
        if self.returning.replace(returning.is_some()) || returning.is_some() {
            for (at, share) in self.positions() {
                share.part.set(returning.map_or(100, |now| health.part(at, now)));
            }
        }
    }

    /// Taking turns, each as often as its weight says and as evenly as can be.
    fn in_turn(&self, among: Set) -> Option<u32> {
        let mut total = 0;
        let mut best: Option<(u32, &Share)> = None;
        for (at, share) in self.within(among) {
            total += i64::from(share.weight());
            share.credit.set(share.credit.get() + i64::from(share.weight()));
            if best.is_none_or(|(_, best)| share.credit.get() > best.credit.get()) {
                best = Some((at, share));
            }
        }
        let (at, share) = best?;
        share.credit.set(share.credit.get() - total);
        Some(at)
    }

    /// Of two that are drawn by their weights, the one with fewer requests for its weight: nearly as good as asking all,
    /// and workers that do not know of each other do not all run to the same one.
    fn least_requests(&self, among: Set, pools: &[Rc<Pool>]) -> Option<u32> {
        let first = self.draw(among)?;
        let Some(second) = self.draw(among.without(first.0)) else { return Some(first.0) };
        let load = |(at, _): (u32, &Share), other: &Share| {
            let in_use = pools.get(at as usize).map_or(0, |pool| pool.in_use());
            u64::try_from(in_use).unwrap_or(u64::MAX).saturating_mul(u64::from(other.weight()))
        };
        Some(if load(second, first.1) < load(first, second.1) { second.0 } else { first.0 })
    }

    fn draw(&self, among: Set) -> Option<(u32, &Share)> {
        let total: u64 = self.within(among).map(|(_, share)| u64::from(share.weight())).sum();
        let mut drawn = self.random().checked_rem(total)?;
        self.within(among).find(|(_, share)| match drawn.checked_sub(u64::from(share.weight())) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        })
    }

    /// Rendezvous hashing: every endpoint has a score for every key, the highest has it. One that comes takes its share of
    /// keys from all, one that goes leaves its own to all; nobody else's move (Thaler and Ravishankar, 1998; weights as
    /// in Schindelhauer and Schomaker, 2005).
    fn by_hash(&self, among: Set, key: u64) -> Option<u32> {
        let score = |share: &Share| {
            #[expect(clippy::cast_precision_loss, reason = "53 bits decide as well as 64")]
            let drawn = ((mix(key ^ share.identity) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            f64::from(share.weight()) / -drawn.ln()
        };
        let scored = self.within(among).map(|(at, share)| (at, score(share)));
        scored.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(at, _)| at)
    }

    fn within(&self, set: Set) -> impl Iterator<Item = (u32, &Share)> {
        self.positions().filter(move |(at, _)| set.has(*at))
    }

    fn positions(&self) -> impl Iterator<Item = (u32, &Share)> {
        (0..).zip(&self.shares)
    }

    fn random(&self) -> u64 {
        let next = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(next);
        mix(next)
    }
}

/// The first cookie of that name.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let crumbs = headers.get_all(COOKIE).iter().flat_map(|list| list.as_bytes().split(|b| *b == b';'));
    crumbs.map(<[u8]>::trim_ascii).find_map(|crumb| crumb.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// FNV-1a, well mixed. Whoever chooses the key may choose the endpoint, which is what a key is for.
fn digest(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    mix(bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// The finalizer of splitmix64: every bit of the input moves every bit of the output.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
