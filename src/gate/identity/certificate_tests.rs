use super::*;
use crate::model::Timestamp;

fn certificate(uris: &[&str], dns: &[&str], emails: &[&str], subject: &str) -> ClientCertificate {
    let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect();
    ClientCertificate {
        chain: vec![],
        issuer: String::new(),
        by: [].into(),
        told: crate::model::Told::default(),
        fingerprint: [0xab; 32],
        uris: owned(uris),
        dns: owned(dns),
        emails: owned(emails),
        subject: subject.to_owned(),
        not_after: Timestamp(5_000),
    }
}

fn rule(matches: MtlsMatch, subject: &str) -> MtlsRule {
    MtlsRule {
        matches: vec![matches],
        subject: subject.into(),
        tenant: String::new(),
        groups: vec![],
        roles: vec!["service".into()],
        scopes: vec![],
    }
}

fn spiffe() -> MtlsRule {
    rule(MtlsMatch::Uri("spiffe://cluster.local/ns/{ns}/sa/{sa}".into()), "{ns}/{sa}")
}

fn subject(rules: &[MtlsRule], certificate: &ClientCertificate) -> Result<String, Reason> {
    let identity = CertificateRules::new(rules).identity(certificate);
    identity.map(|v| v.principal.subject.to_string()).map_err(|denial| denial.reason)
}

const REFUSED: Result<String, Reason> = Err(Reason::CertificateNotAccepted);

#[test]
fn a_certificate_becomes_an_identity() {
    let certificate = certificate(&["spiffe://cluster.local/ns/shop/sa/cart"], &[], &[], "CN=x");
    let identity = CertificateRules::new(&[spiffe()]).identity(&certificate).unwrap();
    assert_eq!(identity.principal, Principal::new(MTLS_ISSUER, "shop/cart"));
    assert_eq!(identity.kind, CredentialKind::Mtls);
    assert_eq!(&*identity.credential_id, "ab".repeat(32));
    assert_eq!(identity.roles, vec![Arc::from("service")]);
    assert_eq!(identity.expires_at, Timestamp(5_000));
}

#[test]
fn the_first_rule_that_matches_counts() {
    let rules = [
        rule(MtlsMatch::Dns("{name}.internal".into()), "first-{name}"),
        rule(MtlsMatch::Email("{user}@example.com".into()), "{user}"),
        rule(MtlsMatch::Subject("CN={cn},O=Acme".into()), ""),
    ];
    let of = |dns: &[&str], emails: &[&str]| subject(&rules, &certificate(&[], dns, emails, "CN=x,O=Acme"));
    assert_eq!(of(&["Cart.INTERNAL"], &["bob@example.com"]).as_deref(), Ok("first-cart"));
    assert_eq!(of(&["cart.external"], &["bob@example.com"]).as_deref(), Ok("bob"));
    assert_eq!(of(&[], &[]).as_deref(), Ok("CN=x,O=Acme"));
}

#[test]
fn without_a_rule_that_matches_there_is_no_identity() {
    let other = certificate(&["spiffe://other/ns/a/sa/b"], &["a"], &["b"], "CN=x");
    assert_eq!(subject(&[spiffe()], &other), REFUSED);
    assert_eq!(subject(&[], &other), REFUSED);
}

#[test]
fn f06_f53_values_with_other_than_printable_ascii_are_refused() {
    for bad in ["a\r\nX-User: admin", "a\0b", "ä", "a\u{7f}"] {
        let rules = [rule(MtlsMatch::Dns("{name}".into()), "{name}"), rule(MtlsMatch::Subject("CN=x".into()), "")];
        assert_eq!(subject(&rules, &certificate(&[], &[bad], &[], "CN=x")), REFUSED, "{bad:?}");
    }
}

#[test]
fn a_certificate_that_fits_in_two_ways_is_refused() {
    let rules = [rule(MtlsMatch::Dns("{name}.internal".into()), "{name}")];
    assert_eq!(subject(&rules, &certificate(&[], &["a.internal", "b.internal"], &[], "")), REFUSED);
    assert_eq!(subject(&rules, &certificate(&[], &["a.internal", "a.internal"], &[], "")).as_deref(), Ok("a"));
    let two_uris = certificate(&["spiffe://cluster.local/ns/a/sa/b", "https://x"], &[], &[], "");
    assert_eq!(subject(&[spiffe()], &two_uris), REFUSED);
}

