//! Sessions that the application behind keeps in Redis itself, as its framework lays them out. They are read and never
//! written; nothing that they hold is ever instantiated, executed or followed.
//!
//! The application's own logout does not reach the revocation log, so what was read is believed for a second alone.

mod claims;
mod connect_redis;
mod json;
mod php;
mod spring;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::cache::Finding;
use crate::crypto::digest::sha256_fields;
use crate::crypto::session_secret;
use crate::model::denial::Reason;
use crate::model::settings::{ForeignFormat, ForeignSettings};
use crate::model::{Denial, Timestamp};
use crate::store::{ForeignRecord, RecordKind, Store};

/// For how long a session is believed to be there without asking.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// No record is larger, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// No record is nested deeper.
const MOST_DEPTH: usize = 32;

/// Knows the application's layout.
pub(in crate::gate) struct Foreign(Arc<ForeignSettings>);

/// What an application's record says, whatever its layout.
#[derive(Debug, Default, PartialEq)]
struct Session {
    attributes: Map<String, Value>,
    /// When it began, where the layout itself says so.
    began_at: Option<Timestamp>,
    /// When it ends, where the layout itself says so.
    ends_at: Option<Timestamp>,
}

/// Why a record cannot be read: for the operator, without a byte of what it holds.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
struct Unreadable(String);

impl Unreadable {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl Foreign {
    pub(super) const fn new(settings: Arc<ForeignSettings>) -> Self {
        Self(settings)
    }

    /// What the application's store knows of the session of this cookie value.
    pub(super) async fn verify(
        self: Arc<Self>,
        store: Store,
        cookie: String,
        now: Timestamp,
    ) -> Result<Finding, Denial> {
        let Some(id) = self.id(&cookie) else {
            let detail = format!("the cookie is not one that {} sets", self.layout());
            return Err(Denial::because(Reason::SessionUnknown, detail));
        };
        let key = format!("{}{id}", self.0.key_prefix);
        let kind = if matches!(self.0.format, ForeignFormat::Spring) { RecordKind::Hash } else { RecordKind::Text };
        let found = store.foreign.read(&key, kind, MOST_BYTES).await.map_err(super::unavailable)?;
        // The id itself is the secret; what logs, headers and the revocation log have is this.
        let digest =
            sha256_fields(&[b"portcullis: session of an application", self.0.key_prefix.as_bytes(), id.as_bytes()]);
        let public_id = session_secret::application_id(&digest);

        let unreadable = |problem: Unreadable| {
            let layout = self.layout();
            // Where the route serves anyone the refusal is not told.
            tracing::warn!(session = public_id, layout, %problem, "a session of the application cannot be read");
            Denial::because(Reason::SessionUnreadable, format!("session {public_id}, {layout}: {problem}"))
        };
        let (parts, ends_in) = match found {
            ForeignRecord::There { parts, ends_in } => (parts, ends_in),
            ForeignRecord::Absent => {
                let detail = format!("the application has no session {public_id}, or it has ended");
                return Err(Denial::because(Reason::SessionUnknown, detail));
            }
            ForeignRecord::OtherType => return Err(unreadable(Unreadable::new(format!("it is no {kind:?} in Redis")))),
            ForeignRecord::TooLarge => {
                return Err(unreadable(Unreadable::new(format!("it is larger than {MOST_BYTES} bytes"))));
            }
        };
        let in_store = ends_in.map(|left| now.after(left));
        let session = self.read(&parts, in_store).map_err(unreadable)?;
        let verified = claims::identity(&self.0, session, in_store, &public_id).map_err(unreadable)?;
        let verified = verified.ok_or_else(|| {
            Denial::because(Reason::SessionAnonymous, format!("session {public_id} has nobody at `{}`", self.0.subject))
        })?;
        if verified.expires_at <= now {
            return Err(Denial::because(Reason::SessionExpired, format!("session {public_id} has ended")));
        }
        Ok(Finding { verified, touch: None, believed_for: BELIEVED_FOR })
    }

    /// The id in a cookie, of the layout's own alphabet and length: nothing else ever becomes a part of a key.
    fn id(&self, cookie: &str) -> Option<String> {
        match &self.0.format {
            ForeignFormat::ConnectRedis { secrets } => connect_redis::id(cookie, secrets),
            ForeignFormat::Json { id } => json::id(cookie, id),
            ForeignFormat::Spring => spring::id(cookie),
            ForeignFormat::Php { .. } => php::id(cookie),
        }
    }

    fn read(&self, parts: &[Vec<u8>], in_store: Option<Timestamp>) -> Result<Session, Unreadable> {
        if matches!(self.0.format, ForeignFormat::Spring) {
            return spring::read(parts);
        }
        let value = parts.first().map(Vec::as_slice).unwrap_or_default();
        match self.0.format {
            ForeignFormat::ConnectRedis { .. } => connect_redis::read(value, in_store),
            ForeignFormat::Php { handler } => php::read(value, handler),
            ForeignFormat::Json { .. } | ForeignFormat::Spring => json::read(value),
        }
    }

    fn layout(&self) -> &'static str {
        self.0.format.name()
    }
}

#[cfg(fuzzing)]
impl Foreign {
    pub(in crate::gate) fn door(settings: Arc<ForeignSettings>) -> Self {
        Self::new(settings)
    }

    pub(in crate::gate) fn id_door(&self, cookie: &str) -> Option<String> {
        self.id(cookie)
    }

    pub(in crate::gate) fn read_door(
        &self,
        parts: &[Vec<u8>],
        in_store: Option<Timestamp>,
    ) -> Option<crate::model::Verified> {
        claims::identity(&self.0, self.read(parts, in_store).ok()?, in_store, "public").ok()?
    }
}

/// Whether a text is of this length, in bytes, and of these characters alone.
fn is_id(text: &str, length: std::ops::RangeInclusive<usize>, fits: impl Fn(u8) -> bool) -> bool {
    length.contains(&text.len()) && text.bytes().all(fits)
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests;
