//! What one route accepts.

use std::sync::Arc;

use crate::model::denial::Reason;
use crate::model::settings::{Accept, Alternative};
use crate::model::{CredentialKind, Denial, Verified};

/// `accept`, ready to be asked.
#[derive(Debug)]
pub(in crate::gate) struct Accepts {
    alternatives: Vec<Alternative>,
    optional: bool,
}

/// What must come with an accepted credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gate) enum Companion {
    /// Nothing.
    None,
    /// A client certificate that is good by itself.
    Certificate,
}

impl Accepts {
    /// Of a route. `only_issuer`: the one that a bare `jwt` stands for; there is none where several are configured.
    pub(in crate::gate) fn new(accept: &Accept, only_issuer: Option<&Arc<str>>) -> Result<Self, String> {
        let Accept::OneOf { alternatives, optional } = accept else {
            return Ok(Self { alternatives: Vec::new(), optional: true });
        };
        if alternatives.is_empty() {
            return Err("accepts nothing".to_owned());
        }
        let mut alternatives = alternatives.clone();
        for alternative in &mut alternatives {
            if alternative.kind == CredentialKind::Jwt && alternative.issuer.is_none() {
                let only = only_issuer.ok_or("accepts `jwt` without saying whose, and there is not just one issuer")?;
                alternative.issuer = Some(only.clone());
            }
        }
        Ok(Self { alternatives, optional: *optional })
    }

    /// Whether no credential will do as well.
    pub(in crate::gate) const fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether credentials of this kind are read.
    pub(in crate::gate) fn takes(&self, kind: CredentialKind) -> bool {
        self.alternatives.iter().any(|a| a.kind == kind)
    }

    /// Whether `Authorization: Bearer` is read.
    pub(in crate::gate) fn takes_bearers(&self) -> bool {
        [CredentialKind::Jwt, CredentialKind::Opaque, CredentialKind::ApiKey].iter().any(|kind| self.takes(*kind))
    }

    /// Whether `Authorization: DPoP` is read: whether there may be tokens that are bound to a key.
    pub(in crate::gate) fn takes_proofs(&self) -> bool {
        [CredentialKind::Jwt, CredentialKind::Opaque].iter().any(|kind| self.takes(*kind))
    }

    /// Whether `Authorization` is read at all.
    pub(in crate::gate) fn reads_authorization(&self) -> bool {
        self.takes_bearers() || self.takes(CredentialKind::Basic)
    }

    /// Whether this identity is one that the route accepts, which each request asks anew: what the cache holds may have
    /// been verified for another route. Where a certificate may be missing, that alternative counts.
    pub(in crate::gate) fn admit(&self, identity: &Verified) -> Result<Companion, Denial> {
        let fits = |a: &&Alternative| {
            a.kind == identity.kind && (a.kind != CredentialKind::Jwt || a.issuer == identity.issuer_name)
        };
        let mut fitting = self.alternatives.iter().filter(fits).peekable();
        if fitting.peek().is_none() {
            let detail = format!("it is {}, {self}", name(identity.kind, identity.issuer_name.as_deref()));
            return Err(Denial::because(Reason::CredentialNotAccepted, detail));
        }
        if fitting.any(|a| !a.with_certificate) { Ok(Companion::None) } else { Ok(Companion::Certificate) }
    }
}

impl std::fmt::Display for Accepts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the route accepts")?;
        for alternative in &self.alternatives {
            let with = if alternative.with_certificate { "mtls+" } else { "" };
            write!(f, " {with}{}", name(alternative.kind, alternative.issuer.as_deref()))?;
        }
        if self.optional { f.write_str(" anyone") } else { Ok(()) }
    }
}

fn name(kind: CredentialKind, issuer: Option<&str>) -> String {
    match issuer {
        Some(issuer) => format!("{kind}:{issuer}"),
        None => kind.to_string(),
    }
}
