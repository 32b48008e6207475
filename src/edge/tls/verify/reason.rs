//! Why a client certificate is refused: the name in the log and in the metric, and the alert that the client gets.

use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, OtherError};
use webpki::Error;

/// One line for each: the variant, its name in the log (in the metric: after `client_certificate_`), and what to look for.
macro_rules! reasons {
    ($($variant:ident, $name:literal, $text:literal;)*) => {
        /// Why a client certificate is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::edge) enum Reason {
            $(#[doc = $text] $variant,)*
        }

        impl Reason {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the log.
            pub(in crate::edge) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The metric's label.
            pub(in crate::edge) const fn label(self) -> &'static str {
                match self { $(Self::$variant => concat!("client_certificate_", $name),)* }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

reasons! {
    Missing, "missing", "the client presented no certificate";
    Expired, "expired", "the certificate, or one of its issuers, has expired";
    NotYetValid, "not_yet_valid", "the certificate, or one of its issuers, is not valid yet";
    CaExpired, "ca_expired", "the CA in the bundle that vouches for it is itself outside its validity";
    UnknownIssuer, "unknown_issuer", "no chain to a CA in the bundle: another CA, or an intermediate that was not sent";
    BadSignature, "bad_signature", "a signature in the chain is not that of the issuer";
    SignatureAlgorithm, "signature_algorithm", "a signature or key of an algorithm that is not accepted (SHA-1, MD5, …)";
    WeakKey, "weak_key", "a key in the chain is too weak (RSA below 2048 bits, …)";
    KeyNotHeld, "key_not_held", "the client did not prove that it holds the key of the certificate";
    WrongPurpose, "wrong_purpose", "the extended key usage, of it or of an issuer, does not include client authentication";
    KeyUsage, "key_usage", "its key usage does not include digital signatures";
    NotACa, "not_a_ca", "a certificate signed another one without being that of a CA";
    CaAsClient, "ca_as_client", "a CA's certificate was presented as that of a client";
    PathLength, "path_length", "more intermediates than the path length of a CA admits";
    NameConstraints, "name_constraints", "a name lies outside the name constraints of a CA";
    CriticalExtension, "critical_extension", "a critical extension that is not understood";
    Revoked, "revoked", "the certificate, or one of its issuers, is on a revocation list";
    CrlExpired, "crl_expired", "the revocation list of an issuer is out of date";
    CrlMissing, "crl_missing", "there are revocation lists, but none of one of its issuers";
    CrlInvalid, "crl_invalid", "the revocation list of an issuer is not signed by it, or it may not sign one";
    Malformed, "malformed", "a certificate in the chain is not what RFC 5280 allows";
    BadName, "bad_name", "a name in it holds control characters or cannot be read";
    ChainTooLong, "chain_too_long", "more certificates than are looked at";
    TooLarge, "too_large", "a certificate, or all of them, is larger than is looked at";
    TooComplex, "too_complex", "finding a chain among the certificates takes too much work";
}

impl Reason {
    /// What webpki found.
    #[expect(deprecated, reason = "webpki still has these variants, and they must not fall to the last arm")]
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::CertExpired { .. } => Self::Expired,
            Error::CertNotValidYet { .. } => Self::NotYetValid,
            Error::UnknownIssuer => Self::UnknownIssuer,
            Error::InvalidSignatureForPublicKey => Self::BadSignature,
            Error::UnsupportedSignatureAlgorithm
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKey
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::SignatureAlgorithm,
            Error::EmptyEkuExtension | Error::RequiredEkuNotFound | Error::RequiredEkuNotFoundContext(_) => {
                Self::WrongPurpose
            }
            Error::EndEntityUsedAsCa => Self::NotACa,
            Error::CaUsedAsEndEntity => Self::CaAsClient,
            Error::PathLenConstraintViolated => Self::PathLength,
            Error::NameConstraintViolation
            | Error::MalformedNameConstraint
            | Error::InvalidNetworkMaskConstraint
            | Error::UnsupportedNameType => Self::NameConstraints,
            Error::UnsupportedCriticalExtension => Self::CriticalExtension,
            Error::CertRevoked => Self::Revoked,
            Error::CrlExpired { .. } => Self::CrlExpired,
            Error::UnknownRevocationStatus => Self::CrlMissing,
            Error::IssuerNotCrlSigner
            | Error::InvalidCrlSignatureForPublicKey
            | Error::UnsupportedCrlSignatureAlgorithm
            | Error::UnsupportedCrlSignatureAlgorithmContext(_)
            | Error::UnsupportedCrlSignatureAlgorithmForPublicKey
            | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => Self::CrlInvalid,
            Error::MaximumPathDepthExceeded
            | Error::MaximumSignatureChecksExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Self::TooComplex,
            // All others are about the encoding.
            _ => Self::Malformed,
        }
    }

    /// For rustls, which makes an alert of it: RFC 8446, section 6.2, and for signatures section 4.4.2.4.
    pub(super) fn error(self) -> rustls::Error {
        let error = match self {
            // bad_certificate
            Self::Malformed
            | Self::BadName
            | Self::CriticalExtension
            | Self::BadSignature
            | Self::SignatureAlgorithm
            | Self::WeakKey => CertificateError::BadEncoding,
            // certificate_expired: "expired or is not currently valid"
            Self::Expired | Self::NotYetValid => CertificateError::Expired,
            Self::Revoked => CertificateError::Revoked,
            // unknown_ca
            Self::UnknownIssuer | Self::NotACa | Self::PathLength | Self::CaExpired => CertificateError::UnknownIssuer,
            Self::CrlExpired | Self::CrlMissing | Self::CrlInvalid => CertificateError::UnknownRevocationStatus,
            // unsupported_certificate
            Self::WrongPurpose | Self::KeyUsage | Self::CaAsClient => CertificateError::InvalidPurpose,
            // certificate_unknown
            Self::NameConstraints
            | Self::ChainTooLong
            | Self::TooLarge
            | Self::TooComplex
            | Self::Missing
            | Self::KeyNotHeld => CertificateError::Other(OtherError(Arc::new(Named(self)))),
        };
        rustls::Error::InvalidCertificate(error)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A reason that rustls has no name for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Named(Reason);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own_and_is_documented() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mtls.md")).unwrap();
        for (at, reason) in Reason::ALL.iter().enumerate() {
            let same = Reason::ALL.iter().filter(|other| other.name() == reason.name()).count();
            assert_eq!(same, 1, "{at}: {reason:?}");
            assert_eq!(reason.label(), format!("client_certificate_{}", reason.name()));
            assert!(page.contains(&format!("`{}`", reason.name())), "docs/mtls.md lacks `{}`", reason.name());
        }
    }
}
