//! One file per section of the configuration: its keys, and what they mean.

pub(super) mod accept;
pub(super) mod admin;
pub(super) mod api_key;
pub(super) mod assertion;
pub(super) mod binds;
mod conflicts;
mod header;
pub(super) mod health;
mod identity;
pub(super) mod issuer;
mod issuer_keys;
pub(super) mod limit;
pub(super) mod listener;
pub(super) mod log;
pub(super) mod mtls;
mod pattern;
pub(super) mod preset;
pub(super) mod revocation;
pub(super) mod roles;
pub(super) mod route;
mod rule;
pub(super) mod server;
pub(super) mod session;
pub(super) mod store;
mod tls;
pub(super) mod upstream;
pub(super) mod warnings;
