//! The admin plane: health and metrics on a listener of their own, operations on a socket that only its owner can open.

pub mod api;
pub mod guard;
pub mod health;
mod in_force;
pub mod operations;
pub mod readiness;
pub mod reload;
mod request;
pub mod serve;
pub mod socket;
pub mod views;

pub use api::Api;
pub use guard::Guard;
pub use health::Health;
pub use in_force::in_force;
pub use operations::{EndedSession, Grants, NewKey, NewSession, OperationError, Operations, Revoke};
pub use readiness::{Phase, Readiness};
pub use reload::{ReloadRequest, ReloadView, Reloads};
pub use socket::AdminSocket;
