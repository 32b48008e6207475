//! Whether a request may be given to an upstream at all, and to which endpoint once it may.

use std::rc::Rc;
use std::time::Duration;

use super::balance::Upstream;
use super::choice::Set;
use super::circuit::Admitted;
use super::pool::Pool;
use super::traffic::Line;
use crate::model::Denial;
use crate::model::denial::Reason;

/// The endpoints that a request may still be given to.
pub(super) struct Open<'a> {
    pub(super) left: Set,
    /// Those of which all connections are in use.
    pub(super) busy: Set,
    pub(super) line: Line<'a>,
}

impl Upstream {
    /// Room for it, where only so many may be under way.
    pub(super) fn admit(&self) -> Result<Option<Admitted>, Denial> {
        let Some(most) = self.settings.limits.max_requests else { return Ok(None) };
        let admitted = self.traffic.load.request(most);
        admitted.map(Some).ok_or_else(|| self.busy(&format_args!("{most} requests are under way")))
    }

    pub(super) fn busy(&self, why: &dyn std::fmt::Display) -> Denial {
        let detail = format!("{}: {why}", self.settings.name);
        Denial::because(Reason::UpstreamBusy, detail).retry_after(Duration::from_secs(1))
    }

    /// The next endpoint that may be tried; once all that are left have their connections in use and the request may wait,
    /// one of those.
    pub(super) async fn next(&self, open: &mut Open<'_>, key: Option<u64>) -> Option<(u32, &Rc<Pool>)> {
        loop {
            let next = self.chooser.choose(&self.pools, &mut open.left, key, &self.health);
            if next.is_some() || open.busy.is_empty() || !open.line.wait().await {
                return next;
            }
            open.left = std::mem::replace(&mut open.busy, Set::NONE);
        }
    }
}
