use super::world::World;
use super::{open, settings};
use crate::crypto::dev_certs::DevCertificates;
use crate::model::Timestamp;
use crate::model::settings::{CertificateFiles, ClientAuth, TlsSettings};

#[test]
fn f54_a_ca_bundle_without_a_certificate_refuses_to_open() {
    let mut world = World::new();
    let tls = world.tls();
    let auth = world.client_auth(true);
    let key = tls.certificates[0].key.clone();
    for (ca, says) in [
        (world.files.write("empty.pem", ""), "holds no certificate"),
        (world.files.write("text.pem", "hello"), "holds no certificate"),
        (key, "holds no certificate"),
        (world.files.0.path().join("absent.pem"), "cannot be read"),
        (
            world.files.write("broken.pem", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
            "not valid PEM",
        ),
        (
            world.files.write("noise.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "no trust anchor",
        ),
    ] {
        let client_auth = Some(ClientAuth { ca: ca.clone(), ..auth.clone() });
        let error = open(settings(Some(TlsSettings { client_auth, ..tls.clone() }))).unwrap_err().to_string();
        assert!(error.starts_with("listener.main: ") && error.contains(says), "{error}");
        assert!(error.contains(&*ca.to_string_lossy()), "{error}");
    }
    let crls = vec![world.files.write("no-crl.pem", "")];
    let client_auth = Some(ClientAuth { crls, ..auth });
    let error = open(settings(Some(TlsSettings { client_auth, ..tls }))).unwrap_err().to_string();
    assert!(error.contains("X509 CRL"), "{error}");
}

#[test]
fn a_certificate_and_a_key_that_cannot_serve_refuse_to_open() {
    let mut world = World::new();
    let (one, two) = (world.certificate("one", &["a"]), world.certificate("two", &["b"]));
    let text = world.files.write("text", "hello");
    let locked = world
        .files
        .write("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let absent = world.files.0.path().join("absent");
    for (chain, key, says) in [
        (&one.chain, &two.key, "does not belong to"),
        (&absent, &one.key, "cannot be read"),
        (&one.chain, &absent, "cannot be read"),
        (&text, &one.key, "holds no certificate"),
        (&one.chain, &text, "holds no private key"),
        (&one.chain, &one.chain, "holds no private key"),
        (&one.chain, &locked, "is encrypted"),
    ] {
        let certificates = vec![CertificateFiles { chain: chain.clone(), key: key.clone() }];
        let tls = TlsSettings { certificates, client_auth: None, hosts: Vec::new(), tls12: true };
        let error = open(settings(Some(tls))).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    let none = TlsSettings { certificates: Vec::new(), client_auth: None, hosts: Vec::new(), tls12: true };
    assert!(open(settings(Some(none))).unwrap_err().to_string().contains("tls.certificates is empty"));
}

#[test]
fn an_expired_certificate_still_opens() {
    let mut world = World::new();
    world.ca = DevCertificates::new(Timestamp::from_secs(1_600_000_000)).unwrap();
    let tls = world.tls();
    open(settings(Some(tls))).unwrap();
}
