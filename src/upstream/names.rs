//! Which certificates an endpoint may have, where that is not a matter of its host (SPIFFE, above all).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError};
use rustls_pki_types::ServerName;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::model::settings::CertifiedName;

/// The scheme of SPIFFE IDs.
const SPIFFE: &str = "spiffe:";

/// The names of which a certificate must carry one.
#[derive(Debug)]
pub(super) struct Names {
    wanted: Vec<CertifiedName>,
    hosts: Vec<ServerName<'static>>,
}

impl Names {
    pub(super) fn new(wanted: &[CertifiedName]) -> Result<Self, String> {
        let hosts = wanted.iter().filter_map(|name| match name {
            CertifiedName::Host(host) => Some(host),
            CertifiedName::Uri(_) => None,
        });
        let host = |host: &Arc<str>| {
            ServerName::try_from(host.to_string()).map_err(|_| format!("`{host}` is no DNS name and no address"))
        };
        Ok(Self { wanted: wanted.to_vec(), hosts: hosts.map(host).collect::<Result<_, _>>()? })
    }

    /// Whether a certificate, whose chain is another matter, carries one of them: a URI as it stands or as a pattern has
    /// it, a DNS name (RFC 9525: in its SAN, a wildcard for one whole label) or an address.
    pub(super) fn check(&self, certificate: &ParsedCertificate<'_>, der: &[u8]) -> Result<(), Error> {
        let carried = Carried::of(der).ok_or(CertificateError::BadEncoding)?;
        let by_uri = self.wanted.iter().any(|wanted| match wanted {
            CertifiedName::Uri(pattern) => carried.has_uri(pattern),
            CertifiedName::Host(_) => false,
        });
        if by_uri || self.hosts.iter().any(|host| verify_server_name(certificate, host).is_ok()) {
            return Ok(());
        }
        let wanted = self.wanted.iter().map(ToString::to_string).collect();
        let why = WrongName { wanted, carried: carried.all() };
        Err(CertificateError::Other(OtherError(Arc::new(why))).into())
    }
}

/// A certificate is somebody else's.
#[derive(Debug, thiserror::Error)]
struct WrongName {
    wanted: Vec<String>,
    carried: Vec<String>,
}

impl fmt::Display for WrongName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let carried = if self.carried.is_empty() { "no name".to_owned() } else { self.carried.join(", ") };
        write!(f, "the certificate has {carried}; wanted is {}", self.wanted.join(" or "))
    }
}

/// The names in a certificate's SAN.
struct Carried {
    uris: Vec<String>,
    hosts: Vec<String>,
}

/// Most names that an error tells.
const TOLD: usize = 8;

impl Carried {
    /// `None` where a name holds NUL, another control character or what is not ASCII: it would mean one thing here and
    /// another where it is cut short (f53).
    fn of(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let (mut uris, mut hosts) = (Vec::new(), Vec::new());
        if let Some(names) = certificate.subject_alternative_name().ok()? {
            for name in &names.value.general_names {
                match name {
                    GeneralName::URI(text) => uris.push(clean(text)?),
                    GeneralName::DNSName(text) => hosts.push(clean(text)?),
                    GeneralName::RFC822Name(text) => drop(clean(text)?),
                    GeneralName::IPAddress(octets) => hosts.extend(address(octets)),
                    GeneralName::Invalid(..) => return None,
                    _ => {}
                }
            }
        }
        Some(Self { uris, hosts })
    }

    /// A certificate with a SPIFFE ID has no other URI (X.509-SVID, section 2); one that has is nobody's.
    fn has_uri(&self, pattern: &str) -> bool {
        if pattern.starts_with(SPIFFE) && self.uris.len() != 1 {
            return false;
        }
        self.uris.iter().any(|uri| matches(pattern, uri))
    }

    fn all(self) -> Vec<String> {
        self.uris.into_iter().chain(self.hosts).take(TOLD).collect()
    }
}

fn clean(text: &str) -> Option<String> {
    text.bytes().all(|b| b.is_ascii_graphic()).then(|| text.to_owned())
}

fn address(octets: &[u8]) -> Option<String> {
    let v4 = || <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
    v4().or_else(|_| v6()).ok().map(|address| address.to_string())
}

/// Byte for byte, but that a segment `*` stands for any one segment: never for a part of one, for none or for several.
fn matches(pattern: &str, uri: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), uri.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if is_segment(segment) => {}
            (Some(wanted), Some(segment)) if wanted != "*" && wanted == segment => {}
            _ => return false,
        }
    }
}

/// As a SPIFFE ID may have them: letters, digits, `.`, `-` and `_`, and nothing that a reader of paths would take away.
fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_whole_segment() {
        let pattern = "spiffe://prod/ns/*/sa/orders";
        for good in ["spiffe://prod/ns/shop/sa/orders", "spiffe://prod/ns/a.b-c_9/sa/orders"] {
            assert!(matches(pattern, good), "{good}");
        }
        for bad in [
            "spiffe://prod/ns/sa/orders",
            "spiffe://prod/ns//sa/orders",
            "spiffe://prod/ns/a/b/sa/orders",
            "spiffe://prod/ns/../sa/orders",
            "spiffe://prod/ns/./sa/orders",
            "spiffe://prod/ns/*/sa/orders",
            "spiffe://prod/ns/a%2Fb/sa/orders",
            "spiffe://prod/ns/a?b/sa/orders",
            "spiffe://prod/ns/shop/sa/orders/",
            "spiffe://prod/ns/shop/sa/orders2",
            "spiffe://prod/ns/shop/sa/order",
            "spiffe://Prod/ns/shop/sa/orders",
            "spiffe://prod.evil/ns/shop/sa/orders",
            "spiffe://evil/spiffe://prod/ns/shop/sa/orders",
        ] {
            assert!(!matches(pattern, bad), "{bad}");
        }
        assert!(matches("spiffe://prod/*", "spiffe://prod/a") && !matches("spiffe://prod/*", "spiffe://prod/a/b"));
        assert!(!matches("spiffe://prod/*", "spiffe://prod/") && !matches("spiffe://prod/*", "spiffe://prod"));
    }
}
