//! What is counted apart, as a number that nobody outside can aim at.

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;

use foldhash::quality::RandomState;

use crate::gate::Case;
use crate::model::Principal;
use crate::model::settings::LimitKey;

/// Makes the keys of one limit.
pub(super) struct Keys {
    parts: Vec<LimitKey>,
    /// Seeded anew for each process: collisions cannot be prepared.
    hasher: RandomState,
}

/// One part of a key; the variant is hashed too, so that a tenant is never taken for a principal.
#[derive(Hash)]
enum Part<'a> {
    V4(u32),
    /// The first 64 bits: what one subscriber has.
    V6(u64),
    Principal(&'a Principal),
    Credential(&'a Principal, &'a str),
    /// Tenants are names within an issuer.
    Tenant(&'a str, &'a str),
}

impl Keys {
    pub(super) fn of(parts: &[LimitKey]) -> Self {
        Self { parts: parts.to_vec(), hasher: RandomState::default() }
    }

    pub(super) fn key(&self, case: &Case<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for part in &self.parts {
            part_of(*part, case).hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn part_of<'a>(part: LimitKey, case: &Case<'a>) -> Part<'a> {
    let address = case.request.client.address;
    let Some(identity) = case.verified() else { return of_address(address) };
    let principal = &identity.principal;
    match part {
        LimitKey::ClientAddress => of_address(address),
        LimitKey::Principal => Part::Principal(principal),
        LimitKey::Credential => Part::Credential(principal, &identity.credential_id),
        LimitKey::Tenant => match &identity.tenant {
            Some(tenant) => Part::Tenant(&principal.issuer, tenant),
            None => Part::Principal(principal),
        },
    }
}

fn of_address<'a>(address: IpAddr) -> Part<'a> {
    match address.to_canonical() {
        IpAddr::V4(v4) => Part::V4(v4.to_bits()),
        IpAddr::V6(v6) => Part::V6((v6.to_bits() >> 64) as u64),
    }
}
