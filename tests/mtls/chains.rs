//! From the client to a CA of the bundle: RFC 5280, section 6.1, and RFC 4158 for finding the way.

use super::case::{Case, all};
use super::der::{CN, PRINTABLE, common_name, element, name, octets, sequence};
use super::keys::Key;
use super::makers::{CERT_SIGN, CRL_SIGN, Fields, Issued, authority, basic, extension, key_usage};

/// Under this root, so many CAs, each below the one before, the lowest last.
fn below(root: &Issued, count: usize) -> Vec<Issued> {
    let mut line = vec![root.authority("sub 0")];
    for at in 1..count {
        let next = line[at - 1].authority(&format!("sub {at}"));
        line.push(next);
    }
    line
}

fn sent<'a>(client: &'a Issued, line: &'a [Issued]) -> Vec<&'a Issued> {
    std::iter::once(client).chain(line.iter().rev()).collect()
}

#[test]
fn any_good_path_to_a_trusted_ca_is_found() {
    let (root, other) = (Issued::root("root"), Issued::root("other"));
    let line = below(&root, 2);
    let client = line[1].client();
    // A CA whose key two roots have certified.
    let crossed = Key::p256();
    let by_root = root.authority_with("crossed", crossed.clone(), |_| {});
    let by_other = other.authority_with("crossed", crossed, |_| {});
    let six = below(&root, 6);
    let client_of_six = six[5].client();
    // The old root vouches for the new one while not everybody knows it.
    let (old, new) = (Issued::root("ca of 2025"), Issued::root("ca of 2026"));
    let link = old.authority_with("ca of 2026", new.key.clone(), |_| {});
    let odd_identifier = root.client_but(|fields| {
        let identifier = sequence(&[&element(0x80, &[7; 20])]);
        fields.set(extension("2.5.29.35", false, &identifier));
    });
    let garbage = Issued { der: octets(b"no certificate"), ..root.client() };
    let oldest = Issued::root_with("version 1", Key::p256(), |fields| {
        fields.version = None;
        fields.extensions.clear();
    });
    let lone = Key::p256();
    let alone = Issued::root_with("client", lone, |fields| {
        fields.extensions = vec![
            basic(false, None),
            key_usage(&[0]),
            super::makers::names(&[super::makers::uri("spiffe://test/client")]),
        ];
    });
    all(vec![
        Case::new("direct", &[&root], &[&root.client()]),
        Case::new("two_intermediates", &[&root], &sent(&client, &line)),
        Case::new("out_of_order", &[&root], &[&client, &line[0], &line[1]]),
        Case::new("root_sent_along", &[&root], &[&client, &line[1], &line[0], &root]),
        Case::new("superfluous", &[&root], &[&client, &other, &line[1], &by_other, &line[0]]),
        Case::new("garbage_beside_it", &[&root], &[&root.client(), &garbage]),
        Case::new("six_intermediates", &[&root], &sent(&client_of_six, &six)),
        Case::new("cross_signed_by_one", &[&root], &[&by_root.client(), &by_other, &by_root]),
        Case::new("cross_signed_by_the_other", &[&other], &[&by_root.client(), &by_root, &by_other]),
        Case::new("rotation_old_trusted", &[&old], &[&new.client(), &link]),
        Case::new("rotation_new_trusted", &[&new], &[&new.client(), &link]),
        Case::new("rotation_both_trusted", &[&old, &new], &[&new.client()]),
        Case::new("rotation_still_the_old", &[&old, &new], &[&old.client()]),
        Case::new("intermediate_trusted", &[&line[1]], &[&client]),
        Case::new("other_key_identifier", &[&root], &[&odd_identifier]),
        Case::new("root_of_version_1", &[&oldest], &[&oldest.client()]),
        Case::new("client_in_the_bundle", &[&alone], &[&alone]),
        Case::new("over_tls12", &[&root], &sent(&client, &line)).over_tls12(),
    ]);
}

