//! Names, and what CAs may sign of them: RFC 5280, sections 4.2.1.6 and 4.2.1.10.

use super::case::{Case, all};
use super::der::{CN, EMAIL, IA5, UTF8, common_name, name, oid};
use super::keys::Key;
use super::makers::{CONSTRAINTS, Issued, NAMES, constraints, directory, dns, email, extension, ip, names, uri};

/// A CA that may sign these and not those.
fn constrained(root: &Issued, permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Issued {
    root.authority_with("constrained", Key::p256(), |fields| fields.set(constraints(permitted, excluded)))
}

fn named(ca: &Issued, general: &[Vec<u8>]) -> Issued {
    ca.client_but(|fields| fields.set(names(general)))
}

#[test]
fn the_rule_that_fits_makes_the_identity() {
    let root = Issued::root("root");
    let nameless = root.client_but(|fields| fields.drop(&oid(NAMES)));
    let addressed = named(&root, &[ip(&[127, 0, 0, 1])]);
    let several = [dns("second.test.example"), email("third@test.example"), uri("spiffe://test/first")];
    all(vec![
        Case::new("uri", &[&root], &[&root.client()]),
        Case::new("dns", &[&root], &[&named(&root, &[dns("orders.test.example")])]).known_as("orders"),
        Case::new("email", &[&root], &[&named(&root, &[email("ops@test.example")])]).known_as("ops"),
        Case::new("several", &[&root], &[&named(&root, &several)]).known_as("first"),
        Case::new("subject_alone", &[&root], &[&nameless]).known_as("subject-client"),
        Case::new("address_alone", &[&root], &[&addressed]).known_as("subject-client"),
    ]);
}

#[test]
fn dns_names_stay_within_what_a_ca_may_sign() {
    let root = Issued::root("root");
    let permits = constrained(&root, &[dns("test.example")], &[]);
    let excludes = constrained(&root, &[], &[dns("secret.test.example")]);
    let within = |ca: &Issued, host: &str| named(ca, &[dns(host)]);
    let deep_ca = permits.authority("below the constrained");
    let lax = constraints(&[dns("test.example")], &[]);
    let value = lax.windows(4).position(|window| window == [1, 1, 0xff, 4]).expect("it is critical") + 5;
    let not_critical = root.authority_with("lax", Key::p256(), |fields| {
        fields.set(extension(CONSTRAINTS, false, &lax[value..]));
    });
    let strict_root = Issued::root_with("strict root", Key::p256(), |fields| fields.set(lax.clone()));
    let refused = |name, sent: &[&Issued]| Case::new(name, &[&root], sent).refused("name_constraints");
    all(vec![
        Case::new("permitted", &[&root], &[&within(&permits, "a.test.example"), &permits]).known_as("a"),
        Case::new("not_excluded", &[&root], &[&within(&excludes, "a.test.example"), &excludes]).known_as("a"),
        Case::new("other_kind", &[&root], &[&permits.client(), &permits]),
        Case::new("roots_permit", &[&strict_root], &[&within(&strict_root, "a.test.example")]).known_as("a"),
        refused("not_permitted", &[&within(&permits, "a.other.example"), &permits]),
        refused("suffix_of_a_label", &[&within(&permits, "nottest.example"), &permits]),
        refused("one_of_two", &[&named(&permits, &[dns("a.test.example"), dns("b.example")]), &permits]),
        refused("excluded", &[&within(&excludes, "a.secret.test.example"), &excludes]),
        refused("two_levels_up", &[&within(&deep_ca, "a.other.example"), &deep_ca, &permits]),
        refused("not_critical", &[&within(&not_critical, "a.other.example"), &not_critical]),
        Case::new("not_of_the_root", &[&strict_root], &[&within(&strict_root, "a.other.example")])
            .refused("name_constraints"),
    ]);
}

#[test]
fn addresses_and_other_names_stay_within_or_are_refused() {
    let root = Issued::root("root");
    let v4 = constrained(&root, &[ip(&[10, 0, 0, 0, 255, 0, 0, 0])], &[]);
    let sparse = constrained(&root, &[ip(&[10, 0, 0, 0, 255, 0, 255, 0])], &[]);
    let by_uri = constrained(&root, &[uri("test")], &[]);
    let by_email = constrained(&root, &[email("test.example")], &[]);
    let by_directory = constrained(&root, &[directory(&common_name("client"))], &[]);
    let with_address = |ca: &Issued, address: &[u8]| named(ca, &[uri("spiffe://test/client"), ip(address)]);
    // An address in the subject, where alternative names do not show it.
    let subject = |fields: &mut super::makers::Fields| {
        fields.subject = name(&[(CN, UTF8, "client"), (EMAIL, IA5, "ops@other.example")]);
    };
    let (hidden, open) = (by_email.client_but(subject), root.client_but(subject));
    let strict_root = Issued::root_with("mail root", Key::p256(), |fields| {
        fields.set(constraints(&[], &[email("other.example")]));
    });
    let refused = |name, sent: &[&Issued]| Case::new(name, &[&root], sent).refused("name_constraints");
    all(vec![
        Case::new("within_the_network", &[&root], &[&with_address(&v4, &[10, 1, 2, 3]), &v4]),
        Case::new("email_in_subject", &[&root], &[&open]),
        Case::new("uri_without_email", &[&root], &[&by_email.client(), &by_email]),
        refused("beyond_the_network", &[&with_address(&v4, &[11, 1, 2, 3]), &v4]),
        refused("sparse_mask", &[&with_address(&sparse, &[10, 1, 2, 3]), &sparse]),
        refused("uri_constraint", &[&by_uri.client(), &by_uri]),
        refused("email_constraint", &[&named(&by_email, &[email("ops@test.example")]), &by_email]),
        refused("directory_constraint", &[&by_directory.client(), &by_directory]),
        refused("email_in_subject_constrained", &[&hidden, &by_email]),
        Case::new("email_in_subject_by_root", &[&strict_root], &[&strict_root.client_but(subject)])
            .refused("name_constraints"),
    ]);
}

#[test]
fn f63_names_that_would_break_a_line_are_refused_and_break_none() {
    let root = Issued::root("root");
    let subject = |text: &str| root.client_but(|fields| fields.subject = common_name(text));
    let bad = |name, client: &Issued| Case::new(name, &[&root], &[client]).refused("bad_name");
    all(vec![
        bad("nul_in_dns", &named(&root, &[dns("a.test.example\0.evil.example")])),
        bad("line_break_in_uri", &named(&root, &[uri("spiffe://test/a\r\nlevel=INFO")])),
        bad("escape_in_email", &named(&root, &[email("\x1b[2Ja@test.example")])),
        bad("not_ascii_in_dns", &named(&root, &[dns("bücher.test.example")])),
        bad("line_break_in_subject", &subject("a\r\nWARN forged line")),
        bad("nul_in_subject", &subject("a\0b")),
    ]);
}
