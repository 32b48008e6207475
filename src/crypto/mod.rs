//! Keys, tokens, digests and random identifiers.

pub mod api_key;
pub mod dev_certs;
pub mod digest;
pub mod issuers;
pub mod jwt;
pub mod session_secret;
pub mod signer;

pub use issuers::{Issuers, KeyError};
pub use jwt::VerifiedToken;
pub use signer::Signer;
