//! When a certificate is valid: RFC 5280, section 4.1.2.5.

use super::case::{Case, all};
use super::der::{common_name, element};
use super::keys::Key;
use super::makers::{DAY, Fields, HOUR, Issued, at, generalized};

fn utc(text: &str) -> Vec<u8> {
    element(0x17, text.as_bytes())
}

fn expired(fields: &mut Fields) {
    (fields.not_before, fields.not_after) = (at(-2 * DAY), at(-60));
}

fn not_yet(fields: &mut Fields) {
    (fields.not_before, fields.not_after) = (at(HOUR), at(DAY));
}

#[test]
fn certificates_count_while_they_are_valid() {
    let root = Issued::root("root");
    let client = |change: fn(&mut Fields)| root.client_but(change);
    let old_ca = root.authority_with("old", Key::p256(), expired);
    let new_ca = root.authority_with("new", Key::p256(), not_yet);
    let old_root = Issued::root_with("old root", Key::p256(), expired);
    let new_root = Issued::root_with("new root", Key::p256(), not_yet);
    // The same CA, certified twice: by a certificate that has expired, and by one that has not.
    let renewed = Key::p256();
    let before = root.authority_with("renewed", renewed.clone(), expired);
    let after = root.authority_with("renewed", renewed, |_| {});
    let endless = client(|fields| fields.not_after = element(0x18, b"99991231235959Z"));
    all(vec![
        Case::new("valid", &[&root], &[&root.client()]),
        Case::new("expired", &[&root], &[&client(expired)]).refused("expired"),
        Case::new("expired_tls12", &[&root], &[&client(expired)]).over_tls12().refused("expired"),
        Case::new("not_yet_valid", &[&root], &[&client(not_yet)]).refused("not_yet_valid"),
        Case::new("expired_issuer", &[&root], &[&old_ca.client(), &old_ca]).refused("expired"),
        Case::new("issuer_not_yet_valid", &[&root], &[&new_ca.client(), &new_ca]).refused("not_yet_valid"),
        Case::new("expired_root", &[&old_root], &[&old_root.client()]).refused("ca_expired"),
        Case::new("root_not_yet_valid", &[&new_root], &[&new_root.client()]).refused("ca_expired"),
        Case::new("renewed_issuer", &[&root], &[&after.client(), &before, &after]),
        Case::new("no_well_defined_end", &[&root], &[&endless]),
    ]);
}

#[test]
fn dates_are_read_in_both_forms_and_strictly() {
    let root = Issued::root("root");
    let ends = |der: Vec<u8>| root.client_but(|fields| fields.not_after = der);
    let begins = |der: Vec<u8>| root.client_but(|fields| fields.not_before = der);
    let reversed = root.client_but(|fields| (fields.not_before, fields.not_after) = (at(HOUR), at(-HOUR)));
    let malformed = |name, client: &Issued| Case::new(name, &[&root], &[client]).refused("malformed");
    all(vec![
        Case::new("generalized", &[&root], &[&ends(generalized(DAY))]),
        Case::new("after_2049", &[&root], &[&ends(element(0x18, b"20600101000000Z"))]),
        Case::new("utc_of_1999", &[&root], &[&begins(utc("990101000000Z"))]),
        Case::new("utc_of_1949_is_2049", &[&root], &[&ends(utc("490101000000Z"))]),
        malformed("ends_before_it_begins", &reversed),
        malformed("fractions", &ends(element(0x18, b"20600101000000.5Z"))),
        malformed("without_seconds", &ends(utc("4901010000Z"))),
        malformed("with_offset", &ends(utc("490101000000+0000"))),
        malformed("month_13", &ends(utc("491301000000Z"))),
        malformed("february_30", &ends(utc("490230000000Z"))),
        malformed("no_date", &ends(common_name("tomorrow"))),
    ]);
}
