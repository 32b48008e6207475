use std::io;
use std::time::Duration;

use rcgen::{CertificateParams, SanType};
use rustls_pki_types::pem::PemObject;

use super::*;
use crate::crypto::dev_certs::{DevCertificate, DevCertificates};
use crate::model::{Clock, SystemClock, Timestamp};

fn names(texts: &[&str]) -> Vec<CertifiedName> {
    let name = |text: &&str| match text.contains(':') && !text.starts_with("::") {
        true => CertifiedName::Uri(Arc::from(*text)),
        false => CertifiedName::Host(Arc::from(*text)),
    };
    texts.iter().map(name).collect()
}

struct World {
    ca: DevCertificates,
    roots: Arc<RootCertStore>,
}

impl World {
    fn new() -> Self {
        let ca = DevCertificates::new(SystemClock.now()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.ca_pem().as_bytes()).unwrap()).unwrap();
        Self { ca, roots: Arc::new(roots) }
    }

    fn server(&mut self, sans: Vec<SanType>) -> DevCertificate {
        self.ca.server_with("endpoint.example", sans).unwrap()
    }

    /// Whether a certificate is good for one of `wanted`, where these lists are known (PEM); why not, as it is logged.
    fn verified(
        &self,
        made: &DevCertificate,
        wanted: &[&str],
        revoked: &[String],
        at: Timestamp,
    ) -> Result<(), String> {
        let list = |pem: &String| CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap();
        let trust = Trust { roots: self.roots.clone(), revoked: revoked.iter().map(list).collect() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = verifier(&trust, &names(wanted), &provider).unwrap();
        let der = CertificateDer::from_pem_slice(made.chain_pem.as_bytes()).unwrap();
        let host = ServerName::try_from("endpoint.example").unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at.as_secs()));
        let outcome = verifier.verify_server_cert(&der, &[], &host, &[], now);
        outcome.map(drop).map_err(|why| told(&io::Error::new(io::ErrorKind::InvalidData, why)))
    }
}

