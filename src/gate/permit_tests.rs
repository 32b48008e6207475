use http::header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE};
use http::{HeaderName, HeaderValue};

use super::*;
use crate::gate::fixtures;
use crate::gate::headers::Introducer;
use crate::model::settings::{IdentityField, IdentityHeaders};
use crate::model::{CredentialKind, Timestamp, Verified};

/// A permit of a route that tells the subject as `X-User`, besides the preset.
fn permit(identity: Option<Verified>, carrier: Option<Carrier>, forward_credentials: bool) -> Permit {
    let own = vec![(HeaderName::from_static("x-user"), IdentityField::Subject)];
    let identity_headers = IdentityHeaders { headers: own, assertion: true, ..fixtures::route().identity };
    let route = RouteSettings { identity: identity_headers, forward_credentials, ..fixtures::route() };
    // Of another route than the permit's own.
    let elsewhere = vec![(HeaderName::from_static("remote-user"), IdentityField::Subject)];
    let other = RouteSettings {
        name: "other".into(),
        identity: IdentityHeaders { headers: elsewhere, ..fixtures::route().identity },
        ..fixtures::route()
    };
    let introducer = Introducer::new(&route.identity, &route.upstream, &fixtures::assertions());
    let settings = fixtures::settings(vec![route.clone(), other]);
    let identity = identity.map_or(Identity::Anonymous, |verified| Identity::Verified(Arc::new(verified)));
    Permit::grant(Grant {
        certificate: None,
        introduction: introducer.introduce(&identity, Timestamp::from_secs(1)).unwrap(),
        route: Arc::new(route),
        identity,
        companion: None,
        bound_until: Timestamp::NEVER,
        foreign_cookie: None,
        method: Method::GET,
        target: PathAndQuery::from_static("/"),
        rewritten: None,
        destination: Destination::Upstream("app".into()),
        carrier,
        objection: None,
        next_nonce: None,
        hygiene: Arc::new(Hygiene::new(&settings)),
        reader: Arc::new(Reader::new(&settings)),
    })
}

fn alice() -> Option<Verified> {
    Some(fixtures::verified(CredentialKind::Jwt))
}

