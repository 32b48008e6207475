//! `[dpop]`: proofs that the client holds the key that its token is bound to (RFC 9449).

use std::time::Duration;

use super::Algorithm;

/// `[dpop]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpopSettings {
    /// Algorithms that a proof may be signed with; never empty, asymmetric all of them.
    pub algorithms: Vec<Algorithm>,
    /// How old a proof may be: by its nonce where there are nonces, else by its `iat`.
    pub max_age: Duration,
    /// How far the clocks of clients may be ahead.
    pub leeway: Duration,
    /// Who remembers the proofs that were used.
    pub replay: ReplayScope,
    /// Whether a proof must contain a nonce that this instance gave out; always with [`ReplayScope::Instance`].
    pub nonce: bool,
    /// How many used proofs an instance remembers at most; beyond, proofs are refused (503) until others have expired.
    pub max_remembered: usize,
}

/// Who remembers the proofs that were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayScope {
    /// Each instance its own, which are of no use elsewhere by their nonce.
    Instance,
    /// The store, for all instances: one call for each request.
    Shared,
}
