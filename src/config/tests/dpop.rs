//! `[dpop]` and tokens that must be bound.

use std::time::Duration;

use super::*;
use crate::model::settings::{Algorithm, DpopSettings, ReplayScope};

const REDIS: &str = "store.url = 'redis://localhost'\n";
const ISSUER: &str = "issuer.main = { url = 'https://id.example.com', audiences = 'orders'";

fn dpop(more: &str) -> DpopSettings {
    good(more).settings.dpop
}

/// What is said of a configuration with this, without places.
fn said(more: &str) -> Vec<String> {
    let found = problems(&format!("{BASE}{ROUTE}{more}"));
    found.iter().map(|line| line.split_once(' ').expect("a place").1.to_owned()).collect()
}

#[test]
fn by_default_a_proof_counts_once_on_one_instance() {
    let settings = dpop("");
    assert_eq!((settings.replay, settings.nonce), (ReplayScope::Instance, true));
    assert_eq!((settings.max_age, settings.leeway), (Duration::from_secs(60), Duration::from_secs(5)));
    assert_eq!(settings.max_remembered, 1_000_000);
    assert!(!settings.algorithms.is_empty() && settings.algorithms.iter().all(|algorithm| !algorithm.is_symmetric()));
}

#[test]
fn nonces_may_be_done_without_where_the_store_remembers() {
    let shared = |more: &str| dpop(&format!("{REDIS}dpop.replay = 'shared'\n{more}"));
    assert_eq!((shared("").replay, shared("").nonce), (ReplayScope::Shared, false));
    assert!(shared("dpop.nonce = true").nonce);
    assert!(dpop("dpop.nonce = true").nonce);
    assert_eq!(
        said("dpop.nonce = false"),
        ["without nonces a proof that one instance has seen would count on another"]
    );
    assert_eq!(
        said("dpop.replay = 'shared'"),
        ["`shared` needs a store that instances share, and `store.url` is `memory:`"]
    );
}

#[test]
fn proofs_are_signed_asymmetrically_and_of_the_present() {
    assert_eq!(dpop("dpop.algorithms = 'EdDSA'").algorithms, [Algorithm::EdDSA]);
    assert_eq!(said("dpop.algorithms = 'HS256'"), ["`HS256` is not one of the choices"]);
    assert_eq!(said("dpop.algorithms = 'none'"), ["`none` is not one of the choices"]);
    assert_eq!(said("dpop.algorithms = []").len(), 1);
    assert_eq!(said("dpop.max_age = '11m'"), ["a proof of more than 10 minutes ago proves little of the present"]);
    assert_eq!(said("dpop.max_age = '0s'"), ["must not be zero"]);
    assert_eq!(said("dpop.leeway = '61s'"), ["a leeway of more than a minute is no difference of clocks"]);
    assert_eq!(said("dpop.max_remembered = 0"), ["`0` is out of range"]);
    assert_eq!(dpop("dpop.leeway = '0s'").leeway, Duration::ZERO);
}

#[test]
fn an_issuers_tokens_may_be_wanted_bound() {
    let issuer = |more: &str| good(&format!("{ISSUER}{more} }}")).settings.issuers[0].sender_constrained;
    assert!(!issuer(""));
    assert!(issuer(", sender_constrained = true"));
}
