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

async fn verify(issuers: &Issuers, token: &str) -> Result<VerifiedToken, Denial> {
    issuers.verify(token, Timestamp::from_secs(NOW)).await
}

async fn refusal(issuers: &Issuers, token: &str) -> Reason {
    match verify(issuers, token).await {
        Ok(_) => panic!("accepted: {token}"),
        Err(denial) => denial.reason,
    }
}
