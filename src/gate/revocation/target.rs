//! What an entry of the log is about, borrowed, so that looking something up allocates nothing.

use crate::model::{LogEntry, Principal, Revocation};

/// How many kinds of [`Target`] there are.
pub(super) const KINDS: usize = Revocation::KINDS.len();

/// What an entry is about. Two entries about the same are one, the stricter of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Target<'a> {
    Token { issuer: &'a str, id: &'a str },
    Principal(&'a Principal),
    Session(&'a str),
    Sessions(&'a Principal),
    Family(&'a str),
    ApiKey(&'a str),
    Certificate(&'a str),
}

impl<'a> Target<'a> {
    /// `None` for what revokes nothing.
    pub(super) fn of(what: &'a Revocation) -> Option<Self> {
        Some(match what {
            Revocation::Token { issuer, id } => Self::Token { issuer, id },
            Revocation::PrincipalBefore { principal, .. } => Self::Principal(principal),
            Revocation::Session { id } => Self::Session(id),
            Revocation::Sessions { principal, .. } => Self::Sessions(principal),
            Revocation::Family { id } => Self::Family(id),
            Revocation::ApiKey { id } => Self::ApiKey(id),
            Revocation::Certificate { fingerprint } => Self::Certificate(fingerprint),
            Revocation::Changed { .. } => return None,
        })
    }

    /// The place of its kind among [`Revocation::KINDS`].
    pub(super) const fn kind(self) -> usize {
        match self {
            Self::Token { .. } => 0,
            Self::Principal(_) => 1,
            Self::Session(_) => 2,
            Self::Sessions(_) => 3,
            Self::Family(_) => 4,
            Self::ApiKey(_) => 5,
            Self::Certificate(_) => 6,
        }
    }
}

/// Of two entries about the same target, one that revokes all that either does, for as long as either does.
pub(super) fn stricter(one: &LogEntry, other: &LogEntry) -> LogEntry {
    let what = match (&one.what, &other.what) {
        (
            Revocation::PrincipalBefore { principal, before },
            Revocation::PrincipalBefore { before: other_before, .. },
        ) => Revocation::PrincipalBefore { principal: principal.clone(), before: *before.max(other_before) },
        (Revocation::Sessions { principal, generation }, Revocation::Sessions { generation: other_generation, .. }) => {
            Revocation::Sessions { principal: principal.clone(), generation: *generation.max(other_generation) }
        }
        (what, _) => what.clone(),
    };
    LogEntry { what, until: one.until.max(other.until) }
}