fn map(list: &[(&str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&str, &str)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in list.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

const SPOOFED: &[(&str, &str)] = &[
    ("X-User", "root"),
    ("X-User", "root again"),
    ("X_User", "root"),
    ("x.user", "root"),
    ("X~User", "root"),
    ("Remote_User", "root"),
    ("X-Auth-Subject", "root"),
    ("x_auth_roles", "admin"),
    ("X.Auth-Anything", "1"),
    ("X-Auth-Assertion", "forged"),
    ("X_Auth_Assertion", "forged"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Original-URL", "/admin"),
];

#[test]
fn f04_what_only_we_may_say_is_removed_also_where_we_say_nothing() {
    let mut headers = map(SPOOFED);
    headers.insert("accept", HeaderValue::from_static("*/*"));
    permit(None, None, false).rewrite_headers(&mut headers);
    assert_eq!(headers, map(&[("accept", "*/*")]));
}

#[test]
fn f01_f07_the_upstream_sees_our_word_once() {
    let mut headers = map(SPOOFED);
    permit(alice(), Some(Carrier::Authorization), false).rewrite_headers(&mut headers);
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let expected =
        ["x-auth-assertion", "x-auth-credential", "x-auth-issuer", "x-auth-method", "x-auth-subject", "x-user"];
    assert_eq!(names, expected);
    assert_eq!(headers.len(), names.len(), "no header stands twice");
    assert_eq!((&headers["x-user"], &headers["x-auth-subject"]), (&headers["x-auth-subject"], &headers["x-user"]));
    assert_eq!(headers["x-user"], "alice");
    assert_ne!(headers["x-auth-assertion"], "forged");
}

#[test]
fn f05_trailers_speak_of_no_identity() {
    let mut trailers = map(SPOOFED);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    permit(alice(), None, false).rewrite_trailers(&mut trailers);
    assert_eq!(trailers, map(&[("grpc-status", "0")]));
}

const CREDENTIALS: &[(&str, &str)] = &[
    ("authorization", "Bearer a.b.c"),
    ("x-api-key", "pc_a"),
    ("cookie", "a=1; __Host-session=s; b=2"),
    ("sec-websocket-protocol", "chat, portcullis.bearer.t"),
];

#[test]
fn the_credential_that_was_used_stays_behind() {
    for (carrier, gone) in [
        (None, None),
        (Some(Carrier::Authorization), Some(AUTHORIZATION)),
        (Some(Carrier::ApiKeyHeader), Some(HeaderName::from_static("x-api-key"))),
        (Some(Carrier::Cookie), None),
        (Some(Carrier::Connection), None),
    ] {
        let mut headers = map(CREDENTIALS);
        permit(None, carrier, false).rewrite_headers(&mut headers);
        for (name, _) in CREDENTIALS {
            assert_eq!(
                headers.contains_key(*name),
                gone.as_ref().is_none_or(|gone| gone != *name),
                "{carrier:?} {name}"
            );
        }
        assert_eq!(headers[COOKIE], "a=1; b=2", "our cookie never reaches an upstream");
    }
    let mut headers = map(CREDENTIALS);
    permit(None, Some(Carrier::WebSocketProtocol), false).rewrite_headers(&mut headers);
    assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "chat");
}

#[test]
fn a_route_may_forward_credentials_but_never_the_session() {
    let mut headers = map(CREDENTIALS);
    permit(None, Some(Carrier::Authorization), true).rewrite_headers(&mut headers);
    assert_eq!(
        (&headers[AUTHORIZATION], &headers[COOKIE]),
        (&"Bearer a.b.c".parse().unwrap(), &"a=1; b=2".parse().unwrap())
    );
    let mut headers = map(&[("cookie", "__Host-session=s")]);
    permit(None, Some(Carrier::Cookie), true).rewrite_headers(&mut headers);
    assert!(headers.is_empty());
}

#[test]
fn answers_to_somebody_are_private_unless_the_upstream_says_otherwise() {
    let hardened = |identity: Option<Verified>, sent: &[(&str, &str)]| {
        let mut headers = map(sent);
        permit(identity, None, false).answer().harden(&mut headers);
        headers
    };
    assert_eq!(hardened(alice(), &[])[CACHE_CONTROL], "private");
    assert_eq!(hardened(alice(), &[("cache-control", "public, max-age=60")])[CACHE_CONTROL], "public, max-age=60");
    assert!(hardened(None, &[]).is_empty());
    let left = hardened(None, &[("set-cookie", "__Host-session=evil; Path=/"), ("set-cookie", "theme=dark")]);
    assert_eq!(left.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["theme=dark"]);
}

#[test]
fn a_token_with_a_proof_stays_behind_with_it() {
    let sent = [("authorization", "DPoP a.b.c"), ("dpop", "d.e.f"), ("accept", "*/*")];
    let left = |carrier, forward| {
        let mut headers = map(&sent);
        permit(None, Some(carrier), forward).rewrite_headers(&mut headers);
        headers
    };
    assert_eq!(left(Carrier::Dpop, false), map(&sent[2..]));
    assert_eq!(left(Carrier::Dpop, true), map(&sent));
    assert_eq!(left(Carrier::ApiKeyHeader, false), map(&sent), "nobody read it: it is the application's");
}

#[test]
fn the_next_nonce_comes_in_an_answer_that_nobody_keeps() {
    let Permit(grant) = permit(alice(), Some(Carrier::Dpop), false);
    let permit = Permit(Grant { next_nonce: Some(HeaderValue::from_static("next")), ..grant });
    let mut headers = map(&[("cache-control", "public, max-age=60"), ("dpop-nonce", "of the upstream")]);
    permit.answer().harden(&mut headers);
    assert_eq!(headers, map(&[("cache-control", "no-store"), ("dpop-nonce", "next")]));
}
