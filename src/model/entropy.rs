//! Randomness as a parameter, so that tests can hold it.

/// Where secrets and identifiers come from.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `into` with bytes that nobody can predict.
    ///
    /// # Panics
    /// Where the source is broken: no secret may be made without it.
    fn fill(&self, into: &mut [u8]);
}

/// The operating system's generator (`getrandom(2)`).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "this is the one place that asks the kernel; without randomness no secret may be made; the kernel's source does not fail once seeded"
    )]
    fn fill(&self, into: &mut [u8]) {
        getrandom::fill(into).expect("the kernel's random source answers");
    }
}
