//! Carries what the verifier found to whoever logs it. rustls hands on an error alone, and one error for each alert.

use std::cell::{Cell, RefCell};
use std::fmt;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Reason;
use crate::crypto::digest::{hex, sha256};
use crate::crypto::shown::Shown;

tokio::task_local! {
    static HANDSHAKE: Handshake;
}

/// What is known of the handshake that this task is in.
#[derive(Debug, Default)]
struct Handshake {
    /// Whether the client has been asked for a certificate.
    asked: Cell<bool>,
    refusal: RefCell<Option<Refusal>>,
}

/// A client certificate that was refused.
#[derive(Debug)]
pub(in crate::edge) struct Refusal {
    pub(in crate::edge) reason: Reason,
    /// What the client presented first; `None` where it presented nothing, or nothing that was looked at.
    pub(in crate::edge) certificate: Option<Presented>,
}

/// What a certificate says, whether true or not, and its fingerprint. Nothing in it can end a line.
#[derive(Debug, Default)]
pub(in crate::edge) struct Presented {
    pub(in crate::edge) subject: String,
    pub(in crate::edge) issuer: String,
    /// Hexadecimal digits.
    pub(in crate::edge) serial: String,
    /// SHA-256 of the DER, in hexadecimal digits, as revocations name it.
    pub(in crate::edge) fingerprint: String,
}

/// Runs a handshake; where it fails over the client's certificate, also says why.
pub(in crate::edge) async fn explained<T>(
    handshake: impl Future<Output = std::io::Result<T>>,
) -> Result<T, (std::io::Error, Option<Refusal>)> {
    let explained = async {
        handshake.await.map_err(|error| {
            let refusal = HANDSHAKE.with(|known| known.refusal.take().or_else(|| before_verifying(&error, known)));
            (error, refusal)
        })
    };
    HANDSHAKE.scope(Handshake::default(), explained).await
}

/// The client is being asked for a certificate.
pub(super) fn asked() {
    // Nobody listens when chains are verified again.
    let _ = HANDSHAKE.try_with(|known| known.asked.set(true));
}

/// This certificate is refused.
pub(super) fn refused(reason: Reason, certificate: &CertificateDer<'_>) {
    let _ = HANDSHAKE.try_with(|known| {
        *known.refusal.borrow_mut() = Some(Refusal { reason, certificate: Some(Presented::read(certificate)) });
    });
}

/// What rustls refuses without asking the verifier. After it has asked for one, the client's only message of any size is
/// its certificates: too large by what it says, or for what rustls holds.
fn before_verifying(error: &std::io::Error, known: &Handshake) -> Option<Refusal> {
    use rustls::InvalidMessage::{CertificatePayloadTooLarge, HandshakePayloadTooLarge};
    let asked = known.asked.get();
    let reason = match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::NoCertificatesPresented) => Reason::Missing,
        Some(rustls::Error::InvalidMessage(CertificatePayloadTooLarge | HandshakePayloadTooLarge)) if asked => {
            Reason::TooLarge
        }
        None if asked && error.kind() == std::io::ErrorKind::InvalidData => Reason::TooLarge,
        _ => return None,
    };
    Some(Refusal { reason, certificate: None })
}

impl Presented {
    fn read(der: &CertificateDer<'_>) -> Self {
        let fingerprint = hex(&sha256(der));
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return Self { fingerprint, ..Self::default() };
        };
        Self {
            subject: shown(certificate.subject()),
            issuer: shown(certificate.issuer()),
            serial: Shown(&hex(certificate.raw_serial())).to_string(),
            fingerprint,
        }
    }
}

fn shown(name: &impl fmt::Display) -> String {
    Shown(&name.to_string()).to_string()
}
