use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use proptest::prelude::*;

use super::*;
use crate::gate::fixtures;
use crate::model::denial::Reason;
use crate::model::settings::{Accept, Alternative};
use crate::model::{Client, ClientCertificate, Timestamp, Verified};

/// `["jwt:main", "mtls+jwt:main", "session", "anyone"]`
fn accepts(list: &[&str]) -> Accepts {
    let optional = list.contains(&"anyone");
    let alternatives: Vec<Alternative> =
        list.iter().filter(|word| **word != "anyone").map(|w| alternative(w)).collect();
    let accept = if alternatives.is_empty() { Accept::Public } else { Accept::OneOf { alternatives, optional } };
    Accepts::new(&accept, None).unwrap()
}

fn alternative(word: &str) -> Alternative {
    let (with_certificate, word) = word.strip_prefix("mtls+").map_or((false, word), |rest| (true, rest));
    let (kind, issuer) = word.split_once(':').map_or((word, None), |(kind, issuer)| (kind, Some(issuer.into())));
    let kind = serde_json::from_value(kind.into()).unwrap();
    Alternative { kind, issuer, with_certificate }
}

fn certificate() -> Arc<ClientCertificate> {
    Arc::new(ClientCertificate {
        chain: vec![],
        issuer: String::new(),
        by: [].into(),
        told: crate::model::Told::default(),
        fingerprint: [7; 32],
        uris: vec![],
        dns: vec![],
        emails: vec![],
        subject: "CN=a".into(),
        not_after: Timestamp::NEVER,
    })
}

fn reader() -> Reader {
    Reader::new(&fixtures::settings(vec![]))
}

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), http::HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    list.iter().map(pair).collect()
}

/// What counts, as text: `jwt a.b.c`, `nothing`, or the reason.
fn outcome(accept: &[&str], sent: &[(&str, &str)], with_certificate: bool) -> String {
    let headers = headers(sent);
    let client = Client { certificate: with_certificate.then(certificate), ..fixtures::client("127.0.0.1") };
    match reader().read(&headers, &client, &accepts(accept), true) {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(found)) => match found.presented {
            Presented::Jwt(t)
            | Presented::Opaque(t)
            | Presented::Basic(t)
            | Presented::ApiKey(t)
            | Presented::Session(t) => {
                format!("{} {t}", found.presented.kind())
            }
            Presented::Certificate(_) => "mtls".to_owned(),
        },
        Err(denial) => format!("{:?}", denial.reason),
    }
}

const JWT: (&str, &str) = ("authorization", "Bearer a.b.c");
const KEY: (&str, &str) = ("x-api-key", "pc_dev_a_b");
const BEARER_KEY: (&str, &str) = ("authorization", "bearer pc_dev_a_b");
const OPAQUE: (&str, &str) = ("authorization", "Bearer random");
const BASIC: (&str, &str) = ("authorization", "Basic dTpw");
const COOKIE: (&str, &str) = ("cookie", "a=1; __Host-session=s; b=2");
const SOCKET: (&str, &str) = ("sec-websocket-protocol", "chat, portcullis.bearer.x.y.z");

