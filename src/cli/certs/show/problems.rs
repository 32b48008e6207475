//! What is wrong with the certificates of a file.

use std::time::Duration;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::view::{CertificateView, KeyView, ListView};
use crate::crypto::signed::signed_certificate;
use crate::model::Timestamp;
use crate::model::expiry::InWords;

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// For programs: one word for each kind.
    pub(super) problem: &'static str,
    /// For people.
    pub(super) message: String,
}

/// What the certificates of a file are held against.
pub(super) struct Expected<'a> {
    pub(super) now: Timestamp,
    /// Those to trust, and what the file is called that they stand in.
    pub(super) trusted: Option<(&'a RootCertStore, &'a str)>,
    pub(super) host: Option<(&'a ServerName<'static>, &'a str)>,
    /// How long they must at least be good for.
    pub(super) within: Option<Duration>,
}

pub(super) fn problem(problem: &'static str, message: impl Into<String>) -> Problem {
    Problem { problem, message: message.into() }
}

/// Certificates in the order of their file. `keys`: those that should belong to the first.
pub(super) fn of_certificates(
    certificates: &[CertificateView],
    keys: &[KeyView],
    expected: &Expected<'_>,
) -> Vec<Problem> {
    let mut found = Vec::new();
    for (at, certificate) in certificates.iter().enumerate() {
        found.extend(of_one(at + 1, certificate, expected));
    }
    let Some((first, others)) = certificates.split_first() else { return found };
    let is_bundle = certificates.iter().all(|certificate| certificate.ca);
    if is_bundle && keys.is_empty() && expected.host.is_none() {
        return found;
    }
    found.extend(of_keys(certificates, keys));
    if first.ca {
        let message = if is_bundle {
            "certificate 1 is that of a CA; a server or client wants one of its own"
        } else {
            "certificate 1 is that of a CA; the one of the server or client itself must come first"
        };
        found.push(problem(if is_bundle { "leaf_is_ca" } else { "order" }, message));
    } else if first.names.is_empty() {
        found
            .push(problem("no_names", "certificate 1 has no subject alternative name: its subject counts for nothing"));
    }
    found.extend(of_order(certificates));
    if let Some(last) = others.last().filter(|last| last.self_issued && last.ca) {
        let message =
            format!("certificate {} (`{}`) is a root: who trusts it has it already", certificates.len(), last.subject);
        found.push(problem("superfluous_root", message));
    }
    if let Some(trusted) = expected.trusted {
        found.extend(of_trust(first, others, trusted, expected.now));
    }
    if let Some((host, name)) = expected.host {
        let parsed = ParsedCertificate::try_from(&first.der);
        if !parsed.is_ok_and(|parsed| verify_server_name(&parsed, host).is_ok()) {
            found.push(problem("host", format!("certificate 1 is not for `{name}`")));
        }
    }
    found
}

pub(super) fn of_list(list: &ListView) -> Option<Problem> {
    match list.current_for_seconds {
        Some(left) if left <= 0 => {
            let ago = InWords(Duration::from_secs(left.unsigned_abs()));
            let message =
                format!("the list of `{}` is out of date since {ago}: what it could name is refused", list.issuer);
            Some(problem("list_expired", message))
        }
        _ => None,
    }
}

fn of_one(number: usize, certificate: &CertificateView, expected: &Expected<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |kind, what: String| found.push(problem(kind, format!("certificate {number} {what}")));
    let words = |seconds: i64| InWords(Duration::from_secs(seconds.unsigned_abs()));
    let left = certificate.expires_in_seconds;
    if left <= 0 {
        add("expired", format!("has expired {} ago", words(left)));
    } else if certificate.begins_in_seconds > 0 {
        add("not_yet_valid", format!("is valid only in {}", words(certificate.begins_in_seconds)));
    } else if expected.within.is_some_and(|within| u64::try_from(left).is_ok_and(|left| left < within.as_secs())) {
        add("expires_soon", format!("expires in {}", words(left)));
    }
    if certificate.is_weakly_signed() {
        add("weak_signature", format!("is signed by {}, which can be forged", certificate.signature));
    }
    if certificate.weak_key {
        add("weak_key", format!("has a key that is too small: {}", certificate.public_key));
    }
    if !certificate.is_clean {
        add("unclean_name", "has a name with characters that others cut short or read differently".to_owned());
    }
    found
}