#[test]
fn a_malformed_rule_matches_nothing() {
    let certificate = certificate(&[], &["a.internal"], &[], "");
    assert_eq!(subject(&[rule(MtlsMatch::Dns("{a}{b}".into()), "x")], &certificate), REFUSED);
    assert_eq!(subject(&[rule(MtlsMatch::Dns("{a}.internal".into()), "{b}")], &certificate), REFUSED);
}

fn issued(issuer: &str, uris: &[&str], dns: &[&str]) -> ClientCertificate {
    ClientCertificate { issuer: issuer.into(), ..certificate(uris, dns, &[], "CN=x") }
}

#[test]
fn all_patterns_of_a_rule_must_match_and_each_may_capture() {
    let rules = [MtlsRule {
        matches: vec![
            MtlsMatch::Uri("spiffe://cluster.local/ns/{ns}/sa/{sa}".into()),
            MtlsMatch::Issuer("CN={ca},O=Acme".into()),
        ],
        tenant: "{ca}".into(),
        groups: vec!["{ns}".into(), "services".into()],
        ..rule(MtlsMatch::Dns(String::new()), "{ca}:{ns}/{sa}")
    }];
    let uri = "spiffe://cluster.local/ns/shop/sa/cart";
    let identity = CertificateRules::new(&rules).identity(&issued("CN=eu,O=Acme", &[uri], &[])).unwrap();
    assert_eq!(&*identity.principal.subject, "eu:shop/cart");
    assert_eq!(identity.tenant.as_deref(), Some("eu"));
    assert_eq!(identity.groups, [Arc::from("services"), Arc::from("shop")]);
    for other in [
        issued("CN=eu,O=Evil", &[uri], &[]),
        issued("CN=eu,O=Acme", &["spiffe://cluster.local/ns/shop"], &[]),
        issued("CN=eu,O=Acme", &[], &[]),
        issued("", &[uri], &[]),
    ] {
        assert_eq!(subject(&rules, &other), REFUSED, "{other:?}");
    }
    assert_eq!(subject(&rules, &issued("CN=ö,O=Acme", &[uri], &[])), REFUSED, "not ASCII");
}

#[test]
fn what_is_used_of_several_values_must_be_the_same_and_the_rest_may_differ() {
    let both = |template: &str| {
        let matches = vec![MtlsMatch::Uri("https://{host}/a".into()), MtlsMatch::Dns("{name}.internal".into())];
        [MtlsRule { matches, ..rule(MtlsMatch::Dns(String::new()), template) }]
    };
    let two = issued("CN=ca", &["https://h/a"], &["a.internal", "b.internal", "elsewhere"]);
    assert_eq!(subject(&both("{host}"), &two).as_deref(), Ok("h"));
    assert_eq!(subject(&both(""), &two).as_deref(), Ok("https://h/a"));
    assert_eq!(subject(&both("{host}-{name}"), &two), REFUSED);
    let grouped = [MtlsRule { groups: vec!["{name}".into()], ..both("{host}")[0].clone() }];
    assert_eq!(subject(&grouped, &two), REFUSED, "a group would be one or the other");
    let uris = issued("CN=ca", &["https://h/a", "https://i/a"], &["a.internal"]);
    assert_eq!(subject(&both(""), &uris), REFUSED);
    assert_eq!(subject(&both("{name}"), &uris).as_deref(), Ok("a"));
    // The same capture in two patterns, and no pattern at all, make no rule.
    let twice = [MtlsRule { matches: vec![MtlsMatch::Uri("{a}".into()), MtlsMatch::Dns("{a}".into())], ..spiffe() }];
    assert_eq!(subject(&twice, &uris), REFUSED);
    assert_eq!(subject(&[MtlsRule { matches: vec![], subject: "x".into(), ..spiffe() }], &uris), REFUSED);
}
