//! Values of identity headers.
//!
//! One rule: every byte of the UTF-8 text that is no visible ASCII character (`!` to `~`), and `%` itself, is
//! percent-encoded; in a list, so is its separator. A value therefore never holds a space, a line end or a control
//! character, and percent-decoding (after splitting a list) gives back the text exactly.

use std::fmt::Write as _;

use http::HeaderValue;
use serde_json::Value;

use crate::model::settings::IdentityField;
use crate::model::{CredentialKind, Verified};

/// What a field says of an identity; `None` where it says nothing.
pub(super) fn of(field: &IdentityField, identity: &Verified) -> Option<HeaderValue> {
    match field {
        IdentityField::Subject => single(&identity.principal.subject),
        IdentityField::Issuer => single(&identity.principal.issuer),
        IdentityField::Method => single(identity.kind.name()),
        IdentityField::Roles => list(&identity.roles, ','),
        IdentityField::Scopes => list(&identity.scopes, ' '),
        IdentityField::Groups => list(&identity.groups, ','),
        IdentityField::Tenant => single(identity.tenant.as_deref()?),
        IdentityField::Email => single(identity.email.as_deref()?),
        IdentityField::Name => single(identity.name.as_deref()?),
        IdentityField::Session if identity.kind == CredentialKind::Session => single(&identity.credential_id),
        IdentityField::Session => None,
        IdentityField::Credential => single(&identity.credential_id),
        IdentityField::Claim(place) => claim(place, identity),
    }
}

fn single(text: &str) -> Option<HeaderValue> {
    let mut encoded = String::with_capacity(text.len());
    encode(text, None, &mut encoded);
    value(encoded)
}

fn list<S: AsRef<str>>(items: &[S], separator: char) -> Option<HeaderValue> {
    let mut encoded = String::new();
    for item in items.iter().map(AsRef::as_ref).filter(|item| !item.is_empty()) {
        if !encoded.is_empty() {
            encoded.push(separator);
        }
        encode(item, u8::try_from(separator).ok(), &mut encoded);
    }
    value(encoded)
}

/// A claim by JSON pointer or plain name: texts, numbers and truth values as they are, lists of texts separated by
/// commas, all else as JSON.
fn claim(place: &str, identity: &Verified) -> Option<HeaderValue> {
    let found = identity.claim(place)?;
    match found {
        Value::Null => None,
        Value::String(text) => single(text),
        Value::Array(items) => match items.iter().map(Value::as_str).collect::<Option<Vec<&str>>>() {
            Some(texts) => list(&texts, ','),
            None => single(&found.to_string()),
        },
        other => single(&other.to_string()),
    }
}

fn encode(text: &str, separator: Option<u8>, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' && Some(byte) != separator {
            into.push(char::from(byte));
        } else {
            let _infallible = write!(into, "%{byte:02X}");
        }
    }
}

fn value(encoded: String) -> Option<HeaderValue> {
    if encoded.is_empty() { None } else { HeaderValue::try_from(encoded).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: Option<HeaderValue>) -> Option<String> {
        value.map(|v| v.to_str().unwrap().to_owned())
    }

    #[test]
    fn f06_what_is_not_clean_is_encoded() {
        for (plain, encoded) in [
            ("alice", "alice"),
            ("spiffe://cluster/ns/a", "spiffe://cluster/ns/a"),
            ("a\r\nX-Admin: 1", "a%0D%0AX-Admin:%201"),
            (" admin", "%20admin"),
            ("admin ", "admin%20"),
            ("Zoë", "Zo%C3%AB"),
            ("100%41", "100%2541"),
            ("a\u{0}", "a%00"),
        ] {
            assert_eq!(text(single(plain)).as_deref(), Some(encoded));
        }
        assert_eq!(text(single("")), None);
    }

    #[test]
    fn an_item_cannot_become_two() {
        assert_eq!(text(list(&["a,admin", "b"], ',')).as_deref(), Some("a%2Cadmin,b"));
        assert_eq!(text(list(&["read admin", "x"], ' ')).as_deref(), Some("read%20admin x"));
        assert_eq!(text(list(&["", ""], ',')), None);
        assert_eq!(text(list::<&str>(&[], ',')), None);
    }

    #[test]
    fn claims_are_found_by_name_and_by_pointer() {
        let claims = serde_json::json!({
            "plan": "gold", "n": 7, "t": true, "nothing": null, "list": ["a", "b,c"], "mixed": ["a", 1],
            "deep": {"x": {"y/z": "found"}}, "a/b": "slash",
        });
        let Value::Object(claims) = claims else { unreachable!() };
        let identity = Verified { claims: claims.into(), ..crate::gate::fixtures::verified(CredentialKind::Jwt) };
        for (place, expected) in [
            ("plan", Some("gold")),
            ("/plan", Some("gold")),
            ("n", Some("7")),
            ("t", Some("true")),
            ("nothing", None),
            ("missing", None),
            ("/list", Some("a,b%2Cc")),
            ("mixed", Some("[\"a\",1]")),
            ("/deep/x/y~1z", Some("found")),
            ("/a~1b", Some("slash")),
            ("/deep/none", None),
        ] {
            assert_eq!(text(of(&IdentityField::Claim(place.into()), &identity)).as_deref(), expected, "{place}");
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_back_the_text(items in prop::collection::vec("\\PC{1,12}|[\\x00-\\x7f]{1,8}", 1..4)) {
            let value = list(&items, ',').unwrap();
            let decoded: Vec<String> = value.to_str().unwrap().split(',')
                .map(|item| percent_encoding::percent_decode_str(item).decode_utf8().unwrap().into_owned()).collect();
            prop_assert_eq!(decoded, items);
        }
    }
}
