//! When certificates and revocation lists end, and who is to be told before.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Timestamp;

/// A warning comes at the earliest when this part of the whole lifetime is left: a certificate of an hour is not ending all
/// the time.
const LAST_PART: u32 = 4;

/// A file that is good for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// What it is for.
    pub kind: ExpiryKind,
    /// The name of the listener or upstream.
    pub name: Arc<str>,
    /// Its path, as configured.
    pub file: Arc<str>,
    /// Of each certificate or list in it; at least one.
    pub lifetimes: Vec<Lifetime>,
}

/// From when until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// `notBefore`, or `thisUpdate` of a revocation list.
    pub from: Timestamp,
    /// `notAfter`, or `nextUpdate` of a revocation list.
    pub until: Timestamp,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpiryKind {
    /// A listener's own certificate, with its chain.
    Listener,
    /// The CA bundle that clients' certificates are verified against.
    ClientCa,
    /// Revocation lists of clients' certificates.
    Crl,
    /// The certificate that an upstream is shown, with its chain.
    Upstream,
    /// The CA bundle that an upstream's certificate is verified against.
    UpstreamCa,
    /// Revocation lists of an upstream's certificates.
    UpstreamCrl,
}

/// What of a configuration ends, and how long before that is worth a warning.
#[derive(Debug, Clone, Default)]
pub struct Expiries {
    /// All files.
    pub files: Vec<Expiry>,
    /// How long before.
    pub notice: Duration,
}

/// Something ends soon, or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryWarning<'a> {
    /// Which file.
    pub expiry: &'a Expiry,
    /// When.
    pub until: Timestamp,
    /// How long until then; zero where it has ended.
    pub left: Duration,
}

impl ExpiryKind {
    /// As a label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::ClientCa => "client_ca",
            Self::Crl => "crl",
            Self::Upstream => "upstream",
            Self::UpstreamCa => "upstream_ca",
            Self::UpstreamCrl => "upstream_crl",
        }
    }

    /// Several certificates of which each is good for itself, rather than a chain that is as good as its weakest.
    const fn is_bundle(self) -> bool {
        matches!(self, Self::ClientCa | Self::UpstreamCa)
    }
}

impl Expiry {
    /// What ends first: of a chain and of revocation lists, the first to end; of a bundle, the next to end, as those that
    /// have ended do no harm beside others.
    pub fn next(&self, now: Timestamp) -> Lifetime {
        let first = |lifetimes: &mut dyn Iterator<Item = &Lifetime>| lifetimes.min_by_key(|life| life.until).copied();
        let current = first(&mut self.lifetimes.iter().filter(|life| life.until > now));
        let next = match current {
            Some(current) if self.kind.is_bundle() => Some(current),
            None if self.kind.is_bundle() => self.lifetimes.iter().max_by_key(|life| life.until).copied(),
            _ => first(&mut self.lifetimes.iter()),
        };
        next.unwrap_or(Lifetime { from: Timestamp(0), until: Timestamp::NEVER })
    }
}

impl Expiries {
    /// What ends soon, or has ended.
    pub fn warnings(&self, now: Timestamp) -> impl Iterator<Item = ExpiryWarning<'_>> {
        self.files.iter().filter_map(move |expiry| {
            let Lifetime { from, until } = expiry.next(now);
            let left = until.since(now);
            let notice = self.notice.min(until.since(from) / LAST_PART);
            (left <= notice).then_some(ExpiryWarning { expiry, until, left })
        })
    }
}

impl fmt::Display for ExpiryWarning<'_> {
    /// `listener.public: certificate expires in 6 days (/etc/tls/tls.crt)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Expiry { kind, name, file, .. } = self.expiry;
        let (table, what) = match kind {
            ExpiryKind::Listener => ("listener", "certificate"),
            ExpiryKind::ClientCa => ("listener", "a CA of client certificates"),
            ExpiryKind::Crl => ("listener", "revocation list"),
            ExpiryKind::Upstream => ("upstream", "client certificate"),
            ExpiryKind::UpstreamCa => ("upstream", "a CA"),
            ExpiryKind::UpstreamCrl => ("upstream", "revocation list"),
        };
        write!(f, "{table}.{name}: {what} ")?;
        if self.left.is_zero() {
            f.write_str("has expired")?
        } else {
            write!(f, "expires in {}", InWords(self.left))?
        }
        write!(f, " ({file})")
    }
}

/// A time in its largest unit, rounded down.
pub struct InWords(pub Duration);

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (number, unit) = match seconds {
            172_800.. => (seconds / 86_400, "days"),
            7_200.. => (seconds / 3_600, "hours"),
            120.. => (seconds / 60, "minutes"),
            1 => (1, "second"),
            _ => (seconds, "seconds"),
        };
        write!(f, "{number} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn expiry(kind: ExpiryKind, days: &[(u64, u64)]) -> Expiry {
        let time = |days: u64| Timestamp::from_secs(days * DAY);
        let lifetimes = days.iter().map(|(from, until)| Lifetime { from: time(*from), until: time(*until) }).collect();
        Expiry { kind, name: "public".into(), file: "tls.crt".into(), lifetimes }
    }

    fn warnings(expiry: Expiry, today: u64) -> Vec<String> {
        let expiries = Expiries { files: vec![expiry], notice: Duration::from_secs(7 * DAY) };
        expiries.warnings(Timestamp::from_secs(today * DAY)).map(|warning| warning.to_string()).collect()
    }

    #[test]
    fn a_warning_comes_in_time_and_not_all_the_time() {
        let of_ninety_days = || expiry(ExpiryKind::Listener, &[(100, 190)]);
        assert_eq!(warnings(of_ninety_days(), 182), [""; 0]);
        assert_eq!(warnings(of_ninety_days(), 184), ["listener.public: certificate expires in 6 days (tls.crt)"]);
        assert_eq!(warnings(of_ninety_days(), 190), ["listener.public: certificate has expired (tls.crt)"]);
        // Good for eight days in all: the last two of them.
        assert_eq!(warnings(expiry(ExpiryKind::Upstream, &[(100, 108)]), 105), [""; 0]);
        assert_eq!(warnings(expiry(ExpiryKind::Upstream, &[(100, 108)]), 106).len(), 1);
    }

    #[test]
    fn a_chain_ends_with_its_first_and_a_bundle_with_the_next() {
        let days: &[(u64, u64)] = &[(0, 500), (0, 200), (0, 300)];
        let ends = |kind, today: u64| expiry(kind, days).next(Timestamp::from_secs(today * DAY)).until.as_secs() / DAY;
        assert_eq!(ends(ExpiryKind::Listener, 100), 200);
        assert_eq!(ends(ExpiryKind::Listener, 250), 200, "an expired intermediate breaks the chain");
        assert_eq!(ends(ExpiryKind::Crl, 250), 200, "an expired list refuses what its CA signed");
        assert_eq!(ends(ExpiryKind::ClientCa, 100), 200);
        assert_eq!(ends(ExpiryKind::ClientCa, 250), 300);
        assert_eq!(ends(ExpiryKind::UpstreamCa, 600), 500);
    }

    #[test]
    fn times_are_told_in_one_unit() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (90, "90 seconds"),
            (7_199, "119 minutes"),
            (172_799, "47 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(InWords(Duration::from_secs(seconds)).to_string(), words);
        }
    }
}
