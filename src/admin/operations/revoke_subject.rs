//! Revoking everything of a principal.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::grants::plain;
use super::revoke::time;
use super::{OperationError, Operations};
use crate::admin::views::{RevocationView, Revoked, rfc3339};
use crate::model::identity::{BASIC_ISSUER, MTLS_ISSUER};
use crate::model::{ApiKeyRecord, Principal, Revocation, Timestamp};
use crate::store::{MARGIN, RevokeError, StoreError};

/// Keys are marked so many at a time.
const MARKED_AT_ONCE: usize = 64;

/// What is to be revoked.
struct Order {
    of: Principal,
    /// `None`: everything so far.
    before: Option<Timestamp>,
    until: Timestamp,
    now: Timestamp,
}

impl Operations {
    /// One entry of the log refuses all that was issued before now, or before a time: it is in force once this entry is
    /// written. Then sessions end by their generation too, which no difference of clocks upsets, and keys are marked in
    /// the store, because they outlive the entry.
    ///
    /// That entry lives as long as a token or session can that says when it was issued. (A token without `iat` can be
    /// dated arbitrarily far ahead: an issuer of such tokens should have `iat` among its `required_claims`.)
    /// Certificates and passwords never say it: everything of such a principal is refused while the entry lives, which
    /// is for ever unless a time is named. So it is for sessions that an application keeps and for opaque tokens, whose end
    /// nobody here knows; those that say when they began are admitted again if they began later.
    pub(super) async fn revoke_subject(
        &self,
        issuer: Option<&str>,
        subject: &str,
        before: Option<&str>,
        for_seconds: Option<u64>,
    ) -> Result<Revoked, OperationError> {
        let order = self.order(issuer, subject, before, for_seconds)?;
        let Order { of, before, until, now } = &order;
        let what = Revocation::PrincipalBefore { principal: of.clone(), before: before.unwrap_or(*now) };
        let entry = self.store.revoke(what, *until).await?;
        tracing::info!(principal = %of, before = before.unwrap_or(*now).0, until = until.0, "all of a principal's revoked");

        let longest = until.since(*now);
        let ended = match before {
            None => self.store.end_sessions(of, longest, *now).await,
            Some(before) => self.store.end_sessions_before(of, *before, longest, *now).await,
        };
        let (generation, sessions) = ended.map_err(|problem| order.unfinished("its sessions", store_error(problem)))?;
        let marked = self.revoke_keys(&order).await;
        let api_keys = marked.map_err(|problem| order.unfinished("its API keys", problem))?;
        let in_force = [&entry, &generation].map(RevocationView::from).into();
        Ok(Revoked { in_force, sessions, api_keys })
    }

    fn order(
        &self,
        issuer: Option<&str>,
        subject: &str,
        before: Option<&str>,
        for_seconds: Option<u64>,
    ) -> Result<Order, OperationError> {
        let issuer = self.issuer_named(issuer)?;
        let of = Principal::new(&issuer, plain("subject", subject)?);
        let now = self.clock.now();
        let undated = [MTLS_ISSUER, BASIC_ISSUER].contains(&&*issuer);
        let of_opaque_tokens = self.opaque.as_ref() == Some(&issuer);
        let unbounded = undated || of_opaque_tokens || self.application() == Some(&*issuer);
        let before = before.map(time).transpose()?;
        let problem = match (before, for_seconds) {
            (Some(_), _) if undated => {
                Some("does not say when a credential was issued, so that nothing can be told by that time")
            }
            (_, Some(_)) if !unbounded => {
                Some("says when a credential was issued, so that new ones are admitted at once; name no duration")
            }
            (Some(before), _) if before > now => Some("has issued nothing yet at a time that lies ahead"),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(OperationError::Invalid(format!("the issuer `{issuer}` {problem}")));
        }
        let until = match (unbounded, for_seconds) {
            (true, Some(seconds)) => now.after(Duration::from_secs(seconds)),
            (true, None) => Timestamp::NEVER,
            (false, _) => now.after(self.longest_lifetime()).after(MARGIN),
        };
        Ok(Order { of, before, until, now })
    }

    async fn revoke_keys(&self, order: &Order) -> Result<usize, StoreError> {
        let mut keys = self.store.api_keys.list().await?;
        keys.retain(|key| order.concerns(key));
        for some in keys.chunks(MARKED_AT_ONCE) {
            try_join_all(some.iter().map(|key| self.revoke_one(key, order))).await?;
        }
        Ok(keys.len())
    }

    async fn revoke_one(&self, key: &ApiKeyRecord, order: &Order) -> Result<(), StoreError> {
        if key.created_at < order.now {
            self.store.api_keys.revoke(&key.id, order.now).await.map(drop)
        } else {
            // Made by a clock that is ahead of ours: the entry does not cover it.
            self.store.revoke_api_key(&key.id, order.now).await.map(drop).map_err(store_error)
        }
    }
}

impl Order {
    fn concerns(&self, key: &ApiKeyRecord) -> bool {
        let in_time = self.before.is_none_or(|before| key.created_at < before);
        key.principal == self.of && key.revoked_at.is_none() && in_time
    }

    fn unfinished(&self, rest: &'static str, problem: StoreError) -> OperationError {
        let (of, before, until) = (&self.of, rfc3339(self.before.unwrap_or(self.now)), rfc3339(self.until));
        let in_force = format!("all that `{of}` was issued before {before} is refused until {until}");
        OperationError::Unfinished { in_force, rest, problem }
    }
}

fn store_error(problem: RevokeError) -> StoreError {
    match problem {
        RevokeError::NotInForce(problem) | RevokeError::RecordLeft(problem) => problem,
    }
}
