//! What an upstream is told of the client's certificate: `X-Forwarded-Client-Cert` as Envoy writes it, and `Client-Cert`
//! with `Client-Cert-Chain` (RFC 9440). Each value is made once for a connection.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::crypto::digest::hex;
use crate::model::ClientCertificate;
use crate::model::settings::{CertificateHeaders, Xfcc};

const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// What RFC 3986 leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Sets what is to be told. What clients have said under these names must be gone already.
pub(in crate::gate) fn set(what: CertificateHeaders, certificate: &ClientCertificate, headers: &mut HeaderMap) {
    let told = &certificate.told;
    let mut tell = |name: HeaderName, value: &Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    };
    if let Some(xfcc) = what.xfcc {
        let [plain, cert, chain, both] = &told.xfcc;
        let cell = match (xfcc.cert, xfcc.chain) {
            (false, false) => plain,
            (true, false) => cert,
            (false, true) => chain,
            (true, true) => both,
        };
        tell(XFCC, cell.get_or_init(|| element(xfcc, certificate)));
    }
    if what.client_cert {
        let value = || certificate.chain.first().and_then(|der| HeaderValue::try_from(byte_sequence(der)).ok());
        tell(CLIENT_CERT, told.client_cert.get_or_init(value));
    }
    if what.client_cert_chain {
        tell(CLIENT_CERT_CHAIN, told.client_cert_chain.get_or_init(|| chain(certificate)));
    }
}

/// A list of byte sequences (RFC 8941): what the client has sent after its own certificate, in that order.
fn chain(certificate: &ClientCertificate) -> Option<HeaderValue> {
    let others: Vec<String> = certificate.chain.iter().skip(1).map(|der| byte_sequence(der)).collect();
    if others.is_empty() { None } else { HeaderValue::try_from(others.join(", ")).ok() }
}

