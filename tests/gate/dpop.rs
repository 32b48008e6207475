//! Tokens that are bound to a key, and the proofs that their holders bring (RFC 9449): with whole processes' parts, over
//! sockets, by a small client that does the dance with nonces.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;

use portcullis::crypto::base64url;
use portcullis::crypto::digest::sha256;
use portcullis::model::{Clock, SystemClock};
use serde_json::{Value, json};

use super::keys::{Key, claims_with, pem_issuer};
use crate::harness::http::{self, Answer, get};
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

const ISS: &str = "https://ec.example";

/// Who issues tokens, and a service behind.
struct World {
    issuer: Key,
    upstream: Upstream,
}

impl World {
    fn new() -> Self {
        Self { issuer: Key::p256(), upstream: Upstream::start() }
    }

    /// An instance of its own store with these further settings.
    fn start(&self, more: &str) -> Portcullis {
        let setup = Setup::new();
        let issuer = pem_issuer(setup.folder(), "ec", &self.issuer);
        setup.start(&format!("{issuer}{more}\n{}", self.routes()))
    }

    /// One on Redis, with these keys before all else.
    fn start_on(&self, redis: &Redis, keys: &str) -> Portcullis {
        let setup = Setup::new();
        let issuer = pem_issuer(setup.folder(), "ec", &self.issuer);
        let text = format!("{keys}{}{issuer}\n{}", super::preamble(&redis.url()), self.routes());
        setup.try_start(&text).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn routes(&self) -> String {
        let url = self.upstream.url();
        format!(
            "[route]\napp = {{ match = \"/{{*rest}}\", accept = \"jwt:ec\", upstream = \"{url}\" }}\n\
             open = {{ match = \"/open\", accept = [\"jwt:ec\", \"anyone\"], upstream = \"{url}\" }}\n\
             kept = {{ match = \"/kept\", accept = \"jwt:ec\", upstream = \"{url}\", forward_credentials = true }}\n"
        )
    }

    /// A token that is bound by this `cnf`.
    fn token(&self, cnf: Value) -> String {
        self.issuer.token(&json!({"alg": "ES256", "typ": "at+jwt"}), &claims_with(ISS, "cnf", cnf))
    }

    fn client(&self) -> Client {
        let key = Key::p256();
        let token = self.token(json!({"jkt": thumbprint(&key)}));
        Client { key, token, nonce: RefCell::default(), made: Cell::new(0) }
    }
}

/// RFC 7638.
fn thumbprint(key: &Key) -> String {
    let jwk = key.jwk("");
    let members = json!({"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]});
    base64url::encode(&sha256(members.to_string().as_bytes()))
}

/// Holds a key and a token, and remembers the last nonce that it was told.
struct Client {
    key: Key,
    token: String,
    nonce: RefCell<Option<String>>,
    made: Cell<u32>,
}

impl Client {
    /// A new proof for `GET` of this path there, with the last nonce.
    fn proof(&self, to: SocketAddr, path: &str) -> String {
        self.proof_with(to, path, json!({}))
    }

    fn proof_with(&self, to: SocketAddr, path: &str, changes: Value) -> String {
        self.made.set(self.made.get() + 1);
        let mut claims = json!({
            "jti": format!("proof-{}", self.made.get()), "htm": "GET", "htu": format!("http://{to}{path}"),
            "iat": SystemClock.now().as_secs(), "ath": base64url::encode(&sha256(self.token.as_bytes())),
        });
        if let Some(nonce) = &*self.nonce.borrow() {
            claims["nonce"] = json!(nonce);
        }
        claims.as_object_mut().expect("an object").extend(changes.as_object().expect("changes").clone());
        let jwk = self.key.jwk("");
        let jwk = json!({"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"]});
        self.key.token(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}), &claims)
    }

    fn lines(&self, proof: &str) -> String {
        format!("Authorization: DPoP {}\r\nDPoP: {proof}\r\n", self.token)
    }

    /// Sends this proof and does as the answer says with the next.
    fn send(&self, to: SocketAddr, path: &str, proof: &str) -> Answer {
        let answer = get(to, path, &self.lines(proof));
        if let Some(nonce) = answer.value("dpop-nonce") {
            *self.nonce.borrow_mut() = Some(nonce.to_owned());
        }
        answer
    }