fn verified(wanted: &[&str], sans: Vec<SanType>) -> Result<(), String> {
    let mut world = World::new();
    let made = world.server(sans);
    world.verified(&made, wanted, &[], SystemClock.now())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// DNS names and addresses.
fn host(text: &str) -> SanType {
    CertificateParams::new(vec![text.to_owned()]).unwrap().subject_alt_names.remove(0)
}

const ORDERS: &str = "spiffe://prod/ns/shop/sa/orders";

#[test]
fn one_of_the_names_is_needed_and_a_chain_that_is_trusted() {
    for (wanted, sans) in [
        (&[ORDERS][..], vec![uri(ORDERS)]),
        (&["spiffe://prod/ns/*/sa/orders"], vec![uri(ORDERS)]),
        (&["other.example", ORDERS], vec![host("x.example"), uri(ORDERS)]),
        (&["orders.internal"], vec![host("orders.internal")]),
        (&["orders.internal"], vec![host("ORDERS.internal")]),
        (&["orders.shop.internal"], vec![host("*.shop.internal")]),
        (&["192.0.2.7"], vec![host("192.0.2.7")]),
        (&["::1"], vec![host("::1")]),
        (&["urn:app:orders"], vec![uri("urn:app:orders"), uri("urn:app:other")]),
    ] {
        assert_eq!(verified(wanted, sans.clone()), Ok(()), "{wanted:?} {sans:?}");
    }
    let (mut one, other) = (World::new(), World::new());
    let made = one.server(vec![uri(ORDERS)]);
    let stranger = other.verified(&made, &[ORDERS], &[], SystemClock.now());
    assert!(stranger.unwrap_err().contains("UnknownIssuer"));
}

#[test]
fn what_is_nearly_a_name_is_none_and_both_sides_are_told() {
    for (wanted, sans, found) in [
        (ORDERS, vec![uri("spiffe://prod/ns/shop/sa/order")], "spiffe://prod/ns/shop/sa/order"),
        (ORDERS, vec![uri("spiffe://prod/ns/shop/sa/orders/x")], "spiffe://prod/ns/shop/sa/orders/x"),
        (ORDERS, vec![uri("SPIFFE://prod/ns/shop/sa/orders")], "SPIFFE://prod/ns/shop/sa/orders"),
        (ORDERS, vec![uri(ORDERS), uri("spiffe://prod/second")], "spiffe://prod/second"),
        ("spiffe://prod/ns/*", vec![uri(ORDERS)], ORDERS),
        ("orders.internal", vec![host("endpoint.example")], "endpoint.example"),
        ("orders.internal", vec![uri("spiffe://orders.internal")], "spiffe://orders.internal"),
        ("a.b.shop.internal", vec![host("*.shop.internal")], "*.shop.internal"),
        ("shop.internal", vec![host("*.shop.internal")], "*.shop.internal"),
        ("orders.shop.internal", vec![host("o*.shop.internal")], "o*.shop.internal"),
        ("192.0.2.7", vec![host("192.0.2.8")], "192.0.2.8"),
        ("192.0.2.7", vec![SanType::DnsName("192.0.2.7".try_into().unwrap())], "192.0.2.7"),
        ("orders.internal", vec![], "no name"),
    ] {
        let why = verified(&[wanted], sans).unwrap_err();
        assert!(why.contains(&format!("has {found}")) || why.contains(&format!(", {found};")), "{wanted}: {why}");
        assert!(why.contains(&format!("wanted is {wanted}")), "{why}");
    }
}

#[test]
fn a_common_name_is_no_name() {
    for wanted in [&["endpoint.example"][..], &[]] {
        assert!(verified(wanted, vec![]).is_err(), "{wanted:?}");
        assert_eq!(verified(wanted, vec![host("endpoint.example")]), Ok(()));
    }
    let why = verified(&[], vec![host("other.example")]).unwrap_err();
    assert!(why.contains("endpoint.example") && why.contains("other.example"), "both sides are told: {why}");
}

#[test]
fn f53_a_name_with_nul_makes_a_certificate_good_for_nothing() {
    for bad in ["spiffe://prod/x\0.evil", "spiffe://prod/x\r\n", "spiffe://prod/x\u{7f}"] {
        assert!(verified(&["a.example"], vec![host("a.example"), uri(bad)]).is_err(), "{bad:?}");
        assert!(verified(&["spiffe://prod/x"], vec![uri(bad)]).is_err(), "{bad:?}");
    }
}

#[test]
fn a_certificate_counts_for_as_long_as_it_says() {
    let mut world = World::new();
    let made = world.server(vec![uri(ORDERS)]);
    let now = SystemClock.now();
    let (early, late) = (now.before(Duration::from_secs(7200)), now.after(Duration::from_secs(91 * 86_400)));
    for (wanted, name) in [(&[ORDERS][..], "by name"), (&[], "by host")] {
        let why = |at| world.verified(&made, wanted, &[], at).unwrap_err();
        assert!(why(late).contains("expired"), "{name}: {}", why(late));
        assert!(why(early).contains("not valid yet"), "{name}: {}", why(early));
    }
    let der = CertificateDer::from_pem_slice(made.chain_pem.as_bytes()).unwrap();
    let until = not_after(&der).unwrap();
    assert!((now.as_secs() + 89 * 86_400..late.as_secs()).contains(&until), "{until}");
}

#[test]
fn a_revoked_certificate_is_refused_whether_by_host_or_by_name() {
    let mut world = World::new();
    let sans = || vec![uri(ORDERS), host("endpoint.example")];
    let (good, bad, elsewhere) = (world.server(sans()), world.server(sans()), world.server(vec![uri(ORDERS)]));
    let gone = world.server(vec![uri(ORDERS)]);
    let now = SystemClock.now();
    let list = [world.ca.revocation_list(&[&bad, &gone]).unwrap()];
    for wanted in [&[ORDERS][..], &[]] {
        assert_eq!(world.verified(&good, wanted, &list, now), Ok(()));
        assert_eq!(world.verified(&bad, wanted, &[], now), Ok(()), "nothing is known of it");
        assert_eq!(world.verified(&bad, wanted, &list, now), Err("invalid peer certificate: Revoked".to_owned()));
    }
    // One whose host is another: the lists count all the same.
    assert_eq!(world.verified(&elsewhere, &[ORDERS], &list, now), Ok(()));
    assert_eq!(world.verified(&gone, &[ORDERS], &list, now), Err("invalid peer certificate: Revoked".to_owned()));
    assert!(world.verified(&elsewhere, &["spiffe://prod/other"], &list, now).is_err());
}

#[test]
fn a_list_that_has_expired_or_is_missing_vouches_for_nobody() {
    let mut world = World::new();
    let made = world.server(vec![uri(ORDERS), host("endpoint.example")]);
    let now = SystemClock.now();
    let old = [world.ca.revocation_list_of(now.before(Duration::from_secs(100 * 86_400)), &[]).unwrap()];
    let others = [World::new().ca.revocation_list(&[]).unwrap()];
    for wanted in [&[ORDERS][..], &[]] {
        let why = |lists: &[String]| world.verified(&made, wanted, lists, now).unwrap_err();
        assert!(why(&old).contains("xpired"), "{}", why(&old));
        assert!(why(&others).contains("evocation"), "{}", why(&others));
    }
}
