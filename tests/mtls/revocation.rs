//! Revocation lists: RFC 5280, sections 5 and 6.3.

use super::case::{Case, all, refuses_to_load};
use super::der::{element, integer};
use super::keys::Key;
use super::lists::{delta, distribution_point, entry, find_list_at, list, list_but};
use super::makers::{CERT_SIGN, DAY, HOUR, Issued, at, key_usage};

#[test]
fn who_is_on_no_list_comes_in() {
    let root = Issued::root("root");
    let (client, other) = (root.client(), root.client());
    let ca = root.authority("ca");
    let below = ca.client();
    let (ours, theirs) = ("http://crl.test/ours", "http://crl.test/theirs");
    let pointed = root.client_but(|fields| fields.set(find_list_at(ours)));
    let at_point = |uri: &str, revoked: &[&Issued]| {
        list_but(&root, revoked, |list| list.extensions.push(distribution_point(uri, false)))
    };
    let partitioned = [at_point(theirs, &[&other]), at_point(ours, &[])];
    let new_key = Issued { key: Key::p256(), ..root.clone() };
    let rekeyed = Issued::root_with("root", new_key.key, |_| {});
    let both_keys = [list(&rekeyed, &[]), list(&root, &[&other])];
    let many: Vec<_> = (0..3000_u32).map(|at| entry(&(0x2000_0000 + at).to_be_bytes(), None)).collect();
    let long = list_but(&root, &[], |list| list.entries = many);
    let lists = [list(&root, &[]), list(&ca, &[])];
    all(vec![
        Case::new("empty_list", &[&root], &[&client]).lists(&[list(&root, &[])]),
        Case::new("other_revoked", &[&root], &[&client]).lists(&[list(&root, &[&other])]),
        Case::new("list_of_each_issuer", &[&root], &[&below, &ca]).lists(&lists),
        Case::new("its_distribution_point", &[&root], &[&pointed]).lists(&partitioned),
        Case::new("three_thousand_entries", &[&root], &[&client]).lists(&[long]),
        Case::new("ca_with_a_new_key", &[&root, &rekeyed], &[&rekeyed.client()]).lists(&both_keys),
        Case::new("ca_with_its_old_key", &[&root, &rekeyed], &[&client]).lists(&both_keys),
    ]);
}

#[test]
fn who_is_on_a_list_does_not() {
    let root = Issued::root("root");
    let (client, other) = (root.client(), root.client());
    let ca = root.authority("ca");
    let below = ca.client();
    let because = |reason: u8| list_but(&root, &[], |list| list.entries = vec![entry(&client.serial, Some(reason))]);
    let older = list_but(&root, &[&other], |list| list.this_update = at(-DAY));
    let newer = list(&root, &[&client, &other]);
    let older_only = list_but(&root, &[&client], |list| list.this_update = at(-DAY));
    let rekeyed = Issued::root_with("root", Key::p256(), |_| {});
    let ours = "http://crl.test/ours";
    let pointed = root.client_but(|fields| fields.set(find_list_at(ours)));
    let at_point = list_but(&root, &[&pointed], |list| list.extensions.push(distribution_point(ours, true)));
    let revoked =
        |name, sent: &[&Issued], lists: &[Vec<u8>]| Case::new(name, &[&root], sent).lists(lists).refused("revoked");
    // Newer, and of one distribution point alone, which this client does not name.
    let partial = list_but(&root, &[], |list| {
        (list.this_update, list.next_update) = (at(-60), at(DAY));
        list.extensions.push(distribution_point(ours, true));
    });
    all(vec![
        revoked("beside_a_partial_list", &[&client], &[partial, list(&root, &[&client])]),
        revoked("revoked", &[&client], &[list(&root, &[&client])]),
        revoked("only_on_an_older_list", &[&client], &[list(&root, &[&other]), older_only]),
        revoked("on_hold", &[&client], &[because(6)]),
        revoked("issuer_revoked", &[&below, &ca], &[list(&root, &[&ca]), list(&ca, &[])]),
        revoked("by_its_issuer", &[&below, &ca], &[list(&root, &[]), list(&ca, &[&below])]),
        revoked("at_its_distribution_point", &[&pointed], &[at_point]),
        revoked("newest_list_last", &[&client], &[older.clone(), newer.clone()]),
        revoked("newest_list_first", &[&client], &[newer, older]),
        revoked("list_of_the_old_key", &[&client], &[list(&rekeyed, &[]), list(&root, &[&client])]),
    ]);
}

#[test]
fn without_a_list_that_counts_nobody_knows() {
    let root = Issued::root("root");
    let client = root.client();
    let ca = root.authority("ca");
    let below = ca.client();
    let no_signer = root.authority_with("no signer", Key::p256(), |fields| fields.set(key_usage(&[CERT_SIGN])));
    let no_root = Issued::root_with("no signer root", Key::p256(), |fields| fields.set(key_usage(&[CERT_SIGN])));
    let other = Issued::root("other");
    let old = |by: &Issued| list_but(by, &[], |list| (list.this_update, list.next_update) = (at(-DAY), at(-HOUR)));
    let forged = list_but(&root, &[], |list| list.key = Key::p256());
    let elsewhere = list_but(&root, &[], |list| list.extensions.push(distribution_point("http://crl.test/x", false)));
    let case = |name, root: &Issued, sent: &[&Issued], lists: &[Vec<u8>]| Case::new(name, &[root], sent).lists(lists);
    let both = [list(&root, &[]), list(&no_signer, &[])];
    all(vec![
        case("list_out_of_date", &root, &[&client], &[old(&root)]).refused("crl_expired"),
        case("list_of_issuer_out_of_date", &root, &[&below, &ca], &[list(&root, &[]), old(&ca)]).refused("crl_expired"),
        case("list_of_root_out_of_date", &root, &[&below, &ca], &[old(&root), list(&ca, &[])]).refused("crl_expired"),
        case("list_of_another_ca", &root, &[&client], &[list(&other, &[])]).refused("crl_missing"),
        case("no_list_of_the_issuer", &root, &[&below, &ca], &[list(&root, &[])]).refused("crl_missing"),
        case("no_list_of_the_root", &root, &[&below, &ca], &[list(&ca, &[])]).refused("crl_missing"),
        case("list_of_another_point", &root, &[&client], &[elsewhere]).refused("crl_missing"),
        case("forged_list", &root, &[&client], &[forged]).refused("crl_invalid"),
        case("issuer_may_not_sign_lists", &root, &[&no_signer.client(), &no_signer], &both).refused("crl_invalid"),
        case("root_may_not_sign_lists", &no_root, &[&no_root.client()], &[list(&no_root, &[])]).refused("crl_invalid"),
    ]);
}

#[test]
fn lists_that_cannot_be_used_refuse_to_start() {
    let root = Issued::root("root");
    let good = list(&root, &[]);
    let delta = list_but(&root, &[], |list| list.extensions.push(delta()));
    let endless = list_but(&root, &[], |list| list.next_update = Vec::new());
    let no_number = list_but(&root, &[], |list| list.entries = vec![integer(&[1])]);
    let cut = good[..good.len() - 2].to_vec();
    let trailing = [&good[..], &[0]].concat();
    for (what, bad) in [
        ("a delta list", delta),
        ("no nextUpdate", endless),
        ("an entry that is a number", no_number),
        ("cut short", cut),
        ("a byte too many", trailing),
        ("a certificate", root.der.clone()),
        ("nothing", element(0x30, &[])),
    ] {
        refuses_to_load(what, &Case::new("bad_list", &[&root], &[&root.client()]).lists(&[good.clone(), bad]));
    }
}
