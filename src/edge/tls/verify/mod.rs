//! Whether a client certificate is good: RFC 5280 as webpki implements it, and the rules of `rules` and `anchors` on top.
//! `docs/mtls.md` lists all of them.

mod anchors;
mod crls;
mod encoding;
mod reason;
mod refusal;
mod rules;

use std::cell::Cell;

use anchors::Anchors;
use crls::Lists;
pub(in crate::edge) use reason::Reason;
pub(in crate::edge) use refusal::{Presented, Refusal, explained};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::files::{certificates, revocation_lists};
use crate::model::settings::ClientAuth;

/// Certificates that a client may send, its own included. Of what can be combined of them, webpki takes at most six
/// intermediates for one path, and webpki verifies 100 signatures at most.
const MOST_CERTIFICATES: usize = 8;

/// Bytes of one certificate. rustls reads no more than 64 KiB of all of them.
const LARGEST_CERTIFICATE: usize = 16 * 1024;

/// Verifies client certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    anchors: Anchors,
    names: Vec<DistinguishedName>,
    lists: Lists,
    required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Its files read. The text of the error says what is wrong, and with which file.
    pub(super) fn load(auth: &ClientAuth, provider: &CryptoProvider) -> Result<Self, String> {
        let anchors = Anchors::new(&auth.ca, certificates(&auth.ca)?)?;
        let mut lists = Lists::default();
        for file in &auth.crls {
            lists.add(file, &revocation_lists(file)?)?;
        }
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { names: anchors.names(), anchors, lists, required: auth.required, algorithms })
    }

    /// Whether the first certificate is good, the others being what a chain can be made of.
    fn verify(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Reason> {
        // Before anything is read.
        if intermediates.len() >= MOST_CERTIFICATES {
            return Err(Reason::ChainTooLong);
        }
        if std::iter::once(end).chain(intermediates).any(|der| der.len() > LARGEST_CERTIFICATE) {
            return Err(Reason::TooLarge);
        }
        let parsed = EndEntityCert::try_from(end).map_err(|error| Reason::of(&error))?;
        let found = Cell::new(None);
        let own_rules = |path: &VerifiedPath<'_>| {
            self.check(path, now).map_err(|reason| {
                found.set(Some(reason));
                // Stands for `found`: webpki would say this only of keys that it is told to distrust, and is told of none.
                webpki::Error::CertDistrusted
            })
        };
        let verified = self.lists.try_each(|revocation| {
            let usage = KeyUsage::client_auth();
            let (all, anchors) = (self.algorithms.all, &self.anchors.all);
            parsed.verify_for_usage(all, anchors, intermediates, now, usage, revocation, Some(&own_rules)).map(drop)
        });
        verified.map_err(|error| match (error, found.get()) {
            (webpki::Error::CertDistrusted, Some(reason)) => reason,
            // What a key that is too short has signed, webpki takes for a forgery.
            (webpki::Error::InvalidSignatureForPublicKey, _) if self.has_weak_issuer(intermediates) => Reason::WeakKey,
            (error, _) => Reason::of(&error),
        })
    }

    /// What webpki leaves out, of a path that it has found to be good.
    fn check(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<(), Reason> {
        let end = path.end_entity().der();
        let client = rules::read(&end)?;
        rules::any(&client)?;
        rules::client(&end, &client)?;
        self.lists.check(path.end_entity(), false, rules::names_a_point(&client))?;
        let (mut issuers, mut below) = (0, vec![client.subject().iter_email().next().is_some()]);
        for issuer in path.intermediate_certificates() {
            let (cert, der) = (issuer, issuer.der());
            let issuer = rules::read(&der)?;
            rules::any(&issuer)?;
            rules::issuer(&issuer)?;
            self.lists.check(cert, true, rules::names_a_point(&issuer))?;
            if rules::constrains_email(&issuer).ok_or(Reason::Malformed)? && below.contains(&true) {
                return Err(Reason::NameConstraints);
            }
            below.push(issuer.subject().iter_email().next().is_some());
            issuers += usize::from(issuer.subject().as_raw() != issuer.issuer().as_raw());
        }
        if self.anchors.constrains_email(path.anchor()) && below.contains(&true) {
            return Err(Reason::NameConstraints);
        }
        self.anchors.admit(path.anchor(), &end, issuers, !self.lists.is_empty(), now)
    }

    fn has_weak_issuer(&self, intermediates: &[CertificateDer<'_>]) -> bool {
        self.anchors.has_weak_key() || intermediates.iter().any(|der| rules::is_weak(der))
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        refusal::asked();
        &self.names
    }

    fn verify_client_cert(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.verify(end, intermediates, now) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(reason) => {
                refusal::refused(reason, end);
                Err(reason.error())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
            .inspect_err(|_| refusal::refused(Reason::KeyNotHeld, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
            .inspect_err(|_| refusal::refused(Reason::KeyNotHeld, certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