#[test]
fn what_counts_is_what_the_route_accepts() {
    for (accept, sent, expected) in [
        // nothing presented
        (&["jwt:main"][..], &[][..], "CredentialMissing"),
        (&["jwt:main", "anyone"], &[], "nothing"),
        (&["session"], &[("cookie", "a=1")], "CredentialMissing"),
        // one presented
        (&["jwt:main"], &[JWT], "jwt a.b.c"),
        (&["api_key"], &[KEY], "api_key pc_dev_a_b"),
        (&["api_key"], &[BEARER_KEY], "api_key pc_dev_a_b"),
        (&["session"], &[COOKIE], "session s"),
        (&["session"], &[("cookie", "__Host-session")], "session "),
        (&["jwt:main"], &[SOCKET], "jwt x.y.z"),
        // f38: any token present is not authenticated
        (&["jwt:main"], &[OPAQUE], "CredentialNotAccepted"),
        (&["jwt:main", "anyone"], &[OPAQUE], "CredentialNotAccepted"),
        (&["jwt:main", "api_key"], &[OPAQUE], "CredentialNotAccepted"),
        // a bearer never falls through to another kind
        (&["jwt:main"], &[BEARER_KEY], "CredentialNotAccepted"),
        (&["api_key"], &[JWT], "CredentialNotAccepted"),
        (&["api_key", "session"], &[JWT, COOKIE], "CredentialNotAccepted"),
        // what no accepted kind uses is no credential
        (&["session"], &[JWT], "CredentialMissing"),
        (&["session"], &[JWT, COOKIE], "session s"),
        (&["jwt:main"], &[KEY], "CredentialMissing"),
        (&["jwt:main"], &[JWT, KEY], "jwt a.b.c"),
        (&["jwt:main"], &[BASIC], "CredentialMissing"),
        (&["jwt:main", "anyone"], &[BASIC], "nothing"),
        (&["session"], &[SOCKET], "CredentialMissing"),
        // opaque: every bearer that is nothing else, and nothing else
        (&["opaque"], &[OPAQUE], "opaque random"),
        (&["opaque"], &[JWT], "CredentialNotAccepted"),
        (&["opaque"], &[BEARER_KEY], "CredentialNotAccepted"),
        (&["opaque", "jwt:main"], &[JWT], "jwt a.b.c"),
        (&["opaque"], &[("sec-websocket-protocol", "portcullis.bearer.x")], "opaque x"),
        // basic: read where it is accepted, explicit there
        (&["basic"], &[BASIC], "basic dTpw"),
        (&["basic", "session"], &[BASIC, COOKIE], "basic dTpw"),
        (&["basic"], &[JWT], "CredentialMissing"),
        (&["basic", "anyone"], &[JWT], "nothing"),
        (&["basic", "jwt:main"], &[JWT], "jwt a.b.c"),
        (&["basic", "jwt:main"], &[OPAQUE], "CredentialNotAccepted"),
        (&["basic"], &[BASIC, BASIC], "TwoCredentials"),
        (&["basic", "api_key"], &[BASIC, KEY], "TwoCredentials"),
        (&["basic"], &[BASIC, KEY], "basic dTpw"),
        (&["basic"], &[("authorization", "Basic u:p")], "CredentialMalformed"),
        (&["basic"], &[("authorization", "Basic")], "CredentialMalformed"),
        (&["jwt:main", "anyone"], &[("authorization", "Basic u:p")], "nothing"),
        // public: nothing is read
        (&["anyone"], &[JWT, KEY, COOKIE, SOCKET], "nothing"),
        (&["anyone"], &[JWT, JWT, ("cookie", "__Host-session=t"), COOKIE], "nothing"),
        (&["anyone"], &[("authorization", "")], "nothing"),
        // an explicit one beats an ambient one
        (&["jwt:main", "session"], &[JWT, COOKIE], "jwt a.b.c"),
        (&["jwt:main", "session"], &[BASIC, COOKIE], "session s"),
        // two explicit ones
        (&["jwt:main", "api_key"], &[JWT, KEY], "TwoCredentials"),
        (&["jwt:main"], &[JWT, JWT], "TwoCredentials"),
        (&["jwt:main"], &[JWT, BASIC], "TwoCredentials"),
        (&["jwt:main"], &[JWT, SOCKET], "TwoCredentials"),
        (&["jwt:main"], &[SOCKET, SOCKET], "TwoCredentials"),
        (&["api_key"], &[KEY, KEY], "TwoCredentials"),
        (&["api_key"], &[KEY, BEARER_KEY], "TwoCredentials"),
        // f41: duplicate session cookies, crumbs included
        (&["session"], &[("cookie", "__Host-session=s; __Host-session=t")], "TwoCredentials"),
        (&["session"], &[COOKIE, ("cookie", "__Host-session=s")], "TwoCredentials"),
        (&["session", "anyone"], &[COOKIE, ("cookie", "__Host-session")], "TwoCredentials"),
        // malformed
        (&["jwt:main"], &[("authorization", "Bearer")], "CredentialMalformed"),
        (&["jwt:main", "anyone"], &[("authorization", "Bearer a b")], "CredentialMalformed"),
        (&["jwt:main"], &[("authorization", "")], "CredentialMalformed"),
        (&["api_key", "anyone"], &[("x-api-key", "")], "CredentialMalformed"),
        (&["api_key"], &[("x-api-key", "ä")], "CredentialMalformed"),
        (&["jwt:main"], &[("sec-websocket-protocol", "portcullis.bearer.")], "CredentialMalformed"),
    ] {
        assert_eq!(outcome(accept, sent, false), expected, "{accept:?} {sent:?}");
    }
}

