//! Keys and signatures that are good enough: Baseline Requirements, sections 6.1.5, 6.1.6 and 7.1.3.

use super::case::{Case, all};
use super::der::{bits, element, integer, oid, sequence};
use super::keys::Key;
use super::makers::Issued;

/// SubjectPublicKeyInfo of RSA with this exponent.
fn rsa_with_exponent(exponent: &[u8]) -> Vec<u8> {
    let modulus = [&[0][..], &[0xc5; 256]].concat();
    let algorithm = sequence(&[&oid("1.2.840.113549.1.1.1"), &element(5, &[])]);
    sequence(&[&algorithm, &bits(&sequence(&[&integer(&modulus), &integer(exponent)]))])
}

#[test]
fn strong_keys_of_every_kind_are_taken() {
    let root = Issued::root("root");
    let all_rsa = Issued::root_with("rsa root", Key::rsa(2048), |_| {});
    let all_p384 = Issued::root_with("p384 root", Key::p384(), |_| {});
    let all_edwards = Issued::root_with("ed25519 root", Key::ed25519(), |_| {});
    let client = |ca: &Issued, key: Key| ca.client_with(key, |_| {});
    all(vec![
        Case::new("p256", &[&root], &[&client(&root, Key::p256())]),
        Case::new("p384", &[&all_p384], &[&client(&all_p384, Key::p384())]),
        Case::new("p521", &[&root], &[&client(&root, Key::curve("P-521"))]),
        Case::new("ed25519", &[&all_edwards], &[&client(&all_edwards, Key::ed25519())]),
        Case::new("rsa_2048", &[&all_rsa], &[&client(&all_rsa, Key::rsa(2048))]),
        Case::new("rsa_4096", &[&root], &[&client(&root, Key::rsa(4096))]),
        Case::new("rsa_2048_tls12", &[&all_rsa], &[&client(&all_rsa, Key::rsa(2048))]).over_tls12(),
    ]);
}

#[test]
fn weak_keys_are_refused_wherever_they_are() {
    let root = Issued::root("root");
    let weak_root = Issued::root_with("weak root", Key::rsa(1024), |_| {});
    let weak_ca = root.authority_with("weak ca", Key::rsa(1024), |_| {});
    let exponent = |exponent: &'static [u8]| root.client_but(|fields| fields.public = rsa_with_exponent(exponent));
    let refused = |name, reason, client: &Issued| Case::new(name, &[&root], &[client]).refused(reason);
    let weak = |name, client: &Issued| refused(name, "weak_key", client);
    all(vec![
        weak("client_of_1024_bits", &root.client_with(Key::rsa(1024), |_| {})),
        weak("client_of_1536_bits", &root.client_with(Key::rsa(1536), |_| {})),
        weak("exponent_1", &exponent(&[1])),
        weak("exponent_even", &exponent(&[1, 0, 0])),
        Case::new("ca_of_1024_bits", &[&root], &[&weak_ca.client(), &weak_ca]).refused("weak_key"),
        Case::new("root_of_1024_bits", &[&weak_root], &[&weak_root.client()]).refused("weak_key"),
        refused("secp256k1", "signature_algorithm", &root.client_with(Key::curve("secp256k1"), |_| {})),
        refused("p192", "signature_algorithm", &root.client_with(Key::curve("prime192v1"), |_| {})),
    ]);
}

#[test]
fn signatures_with_broken_digests_are_refused() {
    let key = Key::rsa(2048);
    let root = Issued::root_with("rsa root", key.clone(), |_| {});
    let ca = |digest| Issued { key: key.digesting(digest), ..root.clone() };
    let elliptic = Issued::root("root");
    let elliptic_sha1 = Issued { key: elliptic.key.digesting("sha1"), ..elliptic.clone() };
    let weak =
        |name, root: &Issued, client: &Issued| Case::new(name, &[root], &[client]).refused("signature_algorithm");
    let sha1_ca = ca("sha1").authority("by sha1");
    all(vec![
        weak("rsa_sha1", &root, &ca("sha1").client()),
        weak("rsa_md5", &root, &ca("md5").client()),
        weak("ecdsa_sha1", &elliptic, &elliptic_sha1.client()),
        Case::new("sha1_further_up", &[&root], &[&sha1_ca.client(), &sha1_ca]).refused("signature_algorithm"),
        // Nobody looks at how a root signed itself.
        Case::new("root_by_sha1", &[&Issued::root_with("rsa root", key.digesting("sha1"), |_| {})], &[&root.client()]),
    ]);
}

#[test]
fn whoever_presents_a_certificate_has_its_key() {
    let root = Issued::root("root");
    let (client, other) = (root.client(), Key::p256());
    all(vec![
        Case::new("stolen", &[&root], &[&client]).signing_with(&other).refused("key_not_held"),
        Case::new("stolen_tls12", &[&root], &[&client]).signing_with(&other).over_tls12().refused("key_not_held"),
        Case::new("own", &[&root], &[&client]),
    ]);
}