fn byte_sequence(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// One element: pairs in Envoy's order.
fn element(what: Xfcc, certificate: &ClientCertificate) -> Option<HeaderValue> {
    let mut pairs: Vec<String> = Vec::new();
    let names = |key: &str, values: &[String], pairs: &mut Vec<String>| {
        pairs.extend(values.iter().filter_map(|value| Some(format!("{key}={}", quoted(value)?))));
    };
    names("By", &certificate.by, &mut pairs);
    pairs.push(format!("Hash={}", hex(&certificate.fingerprint)));
    if what.cert {
        pairs.push(format!("Cert=\"{}\"", pem(certificate.chain.iter().take(1))));
    }
    if what.chain {
        pairs.push(format!("Chain=\"{}\"", pem(&certificate.chain)));
    }
    pairs.push(format!("Subject=\"{}\"", distinguished_name(&certificate.subject)));
    names("URI", &certificate.uris, &mut pairs);
    names("DNS", &certificate.dns, &mut pairs);
    HeaderValue::try_from(pairs.join(";")).ok()
}

/// A name, in quotes where it holds a separator. `None` for one that readers could take for something else, or for more
/// than one pair: quotes, backslashes, spaces and whatever is not ASCII are in no URI and no host name.
fn quoted(name: &str) -> Option<String> {
    let clean = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    let separates = name.contains([',', ';', '=']);
    clean.then(|| if separates { format!("\"{name}\"") } else { name.to_owned() })
}

/// A distinguished name of RFC 4514 in which only hexadecimal pairs follow a backslash (section 2.4), so that it has no
/// quotation mark, which would have to be escaped a second time, and nothing but ASCII.
fn distinguished_name(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut escaped = false;
    for byte in name.bytes() {
        if byte == b'\\' && !escaped {
            escaped = true;
            continue;
        }
        if escaped || !(byte.is_ascii_graphic() || byte == b' ') || byte == b'"' {
            let _infallible = write!(text, "\\{byte:02X}");
        } else {
            text.push(char::from(byte));
        }
        escaped = false;
    }
    text
}

/// PEM, percent-encoded.
fn pem<'a>(certificates: impl IntoIterator<Item = &'a rustls_pki_types::CertificateDer<'static>>) -> String {
    const LINE: usize = 64;
    let mut text = String::new();
    for der in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(der);
        let mut rest = encoded.as_str();
        while let Some((line, after)) = rest.split_at_checked(LINE.min(rest.len())).filter(|(line, _)| !line.is_empty())
        {
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    utf8_percent_encode(&text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;
    use crate::model::{Timestamp, Told};

    fn certificate(subject: &str, uris: &[&str], dns: &[&str], by: &[&str]) -> ClientCertificate {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        ClientCertificate {
            chain: vec![vec![1; 100].into(), vec![2; 3].into(), vec![3; 4].into()],
            fingerprint: [0xab; 32],
            uris: owned(uris),
            dns: owned(dns),
            emails: vec![],
            subject: subject.to_owned(),
            issuer: String::new(),
            not_after: Timestamp(5_000),
            by: owned(by).into(),
            told: Told::default(),
        }
    }

    fn told(what: CertificateHeaders, certificate: &ClientCertificate) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        set(what, certificate, &mut headers);
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    fn xfcc(what: Xfcc, certificate: &ClientCertificate) -> String {
        let told = told(CertificateHeaders { xfcc: Some(what), ..CertificateHeaders::default() }, certificate);
        let [(name, value)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(name, "x-forwarded-client-cert");
        value.clone()
    }

    const NAMES: Xfcc = Xfcc { cert: false, chain: false };

    #[test]
    fn an_element_is_as_envoy_writes_it() {
        let certificate = certificate(
            "CN=Test Client,OU=Lyft,ST=CA",
            &["spiffe://a/client", "https://b"],
            &["client.example"],
            &["spiffe://a/server"],
        );
        assert_eq!(
            xfcc(NAMES, &certificate),
            format!(
                "By=spiffe://a/server;Hash={};Subject=\"CN=Test Client,OU=Lyft,ST=CA\";URI=spiffe://a/client;URI=https://b;DNS=client.example",
                "ab".repeat(32)
            )
        );
    }

    #[test]
    fn certificate_and_chain_are_pem_that_is_percent_encoded() {
        let certificate = certificate("CN=a", &[], &[], &[]);
        for (cert, chain) in [(true, false), (false, true), (true, true)] {
            let text = xfcc(Xfcc { cert, chain }, &certificate);
            for (key, there, count) in [("Cert", cert, 1), ("Chain", chain, 3)] {
                let found =
                    text.split(';').find_map(|pair| pair.strip_prefix(key)?.strip_prefix("=\"")?.strip_suffix('"'));
                assert_eq!(found.is_some(), there, "{text}");
                let Some(found) = found else { continue };
                let pem = percent_encoding::percent_decode_str(found).decode_utf8().unwrap().into_owned();
                let read: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
                assert_eq!(read, certificate.chain[..count]);
            }
        }
    }

    #[test]
    fn f06_no_name_ends_its_pair_or_begins_another() {
        let evil = "spiffe://a/x;URI=spiffe://a/admin,By=\"z\"";
        let names = [evil, "spiffe://a/b;URI=spiffe://a/admin", "a\\", "a b", "ä", "a\r\nX-User: admin", ""];
        let certificate = certificate("CN=a\\\";URI=spiffe://a/admin;X=\\\"\\\\,O=Zoë \\, Co", &names, &names, &names);
        let text = xfcc(NAMES, &certificate);
        let subject = r#"Subject="CN=a\22;URI=spiffe://a/admin;X=\22\5C,O=Zo\C3\AB \2C Co""#;
        let name = "\"spiffe://a/b;URI=spiffe://a/admin\"";
        assert_eq!(text, format!("By={name};Hash={};{subject};URI={name};DNS={name}", "ab".repeat(32)));
    }

    #[test]
    fn client_cert_and_its_chain_are_byte_sequences() {
        let with = |client_cert, client_cert_chain| CertificateHeaders { client_cert, client_cert_chain, xfcc: None };
        let mut certificate = certificate("CN=a", &[], &[], &[]);
        let own = ("client-cert".to_owned(), format!(":{}:", STANDARD.encode([1; 100])));
        let chain = ("client-cert-chain".to_owned(), ":AgIC:, :AwMDAw==:".to_owned());
        assert_eq!(told(with(true, false), &certificate), std::slice::from_ref(&own));
        assert_eq!(told(with(true, true), &certificate), [own.clone(), chain]);
        certificate.chain.truncate(1);
        certificate.told = Told::default();
        assert_eq!(told(with(true, true), &certificate), [own]);
        assert_eq!(told(CertificateHeaders::default(), &certificate), []);
    }
}
