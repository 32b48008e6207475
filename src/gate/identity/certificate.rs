//! Client certificates: `[[mtls]]` rules say whose they are; the first that matches counts.

use std::sync::Arc;

use super::pattern::{Pattern, Template};
use crate::model::denial::Reason;
use crate::model::identity::MTLS_ISSUER;
use crate::model::settings::{MtlsMatch, MtlsRule};
use crate::model::{ClientCertificate, CredentialKind, Denial, Principal, Verified};

/// The rules, ready to be asked.
pub(super) struct CertificateRules {
    rules: Vec<CompiledRule>,
}

struct CompiledRule {
    field: Field,
    pattern: Pattern,
    subject: Template,
    roles: Vec<Arc<str>>,
    scopes: Vec<Arc<str>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Uri,
    Dns,
    Email,
    Subject,
}

impl CertificateRules {
    /// A rule that makes no sense (configuration refuses it) is left out: it then matches nothing.
    pub(super) fn new(rules: &[MtlsRule]) -> Self {
        Self { rules: rules.iter().filter_map(CompiledRule::new).collect() }
    }

    /// The identity that a certificate proves whose chain has been verified.
    pub(super) fn identity(&self, certificate: &ClientCertificate) -> Result<Verified, Denial> {
        for rule in &self.rules {
            if let Some(subject) = rule.subject_of(certificate)? {
                return Ok(verified(rule, &subject, certificate));
            }
        }
        Err(refused(format!("no mtls rule matches: {}", describe(certificate))))
    }
}

impl CompiledRule {
    fn new(rule: &MtlsRule) -> Option<Self> {
        let (field, pattern) = match &rule.matches {
            MtlsMatch::Uri(pattern) => (Field::Uri, pattern.clone()),
            MtlsMatch::Dns(pattern) => (Field::Dns, pattern.clone()),
            MtlsMatch::Email(pattern) => (Field::Email, pattern.clone()),
            MtlsMatch::Subject(pattern) => (Field::Subject, pattern.clone()),
        };
        let compiled = Pattern::parse(&pattern).and_then(|pattern| {
            let subject = Template::parse(&rule.subject, &pattern)?;
            let (roles, scopes) = (super::sorted(rule.roles.clone()), super::sorted(rule.scopes.clone()));
            Some(Self { field, pattern, subject, roles, scopes })
        });
        if compiled.is_none() {
            tracing::error!(pattern, subject = rule.subject, "an mtls rule is malformed and matches nothing");
        }
        compiled
    }

    /// `None` where it does not match. A certificate that it matches in two ways is refused: nobody could say who it is.
    fn subject_of(&self, certificate: &ClientCertificate) -> Result<Option<String>, Denial> {
        let values: &[String] = match self.field {
            Field::Uri => &certificate.uris,
            Field::Dns => &certificate.dns,
            Field::Email => &certificate.emails,
            Field::Subject => std::slice::from_ref(&certificate.subject),
        };
        let mut found: Option<String> = None;
        for value in values {
            // DNS names are the same in either case (RFC 4343).
            let value = if self.field == Field::Dns { value.to_ascii_lowercase() } else { value.clone() };
            let Some(captures) = self.pattern.captures(&value) else { continue };
            // Before anything is made of it: the subject goes into headers, logs and rules.
            if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return Err(refused(format!("control or non-ASCII characters in {value:?}")));
            }
            // An X.509-SVID has exactly one URI (SPIFFE X509-SVID, section 2).
            if self.field == Field::Uri && value.starts_with("spiffe://") && values.len() > 1 {
                return Err(refused(format!("a SPIFFE id among {} URIs", values.len())));
            }
            let subject = self.subject.fill(&value, &captures);
            match &found {
                Some(other) if *other != subject => {
                    return Err(refused(format!("one rule, two subjects: {other:?} and {subject:?}")));
                }
                _ => found = Some(subject),
            }
        }
        Ok(found)
    }
}

fn verified(rule: &CompiledRule, subject: &str, certificate: &ClientCertificate) -> Verified {
    Verified {
        roles: rule.roles.clone(),
        scopes: rule.scopes.clone(),
        ..Verified::new(
            Principal::new(MTLS_ISSUER, subject),
            CredentialKind::Mtls,
            crate::crypto::digest::hex(&certificate.fingerprint).into(),
            certificate.not_after,
        )
    }
}

fn refused(detail: String) -> Denial {
    Denial::because(Reason::CertificateNotAccepted, detail)
}

fn describe(certificate: &ClientCertificate) -> String {
    const MOST: usize = 4;
    let first = |values: &[String]| format!("{:?}", values.iter().take(MOST).collect::<Vec<_>>());
    let (uris, dns, emails) = (first(&certificate.uris), first(&certificate.dns), first(&certificate.emails));
    format!("certificate has uri {uris}, dns {dns}, email {emails}, subject {:?}", certificate.subject)
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