#[test]
fn where_there_is_no_path_nobody_comes_in() {
    let (root, other) = (Issued::root("root"), Issued::root("other"));
    let intermediate = root.authority("intermediate");
    let namesake = Issued::root("root");
    let alone = Issued::root_with("client", Key::p256(), |fields| fields.extensions = vec![key_usage(&[0])]);
    let mut forged = root.client();
    let last = forged.der.len() - 1;
    forged.der[last] ^= 1;
    let folded = |fields: &mut Fields| fields.issuer = common_name("ROOT");
    let retyped = |fields: &mut Fields| fields.issuer = name(&[(CN, PRINTABLE, "root")]);
    let nobody = Case::new("none_at_all", &[&root], &[]);
    all(vec![
        nobody.clone().refused("missing"),
        Case::new("other_ca", &[&root], &[&other.client()]).refused("unknown_issuer"),
        Case::new("missing_intermediate", &[&root], &[&intermediate.client()]).refused("unknown_issuer"),
        Case::new("own_root_sent", &[&root], &[&other.client(), &other]).refused("unknown_issuer"),
        Case::new("self_signed", &[&root], &[&alone]).refused("unknown_issuer"),
        Case::new("ca_of_the_same_name", &[&root], &[&namesake.client()]).refused("bad_signature"),
        Case::new("signature_changed", &[&root], &[&forged]).refused("bad_signature"),
        Case::new("issuer_in_other_case", &[&root], &[&root.client_but(folded)]).refused("unknown_issuer"),
        Case::new("issuer_of_other_type", &[&root], &[&root.client_but(retyped)]).refused("unknown_issuer"),
    ]);
}

#[test]
fn only_a_ca_issues_certificates() {
    let root = Issued::root("root");
    let client = root.client();
    let plain = root.authority_with("no constraints", Key::p256(), |fields| {
        fields.extensions = vec![key_usage(&[CERT_SIGN, CRL_SIGN])];
    });
    let idle = root.authority_with("no keyCertSign", Key::p256(), |fields| fields.set(key_usage(&[0, CRL_SIGN])));
    let idle_root = Issued::root_with("idle", Key::p256(), |fields| fields.set(key_usage(&[0, CRL_SIGN])));
    let silent = root.authority_with("no key usage", Key::p256(), |fields| fields.extensions = vec![basic(true, None)]);
    let plain_root = Issued::root_with("plain", Key::p256(), |fields| fields.extensions = vec![key_usage(&[0])]);
    let below_client = client.client();
    all(vec![
        Case::new("issued_by_a_client", &[&root], &[&below_client, &client]).refused("not_a_ca"),
        Case::new("without_basic_constraints", &[&root], &[&plain.client(), &plain]).refused("not_a_ca"),
        Case::new("without_cert_sign", &[&root], &[&idle.client(), &idle]).refused("not_a_ca"),
        Case::new("root_without_cert_sign", &[&idle_root], &[&idle_root.client()]).refused("not_a_ca"),
        Case::new("bundle_with_a_client", &[&client], &[&below_client]).refused("not_a_ca"),
        Case::new("bundle_with_no_ca", &[&plain_root], &[&plain_root.client()]).refused("not_a_ca"),
        Case::new("ca_as_client", &[&root], &[&root.authority("ca")]).refused("ca_as_client"),
        Case::new("root_as_client", &[&root], &[&root]).refused("ca_as_client"),
        Case::new("ca_without_key_usage", &[&root], &[&silent.client(), &silent]),
    ]);
}

#[test]
fn paths_are_no_longer_than_their_cas_admit() {
    let root = Issued::root("root");
    let limited = |length: u8| move |fields: &mut Fields| fields.extensions = authority(Some(length));
    let one = root.authority_with("one", Key::p256(), limited(1));
    let zero = one.authority_with("zero", Key::p256(), limited(0));
    let too_low = zero.authority("too low");
    let short_root = Issued::root_with("short", Key::p256(), limited(0));
    let under_short = short_root.authority("under");
    let exact_root = Issued::root_with("exact", Key::p256(), limited(1));
    let under_exact = exact_root.authority("under");
    // RFC 5280 would not count what a CA issued to itself; webpki does. (There are two CAs of that name: the reason that is
    // told is that the other one did not sign.)
    let rolled = zero.authority_with("zero", Key::p256(), |_| {});
    let eight = below(&root, 7);
    let client_of_seven = eight[6].client();
    all(vec![
        Case::new("at_its_limit", &[&root], &[&zero.client(), &zero, &one]),
        Case::new("beyond_its_limit", &[&root], &[&too_low.client(), &too_low, &zero, &one]).refused("path_length"),
        Case::new("root_at_its_limit", &[&exact_root], &[&under_exact.client(), &under_exact]),
        Case::new("root_of_length_0", &[&short_root], &[&short_root.client()]),
        Case::new("beyond_the_roots", &[&short_root], &[&under_short.client(), &under_short]).refused("path_length"),
        Case::new("self_issued", &[&root], &[&rolled.client(), &rolled, &zero, &one]).refused("bad_signature"),
        Case::new("seven_intermediates", &[&root], &sent(&client_of_seven, &eight)).refused("too_complex"),
    ]);
}
