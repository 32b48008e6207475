//! Tokens against issuers, through the public door.

mod algorithms;
mod claims;
mod confusion;
mod remote;
mod rotation;
mod slow;
mod snapshot;
mod startup;
mod urls;

use crate::crypto::{Issuers, VerifiedToken};
use crate::model::denial::Reason;
use crate::model::{Denial, Timestamp};

use crate::crypto::testing::NOW;

impl Issuers {
    /// Puts these keys in place of those that the issuer of this name has.
    pub(crate) fn rotate(&self, name: &str, set: crate::crypto::KeySet) {
        let held = super::issuer::Held { set, fetched_at: Timestamp(0), until: Timestamp::NEVER };
        self.by_name[name].keys.store(Some(std::sync::Arc::new(held)));
    }
}

async fn verify(issuers: &Issuers, token: &str) -> Result<VerifiedToken, Denial> {
    issuers.verify(token, Timestamp::from_secs(NOW)).await
}

async fn refusal(issuers: &Issuers, token: &str) -> Reason {
    match verify(issuers, token).await {
        Ok(_) => panic!("accepted: {token}"),
        Err(denial) => denial.reason,
    }
}
