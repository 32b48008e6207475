//! What became of DPoP proofs.

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofOutcome {
    /// It was good, and used for the first time.
    Accepted,
    /// It proved nothing for its request.
    Invalid,
    /// It lacked a nonce of this instance.
    NonceWanted,
    /// It was used before.
    Replayed,
    /// Whether it was could not be found out.
    Undecided,
}

impl ProofOutcome {
    pub(super) const ALL: [Self; 5] =
        [Self::Accepted, Self::Invalid, Self::NonceWanted, Self::Replayed, Self::Undecided];

    /// The label.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Invalid => "invalid",
            Self::NonceWanted => "nonce_wanted",
            Self::Replayed => "replayed",
            Self::Undecided => "undecided",
        }
    }
}
