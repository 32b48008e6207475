//! What two processes say to each other while one takes the place of the other: a line of JSON each.

use serde::{Deserialize, Serialize};

/// Tells a process that its standard input leads to the one whose place it is to take.
pub(super) const VARIABLE: &str = "PORTCULLIS_TAKES_OVER";
/// More descriptors than this cannot be sent at once (`SCM_MAX_FD`).
pub(super) const MOST: usize = 253;
/// Longest line in bytes.
pub(super) const LONGEST: usize = 64 * 1024;
/// The last word of the process before: the sockets are the new one's.
pub(super) const GO: &[u8] = b"go\n";

/// What a socket is for, which goes with its descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Label {
    /// `listener.NAME`, `health`, `admin` or `admin.socket`.
    pub(super) purpose: String,
    /// Where it listens, as configured.
    pub(super) bind: String,
}

/// What the new process says, once.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// It could serve.
    Ready {
        /// The sockets of this purpose are those it was given; the others are not needed.
        taken: Vec<String>,
    },
    /// It cannot, and why.
    Failed(String),
}
