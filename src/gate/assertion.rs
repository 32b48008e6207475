//! The signed statement of identity for upstreams.
//!
//! A JWT of `typ` `portcullis-assertion+jwt`, signed with ES256 by a key whose public half is served as a JWKS. Claims:
//!
//! | claim | what |
//! |---|---|
//! | `iss` | `assertion.issuer` |
//! | `aud` | the upstream's name |
//! | `sub` | the subject; unique only together with `principal.issuer` |
//! | `iat`, `exp` | seconds; `exp` is never after the end of the credential itself |
//! | `principal` | `{"issuer", "subject"}` |
//! | `method` | the kind of credential |
//! | `roles`, `scopes`, `groups`, `amr` | arrays of strings, perhaps empty |
//! | `tenant`, `session`, `auth_time`, `acr` | where known |
//!
//! There is no `jti`: one assertion serves many requests until half its life has passed. It is for upstreams alone; no
//! verifier of ours takes that `typ`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::crypto::Signer;
use crate::model::denial::Reason;
use crate::model::settings::AssertionSettings;
use crate::model::{CredentialKind, Denial, Entropy, Timestamp, Verified};

/// The `typ` of an assertion (RFC 8725, section 3.11: one kind of token is never taken for another).
pub const TYPE: &str = "portcullis-assertion+jwt";

/// Signs assertions.
pub struct Assertions {
    settings: AssertionSettings,
    signer: Arc<Signer>,
    entropy: Arc<dyn Entropy>,
}

/// One that is signed.
pub(in crate::gate) struct Assertion {
    pub(in crate::gate) value: HeaderValue,
    /// Half its life: from then on the next request gets a new one.
    pub(in crate::gate) renew_at: Timestamp,
}

impl Assertions {
    /// With this key.
    pub const fn new(settings: AssertionSettings, signer: Arc<Signer>, entropy: Arc<dyn Entropy>) -> Self {
        Self { settings, signer, entropy }
    }

    /// The header that carries them.
    pub(in crate::gate) const fn header(&self) -> &HeaderName {
        &self.settings.header
    }

    /// Says to `upstream` who it is. Takes about 16 µs.
    pub(in crate::gate) fn sign(&self, who: &Verified, upstream: &str, now: Timestamp) -> Result<Assertion, Denial> {
        let ends = now.after(self.settings.lifetime).min(who.expires_at);
        let token = self
            .signer
            .sign(TYPE, &self.claims(who, upstream, now, ends), &*self.entropy)
            .map_err(|error| Denial::because(Reason::Internal, format!("assertion: {error}")))?;
        let mut value = HeaderValue::try_from(token).map_err(|_| Denial::new(Reason::Internal))?;
        value.set_sensitive(true);
        Ok(Assertion { value, renew_at: now.after(ends.since(now) / 2) })
    }

    fn claims(&self, who: &Verified, upstream: &str, now: Timestamp, ends: Timestamp) -> Map<String, Value> {
        // Rounded up: an assertion that ends within this second is still good for the request it goes with.
        let exp = ends.0.div_ceil(1000);
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("iss", json!(self.settings.issuer));
        say("sub", json!(who.principal.subject));
        say("aud", json!(upstream));
        say("iat", json!(now.as_secs()));
        say("exp", json!(exp));
        say("principal", json!({"issuer": who.principal.issuer, "subject": who.principal.subject}));
        say("method", json!(who.kind.name()));
        say("roles", json!(who.roles));
        say("scopes", json!(who.scopes));
        say("groups", json!(who.groups));
        say("amr", json!(who.amr));
        if let Some(tenant) = &who.tenant {
            say("tenant", json!(tenant));
        }
        if who.kind == CredentialKind::Session {
            say("session", json!(who.credential_id));
        }
        if let Some(at) = who.authenticated_at {
            say("auth_time", json!(at.as_secs()));
        }
        if let Some(acr) = &who.acr {
            say("acr", json!(acr));
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::gate::fixtures;
    use crate::gate::headers::Introducer;
    use crate::model::Identity;
    use crate::model::settings::{HeaderPreset, IdentityHeaders};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn part(token: &HeaderValue, n: usize) -> Value {
        let part = token.to_str().unwrap().split('.').nth(n).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn it_says_who_to_whom_and_for_how_long() {
        let who = Verified {
            roles: vec!["admin".into()],
            authenticated_at: Some(Timestamp::from_secs(5)),
            ..fixtures::verified(CredentialKind::Session)
        };
        let token = fixtures::assertions().sign(&who, "orders", NOW).unwrap().value;
        assert_eq!(part(&token, 0)["typ"], TYPE);
        let expected = json!({
            "iss": "portcullis", "sub": "alice", "aud": "orders", "iat": 1_800_000_000, "exp": 1_800_000_060,
            "principal": {"issuer": "https://id.example.com", "subject": "alice"}, "method": "session",
            "roles": ["admin"], "scopes": [], "groups": [], "amr": [], "session": "c1", "auth_time": 5,
        });
        assert_eq!(part(&token, 1), expected);
    }

    #[test]
    fn it_never_outlives_the_credential() {
        let who =
            Verified { expires_at: NOW.after(Duration::from_millis(1500)), ..fixtures::verified(CredentialKind::Jwt) };
        let assertion = fixtures::assertions().sign(&who, "orders", NOW).unwrap();
        assert_eq!(part(&assertion.value, 1)["exp"], 1_800_000_002);
        assert_eq!(assertion.renew_at, NOW.after(Duration::from_millis(750)));
    }

    #[test]
    fn it_is_kept_per_credential_and_upstream_and_renewed_at_half_life() {
        let how = IdentityHeaders {
            preset: HeaderPreset::None,
            headers: vec![],
            certificate: Default::default(),
            assertion: true,
        };
        let assertions = fixtures::assertions();
        let [orders, bills] = ["orders", "bills"].map(|name| Introducer::new(&how, &name.into(), &assertions));
        let [alice, again] = [(); 2].map(|()| Identity::Verified(fixtures::verified(CredentialKind::Jwt).into()));
        let get = |introducer: &Introducer, who: &Identity, after: u64| {
            let mut headers = http::HeaderMap::new();
            introducer.introduce(who, NOW.after(Duration::from_secs(after))).unwrap().unwrap().set(&mut headers);
            headers["x-auth-assertion"].clone()
        };
        let first = get(&orders, &alice, 0);
        assert_eq!(get(&orders, &alice, 29), first);
        let renewed = get(&orders, &alice, 30);
        assert_eq!(part(&renewed, 1)["iat"], 1_800_000_030);
        assert_eq!(get(&orders, &alice, 59), renewed);
        assert_ne!(get(&orders, &again, 30), renewed, "another credential");
        assert_eq!(part(&get(&bills, &alice, 30), 1)["aud"], "bills");
    }
}
