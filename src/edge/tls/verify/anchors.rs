//! The CA bundle. RFC 5280 takes a trust anchor for a name and a key; an operator's file says more than that, and what it
//! says is kept to (RFC 5937): when it is valid, how long a path it admits, and whether it is a CA at all.

use std::path::Path;

use rustls::DistinguishedName;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer, KeyUsage, X509Version};

use super::Reason;

/// The CAs that vouch for clients.
#[derive(Debug)]
pub(super) struct Anchors {
    /// For webpki; in the order of `limits`.
    pub(super) all: Vec<TrustAnchor<'static>>,
    limits: Vec<Limits>,
}

/// What a CA's own certificate admits.
#[derive(Debug)]
struct Limits {
    der: CertificateDer<'static>,
    not_before: i64,
    not_after: i64,
    is_ca: bool,
    /// Intermediates that may stand between it and the client.
    path_length: Option<u32>,
    signs_certificates: bool,
    signs_revocation_lists: bool,
    constrains_email: bool,
    weak_key: bool,
}

impl Anchors {
    /// Of the certificates in this file.
    pub(super) fn new(file: &Path, certificates: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let unusable = |why: &str| format!("`{}`: a certificate in it is no trust anchor: {why}", file.display());
        let (mut all, mut limits) = (Vec::new(), Vec::new());
        for der in certificates {
            let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|error| unusable(&error.to_string()))?;
            all.push(anchor.to_owned());
            limits.push(Limits::read(der).ok_or_else(|| unusable("it is malformed"))?);
        }
        Ok(Self { all, limits })
    }

    /// Their names, for clients that choose a certificate by them.
    pub(super) fn names(&self) -> Vec<DistinguishedName> {
        self.all.iter().map(|anchor| DistinguishedName::in_sequence(&anchor.subject)).collect()
    }

    /// Whether one of them, which is in `all`, vouches for this path: `end` the client's certificate, `intermediates` how
    /// many CAs stand between, not counting those that issued to themselves.
    pub(super) fn admit(
        &self,
        anchor: &TrustAnchor<'_>,
        end: &CertificateDer<'_>,
        intermediates: usize,
        revocation: bool,
        now: UnixTime,
    ) -> Result<(), Reason> {
        let at = self.all.iter().position(|one| std::ptr::eq(one, anchor)).ok_or(Reason::UnknownIssuer)?;
        let limits = self.limits.get(at).ok_or(Reason::UnknownIssuer)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < limits.not_before || now > limits.not_after {
            return Err(Reason::CaExpired);
        }
        if !limits.is_ca {
            // A client's own certificate in the bundle admits that client, and nobody whom its key signs for.
            return if limits.der == *end { Ok(()) } else { Err(Reason::NotACa) };
        }
        if !limits.signs_certificates {
            return Err(Reason::NotACa);
        }
        if limits.path_length.is_some_and(|most| intermediates > usize::try_from(most).unwrap_or(usize::MAX)) {
            return Err(Reason::PathLength);
        }
        if revocation && !limits.signs_revocation_lists {
            return Err(Reason::CrlInvalid);
        }
        Ok(())
    }

    /// Whether one of them, which is in `all`, has name constraints for email addresses.
    pub(super) fn constrains_email(&self, anchor: &TrustAnchor<'_>) -> bool {
        let of = self.all.iter().zip(&self.limits).find(|(one, _)| std::ptr::eq(*one, anchor));
        of.is_none_or(|(_, limits)| limits.constrains_email)
    }

    /// Whether the key of any of them is too weak for its signatures to count.
    pub(super) fn has_weak_key(&self) -> bool {
        self.limits.iter().any(|limits| limits.weak_key)
    }
}

impl Limits {
    fn read(der: CertificateDer<'static>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        let validity = certificate.validity();
        let usage = certificate.key_usage().ok()?;
        let may = |what: fn(&KeyUsage) -> bool| usage.as_ref().is_none_or(|usage| what(usage.value));
        let basic = certificate.basic_constraints().ok()?;
        let limits = Self {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            // Before version 3 a certificate could not say: that it is in the bundle says it (section 6.1.4, k).
            is_ca: certificate.version() != X509Version::V3 || basic.as_ref().is_some_and(|basic| basic.value.ca),
            path_length: basic.as_ref().and_then(|basic| basic.value.path_len_constraint),
            signs_certificates: may(KeyUsage::key_cert_sign),
            signs_revocation_lists: may(KeyUsage::crl_sign),
            constrains_email: super::rules::constrains_email(&certificate)?,
            weak_key: super::rules::is_weak(&der),
            der: der.clone(),
        };
        Some(limits)
    }
}
