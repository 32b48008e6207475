//! How much memory a verified credential takes, about.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::Verified;

/// What an entry takes beside its identity: key, counters, the cache's own nodes.
const ENTRY: usize = 256;
/// What an allocation takes beside its bytes.
const ALLOCATION: usize = 32;
/// What a member of an object takes beside name and value.
const MEMBER: usize = 48;

/// Bytes, rather too many than too few.
pub(super) fn weight(verified: &Verified) -> u32 {
    let Verified { principal, issuer_name: _, credential_id, family, tenant, email, name, acr, .. } = verified;
    let optional = [family, tenant, email, name, acr];
    let texts = [&principal.subject, credential_id].into_iter().chain(optional.into_iter().flatten());
    let lists = [&verified.roles, &verified.scopes, &verified.groups, &verified.amr];
    let bytes = ENTRY
        + size_of::<Verified>()
        + texts.map(|text| text.len() + ALLOCATION).sum::<usize>()
        + lists.into_iter().map(|list| of_list(list)).sum::<usize>()
        + verified.networks.len() * size_of::<ipnet::IpNet>()
        + of_object(&verified.claims);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn of_list(list: &[Arc<str>]) -> usize {
    list.iter().map(|text| size_of::<Arc<str>>() + text.len() + ALLOCATION).sum()
}

fn of_object(object: &Map<String, Value>) -> usize {
    object.iter().map(|(name, value)| MEMBER + name.len() + of_value(value)).sum()
}

/// JSON is no deeper than its reader allows.
fn of_value(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() + ALLOCATION,
        Value::Array(items) => ALLOCATION + items.iter().map(of_value).sum::<usize>(),
        Value::Object(object) => ALLOCATION + of_object(object),
    };
    size_of::<Value>() + inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures;
    use crate::model::CredentialKind;

    #[test]
    fn all_that_a_client_can_make_long_counts() {
        let small = fixtures::verified(CredentialKind::Jwt);
        let long: Arc<str> = "x".repeat(10_000).into();
        let claims = |value: Value| Arc::new(Map::from_iter([("claim".to_owned(), value)]));
        let principal = crate::model::Principal { subject: long.clone(), ..small.principal.clone() };
        let text = Value::String(long.to_string());
        for (what, grown) in [
            ("subject", Verified { principal, ..small.clone() }),
            ("id", Verified { credential_id: long.clone(), ..small.clone() }),
            ("roles", Verified { roles: vec![long.clone()], ..small.clone() }),
            ("groups", Verified { groups: vec!["".into(); 500], ..small.clone() }),
            ("email", Verified { email: Some(long), ..small.clone() }),
            ("claim", Verified { claims: claims(text.clone()), ..small.clone() }),
            ("list", Verified { claims: claims(vec![Value::Null; 500].into()), ..small.clone() }),
            ("object", Verified { claims: claims(serde_json::json!({ "inner": text })), ..small.clone() }),
        ] {
            assert!(weight(&grown) >= weight(&small) + 9_000, "{what}");
        }
    }
}
