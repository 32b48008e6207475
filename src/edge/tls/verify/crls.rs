//! Revocation lists. Where there are any, the status of every certificate of a chain must be known from one that is in date
//! (RFC 5280, section 6.3).

use std::cmp::Reverse;
use std::path::Path;

use rustls_pki_types::CertificateRevocationListDer;
use webpki::{
    Cert, CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::Reason;

/// Those for all certificates of an issuer first, and the newest of them first: webpki believes the first one that it takes
/// to speak for a certificate.
#[derive(Debug, Default)]
pub(super) struct Lists(Vec<List>);

#[derive(Debug)]
struct List {
    parsed: CertRevocationList<'static>,
    /// Seconds since the epoch.
    this_update: i64,
    scope: Scope,
}

/// What an issuing distribution point says (section 5.2.5).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    /// Only for certificates that name this distribution point.
    named: bool,
    clients_only: bool,
    issuers_only: bool,
}

impl Lists {
    /// Adds those of a file.
    pub(super) fn add(&mut self, file: &Path, lists: &[CertificateRevocationListDer<'_>]) -> Result<(), String> {
        let unusable = |why: &str| format!("`{}`: a revocation list in it cannot be used: {why}", file.display());
        for der in lists {
            let parsed = OwnedCertRevocationList::from_der(der).map_err(|error| unusable(&error.to_string()))?;
            let (_, read) = CertificateRevocationList::from_der(der).map_err(|error| unusable(&error.to_string()))?;
            let scope = Scope::read(&read);
            self.0.push(List { parsed: parsed.into(), this_update: read.last_update().timestamp(), scope });
        }
        self.0.sort_by_key(|list| (list.scope, Reverse(list.this_update)));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What webpki leaves out of section 6.3.3, of a certificate that it has found on none of the lists that it looked at.
    pub(super) fn check(&self, certificate: &Cert<'_>, is_issuer: bool, names_a_point: bool) -> Result<(), Reason> {
        let of_its_issuer = || self.0.iter().filter(|list| list.parsed.issuer() == certificate.issuer());
        // webpki stops at the first list. An older one, or one of another scope, must not hide what this one revokes.
        for list in of_its_issuer() {
            match list.parsed.find_serial(certificate.serial()) {
                Ok(None) => {}
                Ok(Some(_)) => return Err(Reason::Revoked),
                Err(_) => return Err(Reason::CrlInvalid),
            }
        }
        // (b) (2) (i): webpki takes a list of any distribution point for a certificate that names none.
        let speaks = |list: &List| {
            let Scope { named, clients_only, issuers_only } = list.scope;
            let of_its_kind = if is_issuer { !clients_only } else { !issuers_only };
            of_its_kind && (names_a_point || !named)
        };
        if self.is_empty() || of_its_issuer().any(speaks) { Ok(()) } else { Err(Reason::CrlMissing) }
    }

    /// Verifies with them. A CA that has changed its key but not its name has lists under both: webpki takes the first of
    /// that name and fails over its signature, so the others of the name get their turn.
    pub(super) fn try_each(
        &self,
        verify: impl Fn(Option<RevocationOptions<'_>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let lists: Vec<&CertRevocationList<'_>> = self.0.iter().map(|list| &list.parsed).collect();
        if lists.is_empty() {
            return verify(None);
        }
        let mut result = verify(options(&lists));
        for (at, list) in lists.iter().enumerate() {
            if result != Err(Error::InvalidCrlSignatureForPublicKey) {
                break;
            }
            let first = lists.iter().position(|other| other.issuer() == list.issuer());
            if first.is_some_and(|first| first < at) {
                let mut turned = lists.clone();
                let list = turned.remove(at);
                turned.insert(0, list);
                result = verify(options(&turned));
            }
        }
        result
    }
}

impl Scope {
    fn read(list: &CertificateRevocationList<'_>) -> Self {
        let mut points = list.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::IssuingDistributionPoint(point) => Some(point),
            _ => None,
        });
        points.next().map_or_else(Self::default, |point| Self {
            named: point.distribution_point.is_some(),
            clients_only: point.only_contains_user_certs,
            issuers_only: point.only_contains_ca_certs,
        })
    }
}

/// `None` for no lists.
fn options<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            // webpki's default takes a list that is out of date for current: it fails open.
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build(),
    )
}
