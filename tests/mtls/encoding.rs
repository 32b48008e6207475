//! What is not a certificate of RFC 5280, section 4.1, is refused; so is BER where DER is due (X.690, section 10).

use super::case::{Case, all};
use super::der::{bits, common_name, element, indefinite, integer, long_form, octets, oid, sequence};
use super::makers::{Fields, Issued, KEY_USAGE, NAMES, extension, names, uri};

fn malformed(name: &'static str, root: &Issued, change: impl FnOnce(&mut Fields)) -> Case {
    Case::new(name, &[root], &[&root.client_but(change)]).refused("malformed")
}

#[test]
fn serial_numbers_are_positive_and_no_longer_than_20_octets() {
    let root = Issued::root("root");
    let serial = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        move |fields: &mut Fields| fields.serial = bytes
    };
    let highest = [&[0x7f][..], &[0xff; 19]].concat();
    let taken = root.client_but(serial(&highest));
    let issuer = root.authority_with("negative", super::keys::Key::p256(), serial(&[0x80]));
    all(vec![
        Case::new("twenty_octets", &[&root], &[&taken]),
        Case::new("with_sign_octet", &[&root], &[&root.client_but(serial(&[0, 0x80]))]),
        malformed("twenty_one_octets", &root, serial(&[1; 21])),
        malformed("negative", &root, serial(&[0xff, 0x01])),
        malformed("zero", &root, serial(&[0])),
        malformed("leading_zero", &root, serial(&[0, 1])),
        malformed("empty", &root, serial(&[])),
        Case::new("negative_issuer", &[&root], &[&issuer.client(), &issuer]).refused("malformed"),
    ]);
}

#[test]
fn certificates_are_of_version_3_and_say_each_thing_once() {
    let root = Issued::root("root");
    let custom = || extension("1.3.6.1.4.1.55555.2", false, &sequence(&[]));
    let unnamed = Issued::root_with("", super::keys::Key::p256(), |fields| {
        (fields.issuer, fields.subject) = (sequence(&[]), sequence(&[]));
    });
    let v1 = root.authority_with("v1", super::keys::Key::p256(), |fields| {
        fields.version = None;
        fields.extensions.clear();
    });
    let other_algorithm = sequence(&[&oid("1.2.840.10045.4.3.3")]);
    all(vec![
        malformed("version_1", &root, |fields| {
            fields.version = None;
            fields.extensions.clear();
        }),
        malformed("version_2", &root, |fields| fields.version = Some(1)),
        malformed("version_4", &root, |fields| fields.version = Some(3)),
        Case::new("issuer_of_version_1", &[&root], &[&v1.client(), &v1]).refused("malformed"),
        malformed("names_twice", &root, |fields| fields.extensions.push(names(&[uri("spiffe://test/admin")]))),
        malformed("unknown_twice", &root, |fields| fields.extensions.extend([custom(), custom()])),
        malformed("two_algorithms", &root, |fields| fields.outer_algorithm = Some(other_algorithm)),
        malformed("unique_ids", &root, |fields| fields.unique_ids = element(0x81, &[0, 1, 2, 3])),
        Case::new("issuer_without_a_name", &[&unnamed], &[&unnamed.client()]).refused("malformed"),
        malformed("data_after_the_extensions", &root, |fields| fields.more = octets(b"more")),
    ]);
}

#[test]
fn bytes_that_are_not_der_are_refused() {
    let root = Issued::root("root");
    let client = root.client();
    let good = client.der.clone();
    let sent = |name, der: Vec<u8>| Case::new(name, &[&root], &[&client]).sending(der).refused("malformed");
    all(vec![
        sent("noise", b"\x00\x01\x02 no certificate".to_vec()),
        sent("one_byte", vec![0x30]),
        sent("trailing_byte", [&good[..], &[0]].concat()),
        sent("two_in_one", [&good[..], &good].concat()),
        sent("cut_short", good[..good.len() - 1].to_vec()),
        sent("indefinite_length", indefinite(&good)),
        sent("length_in_more_bytes", long_form(&good)),
        sent("within_another", octets(&good)),
        sent("pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_vec()),
    ]);
}

#[test]
fn the_parts_of_a_certificate_are_der_as_well() {
    let root = Issued::root("root");
    let value = |kind: &str, value: Vec<u8>| sequence(&[&oid(kind), &octets(&value)]);
    let set = |extension: Vec<u8>| move |fields: &mut Fields| fields.set(extension);
    let half_true = sequence(&[&oid("1.3.6.1.4.1.55555.3"), &element(1, &[1]), &octets(&sequence(&[]))]);
    all(vec![
        malformed("boolean_of_1", &root, set(half_true)),
        malformed("name_of_another_length", &root, set(value(NAMES, vec![0x30, 0x7f, 0x86, 1, b'a']))),
        malformed("names_and_more", &root, set(value(NAMES, [sequence(&[&uri("a:b")]), vec![5, 0]].concat()))),
        malformed("long_form_in_names", &root, set(value(NAMES, sequence(&[&long_form(&uri("spiffe://test/a"))])))),
        malformed("unused_bits_of_9", &root, set(value(KEY_USAGE, element(3, &[9, 0x80])))),
        malformed("key_that_is_none", &root, |fields| {
            let algorithm = sequence(&[&oid("1.2.840.113549.1.1.1"), &element(5, &[])]);
            fields.public = sequence(&[&algorithm, &bits(&integer(&[1]))]);
        }),
        malformed("no_key", &root, |fields| fields.public = sequence(&[])),
        malformed("subject_that_is_no_name", &root, |fields| fields.subject = sequence(&[&common_name("a"), &[0x30]])),
    ]);
}