    /// What a client does: once more with the nonce, where one is asked for.
    fn get(&self, to: SocketAddr, path: &str) -> Answer {
        let answer = self.send(to, path, &self.proof(to, path));
        if error(&answer).as_deref() == Some("use_dpop_nonce") {
            return self.send(to, path, &self.proof(to, path));
        }
        answer
    }
}

/// The error of the DPoP challenge.
fn error(answer: &Answer) -> Option<String> {
    let challenges = answer.values("www-authenticate");
    let dpop = challenges.iter().find(|challenge| challenge.starts_with("DPoP "))?;
    assert!(dpop.contains("algs=\"ES256 ES384 EdDSA RS256 PS256\""), "{dpop}");
    Some(dpop.split_once("error=\"")?.1.split_once('"')?.0.to_owned())
}

#[track_caller]
fn refused(answer: &Answer, expected: &str) {
    assert_eq!((answer.status, error(answer).as_deref()), (401, Some(expected)), "{}", answer.head);
}

#[test]
fn a_client_that_holds_the_key_is_served_after_one_dance() {
    let world = World::new();
    let (portcullis, client) = (world.start(""), world.client());
    let to = portcullis.address();
    let first = client.send(to, "/x", &client.proof(to, "/x"));
    refused(&first, "use_dpop_nonce");
    assert_eq!(first.value("cache-control"), Some("no-store"));
    for path in ["/x", "/y?q=1", "/open"] {
        let plain = path.split('?').next().expect("a path");
        let answer = client.send(to, path, &client.proof(to, plain));
        assert_eq!(answer.status, 200, "{path}: {}", answer.head);
        let seen = world.upstream.last();
        assert_eq!(seen.value("x-auth-subject"), Some("alice"));
        assert!(seen.value("dpop").is_none() && seen.value("authorization").is_none(), "{}", seen.head);
    }
    assert_eq!(client.send(to, "/kept", &client.proof(to, "/kept")).status, 200);
    let seen = world.upstream.last();
    assert!(seen.value("dpop").is_some() && seen.value("authorization").is_some(), "{}", seen.head);
    let metrics = get(portcullis.health(), "/metrics", "").body;
    for series in ["accepted\"} 4", "nonce_wanted\"} 1", "replayed\"} 0"] {
        assert!(metrics.contains(&format!("portcullis_dpop_proofs_total{{outcome=\"{series}")), "{metrics}");
    }
}

#[test]
fn f34_who_has_but_the_token_is_refused() {
    let world = World::new();
    let (portcullis, client, mallory) = (world.start(""), world.client(), world.client());
    let to = portcullis.address();
    for who in [&client, &mallory] {
        assert_eq!(who.get(to, "/x").status, 200);
    }
    let arrived = world.upstream.received().len();
    // Twice, so that the second time the token is in the cache for sure.
    for _ in 0..2 {
        for path in ["/x", "/open"] {
            refused(&get(to, path, &bearer(&client.token)), "invalid_token");
            refused(&get(to, path, &format!("Authorization: DPoP {}\r\n", client.token)), "invalid_dpop_proof");
            let mine = mallory.proof(to, path);
            refused(&get(to, path, &client.lines(&mine)), "invalid_dpop_proof");
            let good = client.proof(to, path);
            refused(&get(to, path, &(client.lines(&good) + &format!("DPoP: {good}\r\n"))), "invalid_dpop_proof");
            refused(&get(to, path, &client.lines(&format!("{good}, {good}"))), "invalid_dpop_proof");
            let plain = format!("Authorization: Bearer {}\r\nDPoP: {good}\r\n", client.token);
            refused(&get(to, path, &plain), "invalid_token");
        }
        for (changes, path) in [
            (json!({"htm": "POST"}), "/x"),
            (json!({"htu": format!("http://{to}/y")}), "/x"),
            (json!({"htu": "https://elsewhere.example/x"}), "/x"),
            (json!({"htu": format!("https://{to}/x")}), "/x"),
            (json!({"ath": base64url::encode(&sha256(b"another"))}), "/x"),
            (json!({"jti": null}), "/x"),
            (json!({"exp": 1}), "/x"),
        ] {
            let proof = client.proof_with(to, path, changes.clone());
            let answer = get(to, path, &client.lines(&proof));
            assert_eq!((answer.status, error(&answer).as_deref()), (401, Some("invalid_dpop_proof")), "{changes}");
        }
        // The method of the request, too.
        let answer = http::post(to, "/x", &client.lines(&client.proof(to, "/x")));
        refused(&answer, "invalid_dpop_proof");
        // A token that is bound to nothing needs no proof, and takes none.
        let free = Client { token: world.token(Value::Null), ..world.client() };
        *free.nonce.borrow_mut() = client.nonce.borrow().clone();
        refused(&free.get(to, "/x"), "invalid_token");
    }
    assert_eq!(world.upstream.received().len(), arrived);
    assert_eq!(get(to, "/x", &bearer(&world.token(Value::Null))).status, 200);
    assert_eq!(client.get(to, "/x").status, 200);
}

