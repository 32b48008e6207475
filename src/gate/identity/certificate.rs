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
    /// At least one.
    patterns: Vec<(Field, Pattern)>,
    subject: Template,
    tenant: Option<Template>,
    groups: Vec<Template>,
    /// Which of all captures, those of the patterns one after the other, some template uses.
    used: Vec<bool>,
    roles: Vec<Arc<str>>,
    scopes: Vec<Arc<str>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Uri,
    Dns,
    Email,
    Subject,
    Issuer,
}

/// What a rule makes of a certificate that it matches.
struct Found {
    subject: String,
    tenant: Option<String>,
    groups: Vec<Arc<str>>,
}

impl CertificateRules {
    /// A rule that makes no sense (configuration refuses it) is left out: it then matches nothing.
    pub(super) fn new(rules: &[MtlsRule]) -> Self {
        Self { rules: rules.iter().filter_map(CompiledRule::new).collect() }
    }

    /// The identity that a certificate proves whose chain has been verified.
    pub(super) fn identity(&self, certificate: &ClientCertificate) -> Result<Verified, Denial> {
        for rule in &self.rules {
            if let Some(found) = rule.find(certificate)? {
                return Ok(verified(rule, found, certificate));
            }
        }
        Err(refused(format!("no mtls rule matches: {}", describe(certificate))))
    }
}

impl CompiledRule {
    fn new(rule: &MtlsRule) -> Option<Self> {
        let compiled = Self::compile(rule);
        if compiled.is_none() {
            tracing::error!(matches = ?rule.matches, subject = rule.subject, "an mtls rule is malformed and matches nothing");
        }
        compiled
    }

    fn compile(rule: &MtlsRule) -> Option<Self> {
        let patterns = rule.matches.iter().map(|each| {
            let (field, text) = match each {
                MtlsMatch::Uri(text) => (Field::Uri, text),
                MtlsMatch::Dns(text) => (Field::Dns, text),
                MtlsMatch::Email(text) => (Field::Email, text),
                MtlsMatch::Subject(text) => (Field::Subject, text),
                MtlsMatch::Issuer(text) => (Field::Issuer, text),
            };
            Some((field, Pattern::parse(text)?))
        });
        let patterns: Vec<_> = patterns.collect::<Option<_>>()?;
        let names: Vec<&str> = patterns.iter().flat_map(|(_, pattern)| pattern.names()).collect();
        let twice = names.iter().enumerate().any(|(at, name)| names.iter().skip(at + 1).any(|other| other == name));
        if patterns.is_empty() || twice {
            return None;
        }
        let subject = Template::parse(&rule.subject, &names)?;
        let tenant = if rule.tenant.is_empty() { None } else { Some(Template::parse(&rule.tenant, &names)?) };
        let groups = rule.groups.iter().filter(|group| !group.is_empty());
        let groups: Vec<_> = groups.map(|group| Template::parse(group, &names)).collect::<Option<_>>()?;
        let templates = || std::iter::once(&subject).chain(&tenant).chain(&groups);
        let used = (0..names.len()).map(|at| templates().any(|template| template.uses().any(|which| which == at)));
        Some(Self {
            used: used.collect(),
            roles: super::sorted(rule.roles.clone()),
            scopes: super::sorted(rule.scopes.clone()),
            patterns,
            subject,
            tenant,
            groups,
        })
    }

    /// `None` where some pattern does not match. A certificate that they match in two ways is refused: nobody could say
    /// who it is.
    fn find(&self, certificate: &ClientCertificate) -> Result<Option<Found>, Denial> {
        let (mut whole, mut captures) = (None, Vec::with_capacity(self.used.len()));
        for (at, (field, pattern)) in self.patterns.iter().enumerate() {
            let whole_counts = at == 0 && self.subject.is_whole();
            let used = self.used.get(captures.len()..).unwrap_or_default();
            let Some((value, found)) = matched(*field, pattern, used, whole_counts, certificate)? else {
                return Ok(None);
            };
            whole.get_or_insert(value);
            captures.extend(found);
        }
        let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
        let whole = whole.unwrap_or_default();
        Ok(Some(Found {
            subject: self.subject.fill(&whole, &captures),
            tenant: self.tenant.as_ref().map(|tenant| tenant.fill(&whole, &captures)),
            groups: self.groups.iter().map(|group| group.fill(&whole, &captures).into()).collect(),
        }))
    }
}

/// The value that a pattern matches, and its captures; `None` where it matches none. Of several values that match, what
/// counts must be the same: those captures that are `used`, and the whole where `whole_counts`.
fn matched(
    field: Field,
    pattern: &Pattern,
    used: &[bool],
    whole_counts: bool,
    certificate: &ClientCertificate,
) -> Result<Option<(String, Vec<String>)>, Denial> {
    let values: &[String] = match field {
        Field::Uri => &certificate.uris,
        Field::Dns => &certificate.dns,
        Field::Email => &certificate.emails,
        Field::Subject => std::slice::from_ref(&certificate.subject),
        Field::Issuer => std::slice::from_ref(&certificate.issuer),
    };
    let mut found: Option<(String, Vec<String>)> = None;
    for value in values {
        // DNS names are the same in either case (RFC 4343).
        let value = if field == Field::Dns { value.to_ascii_lowercase() } else { value.clone() };
        let Some(captures) = pattern.captures(&value) else { continue };
        // Before anything is made of it: the subject goes into headers, logs and rules.
        if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(refused(format!("control or non-ASCII characters in {value:?}")));
        }
        // An X.509-SVID has exactly one URI (SPIFFE X509-SVID, section 2).
        if field == Field::Uri && value.starts_with("spiffe://") && values.len() > 1 {
            return Err(refused(format!("a SPIFFE id among {} URIs", values.len())));
        }
        let captures: Vec<String> = captures.into_iter().map(str::to_owned).collect();
        match &found {
            Some((other, known)) => {
                let same = captures.iter().zip(known).zip(used).all(|((own, known), used)| !used || own == known);
                if !same || (whole_counts && *other != value) {
                    return Err(refused(format!("one rule, two subjects: of {other:?} and of {value:?}")));
                }
            }
            None => found = Some((value, captures)),
        }
    }
    Ok(found)
}

fn verified(rule: &CompiledRule, found: Found, certificate: &ClientCertificate) -> Verified {
    Verified {
        roles: rule.roles.clone(),
        scopes: rule.scopes.clone(),
        tenant: found.tenant.map(Arc::from),
        groups: super::sorted(found.groups),
        ..Verified::new(
            Principal::new(MTLS_ISSUER, &found.subject),
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
    format!(
        "certificate has uri {uris}, dns {dns}, email {emails}, subject {:?}, issuer {:?}",
        certificate.subject, certificate.issuer
    )
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
