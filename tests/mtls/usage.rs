//! What a certificate is for, and extensions at large: RFC 5280, section 4.2.

use super::case::{Case, all};
use super::der::{element, oid, sequence};
use super::keys::Key;
use super::makers::{
    ANY_PURPOSE, CERT_SIGN, CLIENT_AUTH, CODE_SIGNING, CRL_SIGN, DIGITAL_SIGNATURE, Issued, KEY_ENCIPHERMENT,
    KEY_USAGE, NAMES, PURPOSES, SERVER_AUTH, authority, extension, key_usage, purposes, uri,
};

const POLICIES: &str = "2.5.29.32";
const UNKNOWN: &str = "1.3.6.1.4.1.55555.1";

fn policies(critical: bool) -> Vec<u8> {
    extension(POLICIES, critical, &sequence(&[&sequence(&[&oid("2.23.140.1.2.1")])]))
}

#[test]
fn a_client_certificate_is_for_clients() {
    let root = Issued::root("root");
    let client = |purposes: Vec<u8>| root.client_but(|fields| fields.set(purposes));
    let issuer = |name: &str, purpose: &str| {
        let purposes = purposes(&[purpose]);
        root.authority_with(name, Key::p256(), |fields| fields.set(purposes))
    };
    let (servers, clients) = (issuer("servers", SERVER_AUTH), issuer("clients", CLIENT_AUTH));
    let any = issuer("any", ANY_PURPOSE);
    let critical = extension(PURPOSES, true, &sequence(&[&oid(CLIENT_AUTH)]));
    let wrong = |name, sent: &[&Issued]| Case::new(name, &[&root], sent).refused("wrong_purpose");
    all(vec![
        Case::new("none", &[&root], &[&root.client_but(|fields| fields.drop(&oid(PURPOSES)))]),
        Case::new("client_and_server", &[&root], &[&client(purposes(&[SERVER_AUTH, CLIENT_AUTH]))]),
        Case::new("critical", &[&root], &[&client(critical)]),
        Case::new("issuer_of_clients", &[&root], &[&clients.client(), &clients]),
        wrong("server_alone", &[&client(purposes(&[SERVER_AUTH]))]),
        wrong("code_signing", &[&client(purposes(&[CODE_SIGNING]))]),
        wrong("any_purpose", &[&client(purposes(&[ANY_PURPOSE]))]),
        wrong("no_purpose_named", &[&client(extension(PURPOSES, false, &sequence(&[])))]),
        wrong("issuer_of_servers", &[&servers.client(), &servers]),
        wrong("issuer_for_any_purpose", &[&any.client(), &any]),
    ]);
}

#[test]
fn the_clients_key_may_sign() {
    let root = Issued::root("root");
    let client = |uses: &[u8]| root.client_but(|fields| fields.set(key_usage(uses)));
    let lax = extension(KEY_USAGE, false, &super::der::flags(&[DIGITAL_SIGNATURE]));
    let no_bits = extension(KEY_USAGE, true, &element(3, &[0]));
    let no_bit_string = extension(KEY_USAGE, true, &sequence(&[]));
    all(vec![
        Case::new("no_key_usage", &[&root], &[&root.client_but(|fields| fields.drop(&oid(KEY_USAGE)))]),
        Case::new("not_critical", &[&root], &[&root.client_but(|fields| fields.set(lax))]),
        Case::new("among_others", &[&root], &[&client(&[DIGITAL_SIGNATURE, KEY_ENCIPHERMENT])]),
        Case::new("encipherment_alone", &[&root], &[&client(&[KEY_ENCIPHERMENT])]).refused("key_usage"),
        Case::new("for_a_ca", &[&root], &[&client(&[CERT_SIGN, CRL_SIGN])]).refused("key_usage"),
        Case::new("for_nothing", &[&root], &[&root.client_but(|fields| fields.set(no_bits))]).refused("key_usage"),
        Case::new("no_bit_string", &[&root], &[&root.client_but(|fields| fields.set(no_bit_string))])
            .refused("malformed"),
    ]);
}

#[test]
fn what_is_critical_must_be_understood() {
    let root = Issued::root("root");
    let with = |extension: Vec<u8>| root.client_but(|fields| fields.set(extension));
    let unknown = |critical: bool| extension(UNKNOWN, critical, &sequence(&[]));
    let mut extensions = authority(None);
    extensions.push(unknown(true));
    let issuer = root.authority_with("odd", Key::p256(), |fields| fields.extensions = extensions);
    let names = extension(NAMES, true, &element(0x30, &uri("spiffe://test/client")));
    all(vec![
        Case::new("unknown_extension", &[&root], &[&with(unknown(false))]),
        Case::new("policies", &[&root], &[&with(policies(false))]),
        Case::new("critical_names", &[&root], &[&with(names)]),
        Case::new("unknown_and_critical", &[&root], &[&with(unknown(true))]).refused("critical_extension"),
        Case::new("critical_policies", &[&root], &[&with(policies(true))]).refused("critical_extension"),
        Case::new("critical_in_an_issuer", &[&root], &[&issuer.client(), &issuer]).refused("critical_extension"),
    ]);
}
