//! Tokens that must be refused, each for its reason, and beside them tokens that must be accepted, so that a verifier
//! which refuses everything fails as well. In the manner of Wycheproof: one table, many ways.

mod claims;
mod confusion;
mod encoding;
mod keys;
mod process;
mod signatures;
mod world;

use portcullis::crypto::base64url;
use portcullis::model::denial::Reason;
use serde_json::{Value, json};

use self::world::{NOW, World, key_of};
use super::keys::Key;

/// One row of the table.
struct Case {
    name: String,
    token: String,
    /// Why it is refused; `None`: it is accepted.
    refused: Option<Reason>,
}

/// The table.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn all() -> Self {
        let mut cases = Self::default();
        signatures::add(&mut cases);
        confusion::add(&mut cases);
        encoding::add(&mut cases);
        claims::add(&mut cases);
        cases
    }

    fn refused(&mut self, name: impl Into<String>, token: impl Into<String>, reason: Reason) {
        self.0.push(Case { name: name.into(), token: token.into(), refused: Some(reason) });
    }

    fn accepted(&mut self, name: impl Into<String>, token: impl Into<String>) {
        self.0.push(Case { name: name.into(), token: token.into(), refused: None });
    }
}

#[test]
fn every_hostile_token_is_refused_for_its_reason_and_every_good_one_is_accepted() {
    let (world, cases) = (World::new(), Cases::all().0);
    let mut wrong = Vec::new();
    for Case { name, token, refused } in &cases {
        match (block_on(world.verify(token)), refused) {
            (Ok(verified), None) if !verified.subject.is_empty() => {}
            (Err(denial), Some(reason)) if denial.reason == *reason => {}
            (Ok(_), _) => wrong.push(format!("{name}: accepted")),
            (Err(denial), _) => wrong.push(format!("{name}: {refused:?} is wanted, it is {denial}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_gate_says_the_same() {
    let (world, cases) = (World::new(), Cases::all().0);
    let mut wrong = Vec::new();
    // Twice: what was refused or accepted once is remembered, and must not become the other.
    for case in cases.iter().chain(&cases) {
        let Case { name, token, refused } = case;
        // What is no bearer, or none of three segments, never comes to the issuers.
        let by_form = [Reason::CredentialMalformed, Reason::CredentialNotAccepted];
        match (block_on(world.check(token)), refused) {
            (None, Some(_)) | (Some(Ok(_)), None) => {}
            (Some(Err(reason)), Some(wanted)) if reason == *wanted || by_form.contains(&reason) => {
                assert_eq!(reason.row().status, 401, "{name}");
            }
            (said, _) => wrong.push(format!("{name}: {refused:?} is wanted, it is {said:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_what_it_claims_to_be() {
    let cases = Cases::all().0;
    let refused = cases.iter().filter(|case| case.refused.is_some()).count();
    assert!(refused >= 400, "{refused} tokens that must be refused");
    let mut names: Vec<&str> = cases.iter().map(|case| &*case.name).collect();
    let mut tokens: Vec<&str> = cases.iter().map(|case| &*case.token).collect();
    let count = cases.len();
    for list in [&mut names, &mut tokens] {
        list.sort_unstable();
        let twice: Vec<_> = list.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "rows that stand twice prove nothing: {twice:#?}");
        assert_eq!(list.len(), count);
    }
    for algorithm in ALGORITHMS {
        let of: Vec<_> = cases.iter().filter(|case| case.name.starts_with(&format!("{algorithm}: "))).collect();
        let count = |refused| of.iter().filter(|case| case.refused.is_some() == refused).count();
        assert!(count(true) >= 15 && count(false) >= 2, "{algorithm}: {} and {}", count(true), count(false));
    }
}

const ALGORITHMS: [&str; 12] =
    ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

fn block_on<F: Future>(future: F) -> F::Output {
    crate::harness::portcullis::block_on(future)
}

/// Claims that pass, of the issuer for this algorithm (or of another name).
fn good_claims(issuer: &str) -> Value {
    let iss = format!("https://{}.example", issuer.to_lowercase());
    json!({"iss": iss, "sub": "alice", "aud": "orders", "iat": NOW, "exp": NOW + 600})
}

/// A header that passes.
fn good_header(algorithm: &str) -> Value {
    json!({"alg": algorithm, "kid": algorithm, "typ": "at+jwt"})
}

/// What a token's signature is over.
fn input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url::encode(header.to_string().as_bytes()), base64url::encode(claims.to_string().as_bytes()))
}

/// A token signed by this key with this algorithm, whatever the header says.
fn signed(key: &Key, algorithm: &str, header: &Value, claims: &Value) -> String {
    key.token_of(algorithm, &header.to_string(), &claims.to_string())
}

/// A token that passes.
fn good(algorithm: &str) -> String {
    signed(key_of(algorithm), algorithm, &good_header(algorithm), &good_claims(algorithm))
}

/// The same token with other signature bytes.
fn resigned(token: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = token.rsplit_once('.').expect("three segments");
    let signature = change(base64url::decode(signature).expect("base64url"));
    format!("{input}.{}", base64url::encode(&signature))
}
