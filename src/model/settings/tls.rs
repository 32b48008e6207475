//! `[listener.NAME.tls]`

use std::path::PathBuf;

use super::HostPattern;
use crate::model::host::plain_host;

/// `[listener.NAME.tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// At least one; SNI chooses among them, the first serves clients that name none.
    pub certificates: Vec<CertificateFiles>,
    /// Client certificates; `None`: none is asked for.
    pub client_auth: Option<ClientAuth>,
    /// The names for which something else holds. None twice.
    pub hosts: Vec<TlsHost>,
    /// Whether TLS 1.2 is spoken beside 1.3.
    pub tls12: bool,
}

/// What holds for clients that ask for a host of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsHost {
    /// One name, or all names under one.
    pub host: HostPattern,
    /// Client certificates; `None`: none is asked for.
    pub client_auth: Option<ClientAuth>,
}

impl TlsSettings {
    /// The place in [`TlsSettings::hosts`] of what holds for a name: the exact one before the longest suffix. `None`: what
    /// holds for the listener, as it does for clients that name no host.
    pub fn host_of(&self, name: Option<&str>) -> Option<usize> {
        if self.hosts.is_empty() {
            return None;
        }
        let name = plain_host(name?);
        let weight = |host: &HostPattern| match host {
            HostPattern::Any => 0,
            HostPattern::Suffix(suffix) => suffix.len(),
            HostPattern::Exact(_) => usize::MAX,
        };
        let found = self.hosts.iter().enumerate().filter(|(_, known)| known.host.matches(&name));
        found.max_by_key(|(_, known)| weight(&known.host)).map(|(at, _)| at)
    }

    /// What is asked of clients that ask for a name.
    pub fn client_auth_of(&self, name: Option<&str>) -> Option<&ClientAuth> {
        match self.host_of(name).and_then(|at| self.hosts.get(at)) {
            Some(host) => host.client_auth.as_ref(),
            None => self.client_auth.as_ref(),
        }
    }

    /// Whether some clients need a certificate that need none under `before`.
    pub fn demands_more_than(&self, before: &Self) -> bool {
        // A name for each rule that there is, under which no other rule of the two has anything more exact.
        let names = self.hosts.iter().chain(&before.hosts).map(|known| match &known.host {
            HostPattern::Any => None,
            HostPattern::Exact(name) => Some(name.to_string()),
            HostPattern::Suffix(suffix) => Some(format!("*.{suffix}")),
        });
        let demands = |settings: &Self, name: Option<&str>| settings.client_auth_of(name).is_some_and(|a| a.required);
        std::iter::once(None)
            .chain(names)
            .any(|name| demands(self, name.as_deref()) && !demands(before, name.as_deref()))
    }
}

/// A certificate chain and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, end entity first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// `client_auth`: who may present a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Refuse the handshake without one.
    pub required: bool,
    /// The CA bundle, PEM; never empty.
    pub ca: PathBuf,
    /// Revocation lists, PEM.
    pub crls: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(required: bool) -> ClientAuth {
        ClientAuth { required, ca: "ca.pem".into(), crls: Vec::new() }
    }

    fn settings(own: Option<ClientAuth>, hosts: Vec<(HostPattern, Option<ClientAuth>)>) -> TlsSettings {
        let hosts = hosts.into_iter().map(|(host, client_auth)| TlsHost { host, client_auth }).collect();
        TlsSettings { certificates: Vec::new(), client_auth: own, hosts, tls12: true }
    }

    fn exact(name: &str) -> HostPattern {
        HostPattern::Exact(name.into())
    }

    fn under(name: &str) -> HostPattern {
        HostPattern::Suffix(name.into())
    }

    #[test]
    fn a_name_goes_by_itself_then_by_its_longest_suffix_then_by_the_listener() {
        let hosts = vec![(under("example"), None), (under("b.example"), None), (exact("a.b.example"), None)];
        let settings = settings(Some(asking(false)), hosts);
        for (name, found) in [
            ("a.b.example", Some(2)),
            ("A.B.Example.:443", Some(2)),
            ("c.b.example", Some(1)),
            ("c.a.b.example", Some(1)),
            ("b.example", Some(0)),
            ("example", None),
            ("xexample", None),
            ("127.0.0.1", None),
            ("", None),
        ] {
            assert_eq!(settings.host_of(Some(name)), found, "{name}");
        }
        assert_eq!(settings.host_of(None), None);
        assert_eq!(settings.client_auth_of(Some("b.example")), None);
        assert_eq!(settings.client_auth_of(None), Some(&asking(false)));
    }

    #[test]
    fn more_is_demanded_where_any_name_needs_a_certificate_that_needed_none() {
        let none = || settings(None, vec![(exact("a.x"), None), (under("x"), Some(asking(false)))]);
        let same = |new: &TlsSettings| new.demands_more_than(&none());
        assert!(!same(&none()));
        assert!(same(&settings(Some(asking(true)), vec![])));
        assert!(same(&settings(None, vec![(exact("b.x"), Some(asking(true)))])));
        assert!(same(&settings(None, vec![(under("x"), Some(asking(true)))])));
        assert!(!same(&settings(Some(asking(false)), vec![(exact("a.x"), Some(asking(false)))])));
        let demanding = settings(None, vec![(under("x"), Some(asking(true)))]);
        assert!(!demanding.demands_more_than(&demanding));
        // An exception of before is one no more.
        let excepted = settings(None, vec![(under("x"), Some(asking(true))), (exact("a.x"), None)]);
        assert!(demanding.demands_more_than(&excepted) && !excepted.demands_more_than(&demanding));
    }
}
