//! Nouns without I/O: what every other layer talks about.
//!
//! Nothing here opens a socket, reads a file, asks the time or draws a random number; those come in through
//! [`Clock`] and [`Entropy`].

pub mod client;
pub mod clock;
pub mod credential;
pub mod decision;
pub mod denial;
pub mod entropy;
pub mod expiry;
pub mod header;
pub mod host;
pub mod identity;
pub mod observer;
pub mod records;
pub mod reserved;
pub mod revocation;
pub mod secret;
pub mod settings;

pub use client::{Client, ClientCertificate, Told};
pub use clock::{Clock, SystemClock, Timestamp};
pub use credential::CredentialKind;
pub use decision::DecisionId;
pub use denial::Denial;
pub use entropy::{Entropy, SystemEntropy};
pub use identity::{Identity, Principal, Verified};
pub use observer::Observer;
pub use records::{ApiKeyRecord, SessionRecord};
pub use revocation::{LogEntry, Revocation};
pub use secret::Secret;
