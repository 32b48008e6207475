//! Keys, tokens, digests and random identifiers.

pub mod api_key;
mod base62;
pub mod base64url;
pub mod certificate;
mod client_auth;
pub mod client_credentials;
mod crc32;
pub mod dev_authority;
pub mod dev_certs;
pub mod digest;
pub mod dpop;
pub mod expiry;
pub mod htpasswd;
pub mod introspection;
pub mod issuers;
pub mod jwt;
mod key;
pub mod keyed;
pub mod session_secret;
pub(crate) mod shown;
pub mod signed;
pub mod signed_value;
pub mod signer;
#[cfg(test)]
pub(crate) mod testing;
pub mod websocket_key;
pub mod workload;

pub use introspection::{Introspected, Introspector};
pub use issuers::{Issuers, KeyError};
pub(crate) use jwt::json;
pub use jwt::{Unverified, VerifiedToken};
pub use key::set::KeySet;
pub use signer::Signer;
