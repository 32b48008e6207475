//! Certificates as far as revoking them needs it.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::digest::{hex, sha256};
use crate::model::Timestamp;

/// The first certificate of a PEM text, which is that of the holder where there is a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The SHA-256 of its DER, in lower-case hexadecimal digits.
    pub fingerprint: String,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Reads the first certificate of a PEM text. `None` where there is none that can be read.
pub fn leaf(pem: &[u8]) -> Option<Leaf> {
    let der = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let (rest, certificate) = X509Certificate::from_der(&der).ok()?;
    let end = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    let not_after = Timestamp::from_secs(end);
    rest.is_empty().then(|| Leaf { fingerprint: hex(&sha256(&der)), not_after })
}

/// A SHA-256 fingerprint, in either case and with or without colons between its bytes, as 64 lower-case digits.
pub fn fingerprint(text: &str) -> Option<String> {
    let digits = match text.len() {
        64 => text.to_owned(),
        95 => {
            let bytes: Vec<_> = text.split(':').collect();
            if bytes.iter().any(|byte| byte.len() != 2) {
                return None;
            }
            bytes.concat()
        }
        _ => return None,
    };
    let whole = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| digits.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::dev_certs::DevCertificates;

    #[test]
    fn a_fingerprint_is_written_in_several_ways_and_means_one() {
        let plain = "0f".repeat(32);
        let colons = ["0F"; 32].join(":");
        for text in [&plain, &plain.to_uppercase(), &colons, &colons.to_lowercase()] {
            assert_eq!(fingerprint(text).as_ref(), Some(&plain), "{text}");
        }
    }

    #[test]
    fn what_is_no_sha_256_is_none() {
        let plain = "0f".repeat(32);
        let sha1 = "0f".repeat(20);
        let odd = format!(":{}", ["0F"; 32].join(":").trim_end_matches('F'));
        let foreign = plain.replacen('f', "é", 1);
        for text in ["", &sha1, &plain[1..], &format!("{plain}0"), &odd, &plain.replace('f', "g"), &foreign] {
            assert_eq!(fingerprint(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_certificate_of_a_chain_is_the_holders() {
        let mut ca = DevCertificates::new(Timestamp::from_secs(1_700_000_000)).unwrap();
        let client = ca.client("orders", &["spiffe://a/b"], &[]).unwrap();
        let alone = leaf(client.chain_pem.as_bytes()).unwrap();
        assert!(alone.not_after > Timestamp::from_secs(1_700_000_000));
        let chain = format!("{}{}", client.chain_pem, ca.ca_pem());
        assert_eq!(leaf(chain.as_bytes()), Some(alone.clone()));
        assert_ne!(leaf(ca.ca_pem().as_bytes()), Some(alone));
        assert_eq!(leaf(client.key_pem.expose().as_bytes()), None);
        assert_eq!(leaf(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), None);
    }
}
