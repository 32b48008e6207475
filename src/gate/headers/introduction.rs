//! What an upstream is told of an identity, made once and kept while the identity is in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{preset, value};
use crate::gate::assertion::Assertions;
use crate::model::settings::{IdentityField, IdentityHeaders};
use crate::model::{Denial, Identity, Timestamp, Verified};

/// How many introductions one generation of the memory holds; two are kept, each introduction being about 1 KiB.
const GENERATION: usize = 8192;

/// Introduces identities to one upstream, in one way. One per worker, so that its lock is never waited for.
pub(in crate::gate) struct Introducer {
    fields: Vec<(HeaderName, IdentityField)>,
    assertion: Option<(Arc<Assertions>, Arc<str>)>,
    known: Mutex<Known>,
}

/// The headers that say who it is.
#[derive(Debug)]
pub(in crate::gate) struct Introduction {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Keeps the address alone to this identity for as long as it serves as a key.
    _identity: Arc<Verified>,
    /// When the assertion in it shall be replaced.
    renew_at: Timestamp,
}

impl Introduction {
    /// Sets them.
    pub(in crate::gate) fn set(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

impl Introducer {
    /// To `upstream`, as its routes say.
    pub(in crate::gate) fn new(how: &IdentityHeaders, upstream: &Arc<str>, assertions: &Arc<Assertions>) -> Self {
        let fields = preset::fields(how.preset).into_iter().chain(how.headers.iter().cloned()).collect();
        let assertion = how.assertion.then(|| (assertions.clone(), upstream.clone()));
        Self { fields, assertion, known: Mutex::default() }
    }

    /// What there is to tell; `None` where nothing is.
    pub(in crate::gate) fn introduce(
        &self,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Option<Arc<Introduction>>, Denial> {
        let Identity::Verified(identity) = identity else { return Ok(None) };
        if self.fields.is_empty() && self.assertion.is_none() {
            return Ok(None);
        }
        let key = Arc::as_ptr(identity).addr();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(introduction) = known.find(key).filter(|i| now < i.renew_at) {
            return Ok(Some(introduction));
        }
        let introduction = Arc::new(self.prepare(identity, now)?);
        known.keep(key, introduction.clone());
        Ok(Some(introduction))
    }

    fn prepare(&self, identity: &Arc<Verified>, now: Timestamp) -> Result<Introduction, Denial> {
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(self.fields.len() + 1);
        for (name, field) in &self.fields {
            if let Some(value) = value::of(field, identity) {
                headers.push((name.clone(), value));
            }
        }
        let mut renew_at = Timestamp::NEVER;
        if let Some((assertions, upstream)) = &self.assertion {
            let assertion = assertions.sign(identity, upstream, now)?;
            headers.push((assertions.header().clone(), assertion.value));
            renew_at = assertion.renew_at;
        }
        Ok(Introduction { headers, _identity: identity.clone(), renew_at })
    }
}

/// Two generations: when the young one is full, it becomes the old one, and what was in that and not used since goes.
#[derive(Default)]
struct Known {
    young: HashMap<usize, Arc<Introduction>, foldhash::fast::RandomState>,
    old: HashMap<usize, Arc<Introduction>, foldhash::fast::RandomState>,
}

impl Known {
    fn find(&mut self, key: usize) -> Option<Arc<Introduction>> {
        if let Some(found) = self.young.get(&key) {
            return Some(found.clone());
        }
        let found = self.old.remove(&key)?;
        self.keep(key, found.clone());
        Some(found)
    }

    fn keep(&mut self, key: usize, introduction: Arc<Introduction>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, introduction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures;
    use crate::model::CredentialKind;
    use crate::model::settings::HeaderPreset;

    fn how(headers: &[(&'static str, IdentityField)]) -> IdentityHeaders {
        let own = headers.iter().map(|(name, field)| (HeaderName::from_static(name), field.clone())).collect();
        IdentityHeaders { preset: HeaderPreset::XAuth, headers: own, certificate: Default::default(), assertion: false }
    }

    fn told(introducer: &Introducer, identity: &Arc<Verified>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let identity = Identity::Verified(identity.clone());
        introducer.introduce(&identity, Timestamp(0)).unwrap().unwrap().set(&mut headers);
        headers
    }

    #[test]
    fn the_preset_tells_all_that_is_known_and_nothing_else() {
        let introducer = Introducer::new(&how(&[]), &"app".into(), &fixtures::assertions());
        let bare = Arc::new(fixtures::verified(CredentialKind::Jwt));
        let headers = told(&introducer, &bare);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["x-auth-credential", "x-auth-issuer", "x-auth-method", "x-auth-subject"]);

        let full = Arc::new(Verified {
            roles: vec!["admin".into(), "view,er".into()],
            scopes: vec!["a".into(), "b".into()],
            groups: vec!["g".into()],
            tenant: Some("acme".into()),
            email: Some("a@example.com".into()),
            name: Some("Zoë A".into()),
            ..fixtures::verified(CredentialKind::Session)
        });
        let headers = told(&introducer, &full);
        for (name, value) in [
            ("x-auth-subject", "alice"),
            ("x-auth-issuer", "https://id.example.com"),
            ("x-auth-method", "session"),
            ("x-auth-roles", "admin,view%2Cer"),
            ("x-auth-scopes", "a b"),
            ("x-auth-groups", "g"),
            ("x-auth-tenant", "acme"),
            ("x-auth-email", "a@example.com"),
            ("x-auth-name", "Zo%C3%AB%20A"),
            ("x-auth-session", "c1"),
            ("x-auth-credential", "c1"),
        ] {
            assert_eq!(headers[name], value);
        }
    }

    #[test]
    fn each_preset_speaks_the_names_of_its_kind() {
        let claims = serde_json::json!({"preferred_username": "al"});
        let serde_json::Value::Object(claims) = claims else { unreachable!() };
        let alice = Arc::new(Verified {
            groups: vec!["staff".into(), "on,call".into()],
            email: Some("a@example.com".into()),
            name: Some("Alice".into()),
            claims: Arc::new(claims),
            ..fixtures::verified(CredentialKind::Jwt)
        });
        let lines = |preset| {
            let how =
                IdentityHeaders { preset, headers: Vec::new(), certificate: Default::default(), assertion: false };
            let headers = told(&Introducer::new(&how, &"app".into(), &fixtures::assertions()), &alice);
            let mut lines: Vec<_> =
                headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(
            lines(HeaderPreset::RemoteUser),
            [
                "remote-email: a@example.com",
                "remote-groups: staff,on%2Ccall",
                "remote-name: Alice",
                "remote-user: alice"
            ]
        );
        let family = |prefix: &str| {
            ["email: a@example.com", "groups: staff,on%2Ccall", "preferred-username: al", "user: alice"]
                .map(|line| format!("{prefix}-{line}"))
        };
        assert_eq!(lines(HeaderPreset::OAuth2Proxy), [family("x-auth-request"), family("x-forwarded")].concat());
    }

    #[test]
    fn an_own_name_replaces_that_of_the_preset() {
        let how = how(&[("x-user", IdentityField::Subject), ("x-auth-name", IdentityField::Subject)]);
        let introducer = Introducer::new(&how, &"app".into(), &fixtures::assertions());
        let headers = told(&introducer, &Arc::new(fixtures::verified(CredentialKind::Jwt)));
        assert_eq!(
            (&headers["x-user"], &headers["x-auth-name"]),
            (&"alice".parse().unwrap(), &"alice".parse().unwrap())
        );
    }

    #[test]
    fn each_identity_is_introduced_as_itself_through_every_generation() {
        let introducer = Introducer::new(&how(&[]), &"app".into(), &fixtures::assertions());
        for round in 0..2 {
            for n in 0..GENERATION * 3 {
                // Dropped at once, so that its address would be used again if the memory did not hold it.
                let identity = Arc::new(Verified {
                    principal: crate::model::Principal::new("i", &format!("{round}-{n}")),
                    ..fixtures::verified(CredentialKind::Jwt)
                });
                assert_eq!(told(&introducer, &identity)["x-auth-subject"], format!("{round}-{n}"));
            }
        }
        let known = introducer.known.lock().unwrap();
        assert!(known.young.len() <= GENERATION && known.old.len() <= GENERATION);
    }

    #[test]
    fn nobody_is_introduced_as_nobody() {
        let introducer = Introducer::new(&how(&[]), &"app".into(), &fixtures::assertions());
        assert!(introducer.introduce(&Identity::Anonymous, Timestamp(0)).unwrap().is_none());
    }
}
