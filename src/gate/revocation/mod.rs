//! Stage 5: the in-memory set of what is revoked, fed by the revocation log.

mod follow;
mod set;
mod shards;
mod target;

#[cfg(test)]
pub(in crate::gate) use follow::Steps;
pub use follow::{Audience, follow};
pub use set::RevocationSet;