#[test]
fn a_certificate_counts_last_and_only_where_it_is_accepted() {
    assert_eq!(outcome(&["mtls"], &[], true), "mtls");
    assert_eq!(outcome(&["mtls"], &[], false), "CredentialMissing");
    assert_eq!(outcome(&["jwt:main"], &[], true), "CredentialMissing");
    assert_eq!(outcome(&["mtls+jwt:main"], &[], true), "CredentialMissing");
    assert_eq!(outcome(&["mtls+jwt:main"], &[JWT], true), "jwt a.b.c");
    assert_eq!(outcome(&["mtls", "session"], &[COOKIE], true), "session s");
    assert_eq!(outcome(&["mtls", "jwt:main"], &[JWT], true), "jwt a.b.c");
    assert_eq!(outcome(&["anyone"], &[], true), "nothing");
}

#[test]
fn a_socket_token_counts_only_where_the_route_says_so() {
    let (headers, client) = (headers(&[SOCKET]), fixtures::client("127.0.0.1"));
    let denial = reader().read(&headers, &client, &accepts(&["jwt:main"]), false).unwrap_err();
    assert_eq!(denial.reason, Reason::CredentialMissing);
}

#[test]
fn f30_an_identity_of_another_issuer_is_not_admitted() {
    let of = |kind, issuer: Option<&str>| Verified { issuer_name: issuer.map(Into::into), ..fixtures::verified(kind) };
    let jwt = |issuer| of(CredentialKind::Jwt, Some(issuer));
    let route = accepts(&["jwt:main", "mtls+jwt:strict", "api_key"]);
    assert_eq!(route.admit(&jwt("main")).unwrap(), Companion::None);
    assert_eq!(route.admit(&jwt("strict")).unwrap(), Companion::Certificate);
    assert_eq!(route.admit(&of(CredentialKind::ApiKey, None)).unwrap(), Companion::None);
    for other in [jwt("other"), of(CredentialKind::Jwt, None), of(CredentialKind::Session, None)] {
        assert_eq!(route.admit(&other).unwrap_err().reason, Reason::CredentialNotAccepted);
    }
    let both = accepts(&["mtls+jwt:main", "jwt:main"]);
    assert_eq!(both.admit(&jwt("main")).unwrap(), Companion::None);
}

#[test]
fn a_bare_jwt_needs_exactly_one_issuer() {
    let accept = Accept::OneOf { alternatives: vec![alternative("jwt")], optional: false };
    assert!(Accepts::new(&accept, None).is_err());
    let accepts = Accepts::new(&accept, Some(&"main".into())).unwrap();
    let of = |issuer: &str| Verified { issuer_name: Some(issuer.into()), ..fixtures::verified(CredentialKind::Jwt) };
    assert!(accepts.admit(&of("main")).is_ok());
    assert!(accepts.admit(&of("other")).is_err());
    assert!(Accepts::new(&Accept::OneOf { alternatives: vec![], optional: false }, None).is_err());
}

proptest! {
    #[test]
    fn f26_no_header_bytes_panic(
        values in prop::collection::vec((0..4usize, prop::collection::vec(32u8..=255, 0..24)), 0..4),
    ) {
        let names = ["authorization", "cookie", "x-api-key", "sec-websocket-protocol"];
        let mut sent = HeaderMap::new();
        for (name, value) in values {
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                sent.append(names[name], value);
            }
        }
        let client = fixtures::client("127.0.0.1");
        let _ = reader().read(&sent, &client, &accepts(&["jwt:main", "api_key", "basic", "session"]), true);
    }
}

#[test]
fn a_token_with_a_proof_is_read_where_there_may_be_one() {
    let sent = [("authorization", "DPoP a.b.c"), ("dpop", "x")];
    assert_eq!(outcome(&["jwt:main"], &sent, false), "jwt a.b.c");
    assert_eq!(outcome(&["session", "anyone"], &sent, false), "nothing");
    assert_eq!(outcome(&["api_key", "anyone"], &sent, false), "nothing", "no key of ours is bound to one");
    assert_eq!(outcome(&["anyone"], &sent, false), "nothing");
    assert_eq!(outcome(&["jwt:main"], &[("authorization", "DPoP")], false), "CredentialMalformed");
    assert_eq!(outcome(&["jwt:main"], &[("authorization", "DPoP pc_a_b")], false), "CredentialNotAccepted");
    let twice = [("authorization", "DPoP a.b.c"), ("sec-websocket-protocol", "portcullis.bearer.a.b.c")];
    assert_eq!(outcome(&["jwt:main"], &twice, false), "TwoCredentials");
}
