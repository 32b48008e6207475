//! Revocation lists. Where there are any, the status of every certificate of a chain must be known from one that is in date
//! (RFC 5280, section 6.3).

use std::path::Path;

use rustls_pki_types::CertificateRevocationListDer;
use webpki::{
    CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// The newest first: webpki believes the first one that speaks for an issuer, and an older list that is still in date would
/// hide what the newer one revokes.
#[derive(Debug, Default)]
pub(super) struct Lists(Vec<List>);

#[derive(Debug)]
struct List {
    parsed: CertRevocationList<'static>,
    /// Seconds since the epoch.
    this_update: i64,
}

impl Lists {
    /// Adds those of a file.
    pub(super) fn add(&mut self, file: &Path, lists: &[CertificateRevocationListDer<'_>]) -> Result<(), String> {
        let unusable = |why: &str| format!("`{}`: a revocation list in it cannot be used: {why}", file.display());
        for der in lists {
            let parsed = OwnedCertRevocationList::from_der(der).map_err(|error| unusable(&error.to_string()))?;
            let (_, read) = CertificateRevocationList::from_der(der).map_err(|error| unusable(&error.to_string()))?;
            self.0.push(List { parsed: parsed.into(), this_update: read.last_update().timestamp() });
        }
        self.0.sort_by_key(|list| std::cmp::Reverse(list.this_update));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
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
