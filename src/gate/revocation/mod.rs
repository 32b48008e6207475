//! Stage 5: the in-memory set of what is revoked, fed by the revocation log.

mod follow;
mod set;
mod shards;
mod target;

pub use follow::follow;
pub use set::RevocationSet;
