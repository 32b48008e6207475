//! JWS compact serialization (RFC 7515, section 7.1): three segments, taken apart once.

use serde_json::{Map, Value};

use super::json;
use crate::crypto::base64url;
use crate::model::Denial;
use crate::model::denial::Reason;

/// What a token says of itself. **Nothing of it is proved**: for people who look, never for a decision.
#[derive(Debug, Clone)]
pub struct Unverified {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Header and claims of a token, without verifying anything.
pub fn inspect(token: &str) -> Result<Unverified, Denial> {
    let Compact { header, claims, .. } = Compact::parse(token)?;
    Ok(Unverified { header, claims })
}

/// A token in its parts; nothing is proved yet.
pub(crate) struct Compact<'a> {
    /// What the signature is over: the first two segments and the dot between them.
    pub(crate) signing_input: &'a str,
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Denial> {
        let mut segments = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            let dots = token.bytes().filter(|b| *b == b'.').count();
            return Err(malformed(match dots {
                4 => "segments: token has 5 and is encrypted (JWE), 3 are wanted".to_owned(),
                _ => format!("segments: token has {}, 3 are wanted", dots.saturating_add(1)),
            }));
        };
        Ok(Self {
            signing_input: token.get(..header.len() + 1 + claims.len()).unwrap_or_default(),
            header: object("header", header)?,
            claims: object("claims", claims)?,
            signature: bytes("signature", signature)?,
        })
    }
}

fn object(name: &str, segment: &str) -> Result<Map<String, Value>, Denial> {
    json::object(&bytes(name, segment)?).map_err(|e| malformed(format!("{name}: token's {e}")))
}

fn bytes(name: &str, segment: &str) -> Result<Vec<u8>, Denial> {
    base64url::decode(segment).ok_or_else(|| malformed(format!("{name}: token's is not canonical base64url")))
}

pub(super) fn malformed(detail: String) -> Denial {
    Denial::because(Reason::TokenMalformed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_token_apart() {
        let token =
            format!("{}.{}.c2ln", base64url::encode(b"{\"alg\":\"ES256\"}"), base64url::encode(b"{\"sub\":\"s\"}"));
        let compact = Compact::parse(&token).unwrap();
        assert_eq!(compact.signing_input, &token[..token.len() - 5]);
        assert_eq!((compact.header["alg"].as_str(), compact.claims["sub"].as_str()), (Some("ES256"), Some("s")));
        assert_eq!(compact.signature, b"sig");
        assert_eq!(inspect(&token).unwrap().claims["sub"], "s");
    }

    #[test]
    fn f29_only_one_text_means_one_token() {
        let (h, c) = (base64url::encode(b"{}"), base64url::encode(b"{}"));
        assert!(Compact::parse(&format!("{h}.{c}.c2ln")).is_ok());
        for wrong in [
            format!("{h}.{c}"),
            format!("{h}.{c}.c2ln."),
            format!("{h}.{c}.c2ln.x.y"),
            format!("{h}=.{c}.c2ln"),
            format!("{h}.{c}.c2ln="),
            format!("{h}.{c}.c2lo\n"),
            format!("{h}.{c}.c2lnx"),
            format!(" {h}.{c}.c2ln"),
            format!("{h}. {c}.c2ln"),
            format!(".{c}.c2ln"),
            format!("{h}..c2ln"),
            "..".to_owned(),
            String::new(),
        ] {
            assert_eq!(inspect(&wrong).map(|_| ()).unwrap_err().reason, Reason::TokenMalformed, "{wrong:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(token in "\\PC{0,40}(\\.\\PC{0,40}){0,5}") {
            let _ = inspect(&token);
        }

        #[test]
        fn never_panics_on_what_is_almost_a_token(header in "\\PC{0,40}", claims in "\\PC{0,40}") {
            let _ = inspect(&format!("{}.{}.", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes())));
        }
    }
}
