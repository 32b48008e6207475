//! The JOSE header (RFC 7515, section 4): what it may say, and what is never done because it says so.

use serde_json::{Map, Value};

use super::compact::malformed;
use crate::crypto::shown::{Shown, ShownList, kind};
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{Algorithm, IssuerSettings};

/// What of a header is looked at. `jku`, `jwk`, `x5u`, `x5c` and `x5t` are not: a token never says where its key is.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    /// `kid`, which picks among the issuer's keys and does nothing else.
    pub(crate) key_id: Option<&'a str>,
    algorithm: &'a str,
    typ: Option<&'a str>,
}

impl<'a> Header<'a> {
    /// Checks types, and refuses every extension: none is understood here (RFC 7515, section 4.1.11; RFC 7797).
    pub(crate) fn read(header: &'a Map<String, Value>) -> Result<Self, Denial> {
        if let Some(extensions) = header.get("crit") {
            let names = extensions.as_array().map(|a| a.iter().filter_map(Value::as_str).collect());
            let detail = format!("crit: token has {}, none is understood", ShownList(names.unwrap_or_default()));
            return Err(Denial::because(Reason::TokenCritical, detail));
        }
        if header.contains_key("b64") {
            return Err(Denial::because(Reason::TokenCritical, "b64: token has it, it is not understood"));
        }
        let Some(algorithm) = text(header, "alg")? else {
            return Err(malformed("alg: token has none, a string is wanted".to_owned()));
        };
        Ok(Self { key_id: text(header, "kid")?, algorithm, typ: text(header, "typ")? })
    }

    /// `alg`, which must be one that the issuer allows; the name is case-sensitive.
    pub(crate) fn algorithm(&self, issuer: &IssuerSettings) -> Result<Algorithm, Denial> {
        let allowed = Algorithm::parse(self.algorithm).filter(|a| issuer.algorithms.contains(a));
        allowed.ok_or_else(|| {
            let wanted = ShownList(issuer.algorithms.iter().map(|a| a.name()).collect());
            let detail = format!("alg: token has {}, issuer.{} wants {wanted}", Shown(self.algorithm), issuer.name);
            Denial::because(Reason::TokenAlgorithm, detail)
        })
    }

    /// `typ` must be one of the issuer's; where it names none, one that does not stand for another kind of token
    /// (RFC 8725, section 3.11). Case does not matter, nor does `application/` (RFC 7515, section 4.1.9).
    pub(crate) fn check_type(&self, issuer: &IssuerSettings) -> Result<(), Denial> {
        let lower = self.typ.unwrap_or_default().to_ascii_lowercase();
        let typ = lower.strip_prefix("application/").unwrap_or(&lower);
        let (fine, wanted) = if issuer.types.is_empty() {
            (!names_another_kind(typ), "one for access tokens".to_owned())
        } else {
            // Our own statement about an identity is no credential, whatever the settings say.
            let fine = typ != OWN_ASSERTION && issuer.types.iter().any(|t| **t == *typ);
            (fine, ShownList(issuer.types.iter().map(AsRef::as_ref).collect()).to_string())
        };
        if fine {
            return Ok(());
        }
        let has = Shown(self.typ.unwrap_or("none"));
        let detail = format!("typ: token has {has}, issuer.{} wants {wanted}", issuer.name);
        Err(Denial::because(Reason::TokenType, detail))
    }
}

const OWN_ASSERTION: &str = "portcullis-assertion+jwt";

/// `at+jwt` (RFC 9068) is the only structured name of an access token; every other `…+…` stands for another kind
/// (`logout+jwt`, `dpop+jwt`, `secevent+jwt`, `kb+jwt`, …), as do the bare names that some issuers use.
fn names_another_kind(typ: &str) -> bool {
    let other = ["id_token", "id", "logout_token", "logout", "refresh_token", "refresh", "jwe", "jose+json"];
    (typ.contains('+') && typ != "at+jwt") || other.contains(&typ)
}

fn text<'a>(header: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Denial> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        other => Err(malformed(format!("{name}: token has {}, a string is wanted", kind(other)))),
    }
}
