//! What is checked at each use of a verified credential, whether it was cached or not.

use crate::model::denial::Reason;
use crate::model::{Client, CredentialKind, Denial, Timestamp, Verified};

/// Why a verified credential does not count for this request.
#[derive(Debug)]
pub(super) enum Objection {
    /// The key that verified it is not the issuer's any more: verify again.
    KeyGone,
    /// It may not be used so.
    Denied(Denial),
}

/// Checks time, networks, certificate binding, and the key that it rests on. `has_key`: whether the issuer of this
/// configured name may use the key of this thumbprint.
pub(super) fn recheck(
    identity: &Verified,
    client: &Client,
    has_key: impl FnOnce(&str, &[u8; 32]) -> bool,
    now: Timestamp,
) -> Result<(), Objection> {
    check_time(identity, now).map_err(Objection::Denied)?;
    if identity.kind == CredentialKind::Jwt {
        match (&identity.issuer_name, &identity.key_thumbprint) {
            (Some(issuer), Some(thumbprint)) if has_key(issuer, thumbprint) => {}
            _ => return Err(Objection::KeyGone),
        }
    }
    check_binding(identity, client, now).map_err(Objection::Denied)?;
    check_networks(identity, client).map_err(Objection::Denied)
}

fn check_time(identity: &Verified, now: Timestamp) -> Result<(), Denial> {
    let now_secs = now.as_secs();
    if identity.expires_at <= now {
        let ended_at = identity.expires_at.as_secs();
        let reason = ended(identity.kind);
        return Err(Denial::because(reason, format!("time: {} ended at {ended_at}, it is {now_secs}", identity.kind)));
    }
    match identity.not_before {
        Some(begins) if now < begins => {
            let detail = format!("time: {} begins at {}, it is {now_secs}", identity.kind, begins.as_secs());
            Err(Denial::because(Reason::TokenNotYetValid, detail))
        }
        _ => Ok(()),
    }
}

/// Why one of this kind is refused once it has ended.
pub(in crate::gate) const fn ended(kind: CredentialKind) -> Reason {
    match kind {
        CredentialKind::Session => Reason::SessionExpired,
        CredentialKind::ApiKey => Reason::ApiKeyExpired,
        CredentialKind::Mtls => Reason::CertificateNotAccepted,
        CredentialKind::Jwt | CredentialKind::Opaque | CredentialKind::Basic => Reason::TokenExpired,
    }
}

/// RFC 8705, section 3: a token that is bound to a certificate counts with that certificate alone.
fn check_binding(identity: &Verified, client: &Client, now: Timestamp) -> Result<(), Denial> {
    let Some(bound) = identity.bound_certificate else { return Ok(()) };
    match &client.certificate {
        None => Err(Denial::because(Reason::CertificateMismatch, "the token is bound to a certificate, there is none")),
        Some(presented) if presented.fingerprint != bound => {
            Err(Denial::because(Reason::CertificateMismatch, "the token is bound to another certificate"))
        }
        Some(presented) if presented.not_after <= now => Err(Denial::because(
            Reason::CertificateNotAccepted,
            "the certificate that the token is bound to has expired",
        )),
        Some(_) => Ok(()),
    }
}

fn check_networks(identity: &Verified, client: &Client) -> Result<(), Denial> {
    if identity.networks.is_empty() || client.is_in(&identity.networks) {
        return Ok(());
    }
    let (kind, networks, address) = (identity.kind, &identity.networks, client.address);
    Err(Denial::because(Reason::NetworkNotAllowed, format!("{kind} is for {networks:?}, the client is {address}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gate::fixtures;
    use crate::model::ClientCertificate;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn reason(identity: &Verified, client: &Client) -> Option<Reason> {
        match recheck(identity, client, |_, _| true, NOW) {
            Ok(()) => None,
            Err(Objection::Denied(denial)) => Some(denial.reason),
            Err(Objection::KeyGone) => panic!("the key is there"),
        }
    }

    fn token() -> Verified {
        Verified {
            issuer_name: Some("main".into()),
            key_thumbprint: Some([7; 32]),
            ..fixtures::verified(CredentialKind::Jwt)
        }
    }

    fn with_certificate(fingerprint: [u8; 32], not_after: Timestamp) -> Client {
        let certificate = ClientCertificate {
            chain: vec![],
            issuer: String::new(),
            by: [].into(),
            told: crate::model::Told::default(),
            fingerprint,
            uris: vec![],
            dns: vec![],
            emails: vec![],
            subject: String::new(),
            not_after,
        };
        Client { certificate: Some(Arc::new(certificate)), ..fixtures::client("192.0.2.1") }
    }

    #[test]
    fn what_has_ended_or_not_begun_does_not_count() {
        let client = fixtures::client("192.0.2.1");
        let ended = |kind| Verified { expires_at: NOW, kind, ..token() };
        assert_eq!(reason(&token(), &client), None);
        assert_eq!(reason(&ended(CredentialKind::Jwt), &client), Some(Reason::TokenExpired));
        assert_eq!(reason(&ended(CredentialKind::Session), &client), Some(Reason::SessionExpired));
        assert_eq!(reason(&ended(CredentialKind::ApiKey), &client), Some(Reason::ApiKeyExpired));
        assert_eq!(reason(&ended(CredentialKind::Mtls), &client), Some(Reason::CertificateNotAccepted));
        let begins = |at| Verified { not_before: Some(Timestamp(at)), ..token() };
        assert_eq!(reason(&begins(NOW.0), &client), None);
        assert_eq!(reason(&begins(NOW.0 + 1), &client), Some(Reason::TokenNotYetValid));
    }

    #[test]
    fn a_token_whose_key_has_gone_is_to_be_verified_again() {
        let client = fixtures::client("192.0.2.1");
        let has = |name: &str, thumbprint: &[u8; 32]| name == "main" && thumbprint == &[7; 32];
        assert!(recheck(&token(), &client, has, NOW).is_ok());
        let other = Verified { key_thumbprint: Some([8; 32]), ..token() };
        assert!(matches!(recheck(&other, &client, has, NOW), Err(Objection::KeyGone)));
        let none = Verified { key_thumbprint: None, ..token() };
        assert!(matches!(recheck(&none, &client, |_, _| true, NOW), Err(Objection::KeyGone)));
    }

    #[test]
    fn a_bound_token_wants_its_certificate() {
        let bound = Verified { bound_certificate: Some([1; 32]), ..token() };
        let later = NOW.after(std::time::Duration::from_secs(1));
        assert_eq!(reason(&bound, &with_certificate([1; 32], later)), None);
        assert_eq!(reason(&bound, &with_certificate([2; 32], later)), Some(Reason::CertificateMismatch));
        assert_eq!(reason(&bound, &fixtures::client("192.0.2.1")), Some(Reason::CertificateMismatch));
        assert_eq!(reason(&bound, &with_certificate([1; 32], NOW)), Some(Reason::CertificateNotAccepted));
    }

    #[test]
    fn networks_are_checked_at_each_use() {
        let key = Verified { networks: vec!["192.0.2.0/24".parse().unwrap()], ..token() };
        assert_eq!(reason(&key, &fixtures::client("::ffff:192.0.2.1")), None);
        assert_eq!(reason(&key, &fixtures::client("198.51.100.1")), Some(Reason::NetworkNotAllowed));
    }
}