#[test]
fn f34_a_captured_proof_counts_neither_here_nor_elsewhere_nor_after_a_restart() {
    let world = World::new();
    // One public origin, so that the URI of a request is the same wherever it arrives.
    let start = || {
        let setup = Setup::new();
        let issuer = pem_issuer(setup.folder(), "ec", &world.issuer);
        setup.start_with("listener.main.public_origin = \"http://app.example\"", &(issuer + &world.routes()))
    };
    let (one, other) = (start(), start());
    let (client, first) = (world.client(), one.address());
    let proof = || client.proof_with(first, "/x", json!({"htu": "http://app.example/x"}));
    refused(&client.send(one.address(), "/x", &proof()), "use_dpop_nonce");
    let captured = proof();
    let replay = |at: SocketAddr| get(at, "/x", &client.lines(&captured));
    refused(&replay(other.address()), "use_dpop_nonce");
    assert_eq!(client.send(one.address(), "/x", &captured).status, 200);
    for _ in 0..3 {
        refused(&replay(one.address()), "invalid_dpop_proof");
        refused(&replay(other.address()), "use_dpop_nonce");
    }
    one.shutdown();
    let again = start();
    refused(&replay(again.address()), "use_dpop_nonce");
    // Whoever holds the key goes on anywhere.
    for at in [other.address(), again.address()] {
        refused(&client.send(at, "/x", &proof()), "use_dpop_nonce");
        assert_eq!(client.send(at, "/x", &proof()).status, 200);
    }
    assert_eq!(world.upstream.received().len(), 3);
}

#[test]
fn f34_instances_that_share_a_store_share_what_was_used() {
    let (world, mut redis) = (World::new(), Redis::start());
    let keys = "listener.main.public_origin = \"http://app.example\"\ndpop.replay = \"shared\"\n";
    let start = || world.start_on(&redis, keys);
    let (one, other) = (start(), start());
    let (client, first) = (world.client(), one.address());
    let proof = || client.proof_with(first, "/x", json!({"htu": "http://app.example/x"}));
    let captured = proof();
    assert_eq!(client.send(one.address(), "/x", &captured).status, 200, "no nonce is asked for");
    for at in [one.address(), other.address(), other.address()] {
        refused(&client.send(at, "/x", &captured), "invalid_dpop_proof");
    }
    assert_eq!(client.send(other.address(), "/x", &proof()).status, 200);
    one.shutdown();
    let again = start();
    refused(&client.send(again.address(), "/x", &captured), "invalid_dpop_proof");
    // A proof of too long ago is none even where nobody remembers it.
    let old = client.proof_with(again.address(), "/x", json!({"iat": 7, "htu": "http://app.example/x"}));
    refused(&client.send(again.address(), "/x", &old), "invalid_dpop_proof");
    // Without the store nobody can tell.
    redis.kill();
    let denied = client.send(again.address(), "/x", &proof());
    assert_eq!(denied.status, 503, "{}", denied.head);
    assert!(denied.value("retry-after").is_some());
}

#[test]
fn where_an_issuers_tokens_must_be_bound_others_are_refused() {
    let world = World::new();
    let portcullis = world.start("sender_constrained = true");
    let to = portcullis.address();
    let client = world.client();
    assert_eq!(client.get(to, "/x").status, 200);
    refused(&get(to, "/x", &bearer(&world.token(Value::Null))), "invalid_token");
    refused(&get(to, "/x", &bearer(&world.token(json!({})))), "invalid_token");
    // Bound to a certificate, which there is none of.
    let bound = world.token(json!({"x5t#S256": base64url::encode(&[7; 32])}));
    refused(&get(to, "/x", &bearer(&bound)), "invalid_token");
    // Bound to both: one of them is not enough.
    let both = json!({"jkt": thumbprint(&client.key), "x5t#S256": base64url::encode(&[7; 32])});
    let both = Client { token: world.token(both), ..client };
    refused(&both.get(to, "/x"), "invalid_token");
}