fn of_keys(certificates: &[CertificateView], keys: &[KeyView]) -> Vec<Problem> {
    let mut found = Vec::new();
    for key in keys {
        match certificates.iter().position(|certificate| certificate.spki == key.spki) {
            Some(0) => {}
            Some(at) => {
                let message = format!("the key is that of certificate {}; its certificate must come first", at + 1);
                found.push(problem("order", message));
            }
            None => found.push(problem("key_mismatch", "the key belongs to none of the certificates")),
        }
    }
    found
}

/// Each must be signed by the one after it.
fn of_order(certificates: &[CertificateView]) -> Vec<Problem> {
    let is_signed_by = |one: &CertificateView, other: &CertificateView| {
        let (Ok((_, one)), Ok((_, other))) =
            (X509Certificate::from_der(&one.der), X509Certificate::from_der(&other.der))
        else {
            return false;
        };
        signed_certificate(&other, &one)
    };
    let mut found = Vec::new();
    for (at, pair) in certificates.windows(2).enumerate() {
        let [one, next] = pair else { continue };
        if is_signed_by(one, next) {
            continue;
        }
        let elsewhere = certificates.iter().position(|other| other.der != one.der && is_signed_by(one, other));
        let (number, following) = (at + 1, at + 2);
        found.push(if one.self_issued {
            problem("order", format!("certificate {following} does not belong behind certificate {number}, a root"))
        } else if is_signed_by(next, one) {
            problem(
                "order",
                format!("certificate {following} is signed by certificate {number}, and must come before it"),
            )
        } else if let Some(issuer) = elsewhere {
            let message = format!("certificate {number} is signed by certificate {}, which must follow it", issuer + 1);
            problem("order", message)
        } else if one.issuer == next.subject {
            let message =
                format!("certificate {following} has the name, but not the key that certificate {number} is signed by");
            problem("wrong_issuer", message)
        } else {
            let message = format!("`{}`, which has signed certificate {number}, is not there", one.issuer);
            problem("missing_intermediate", message)
        });
    }
    found
}

fn of_trust(
    first: &CertificateView,
    others: &[CertificateView],
    (roots, file): (&RootCertStore, &str),
    now: Timestamp,
) -> Option<Problem> {
    let intermediates: Vec<CertificateDer<'_>> = others.iter().map(|other| other.der.clone()).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
    let has = |purpose: &str| first.extended_key_usage.iter().any(|usage| usage == purpose);
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let outcome = if has("client") && !has("server") {
        WebPkiClientVerifier::builder_with_provider(std::sync::Arc::new(roots.clone()), provider)
            .build()
            .map_err(|problem| rustls::Error::General(problem.to_string()))
            .and_then(|verifier| verifier.verify_client_cert(&first.der, &intermediates, now).map(drop))
    } else {
        let algorithms = provider.signature_verification_algorithms.all;
        ParsedCertificate::try_from(&first.der).and_then(|parsed| {
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, &intermediates, now, algorithms)
        })
    };
    let problem_of = |message: String| Some(problem("untrusted", message));
    match outcome {
        Ok(()) => None,
        Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            let last = others.last().unwrap_or(first);
            problem_of(format!(
                "nothing leads from certificate 1 to `{file}`: `{}` is not there, or is another of that name; an \
                 intermediate is missing, or this is another CA",
                last.issuer
            ))
        }
        // Said already.
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => None,
        Err(other) => problem_of(format!("by `{file}` it is refused: {other}")),
    }
}
