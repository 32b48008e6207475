//! Requests for one host over a connection that was opened for another (RFC 9110, section 15.5.20), where it matters
//! which client certificate the connection has.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderValue;

use crate::edge::Connection;
use crate::model::CredentialKind;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{Accept, HostPattern, RouteSettings};

/// The hosts for which client certificates count, by listener. A route for any host names none.
#[derive(Debug, Default)]
pub(super) struct CertificateHosts(BTreeMap<Arc<str>, Vec<HostPattern>>);

impl CertificateHosts {
    pub(super) fn new(routes: &[Arc<RouteSettings>]) -> Self {
        let mut hosts = BTreeMap::<Arc<str>, Vec<HostPattern>>::new();
        for route in routes.iter().filter(|route| takes_certificates(&route.accept)) {
            let named = route.matches.iter().map(|each| &each.host).filter(|host| **host != HostPattern::Any);
            for host in named {
                for listener in &route.listeners {
                    hosts.entry(listener.clone()).or_default().push(host.clone());
                }
            }
        }
        Self(hosts)
    }

    /// Refuses a request whose `Host` is another than the name that its connection was opened for, if client
    /// certificates count for either: a client shows one host a certificate and another none. A client that named no
    /// host is asked for its certificate like any other.
    pub(super) fn check(&self, connection: &Connection, host: &HeaderValue) -> Result<(), Denial> {
        let (Some(hosts), Some(asked)) = (self.0.get(&connection.listener.name), &connection.server_name) else {
            return Ok(());
        };
        let (asked, host) = (plain(asked), plain(host.to_str().unwrap_or_default()));
        if asked == host || !hosts.iter().any(|known| known.matches(&asked) || known.matches(&host)) {
            return Ok(());
        }
        Err(Denial::because(Reason::Misdirected, "the connection was opened for another host"))
    }
}

fn takes_certificates(accept: &Accept) -> bool {
    match accept {
        Accept::Public => false,
        Accept::OneOf { alternatives, .. } => {
            alternatives.iter().any(|one| one.kind == CredentialKind::Mtls || one.with_certificate)
        }
    }
}

/// Without port, trailing dot and case. Addresses in brackets are no name that TLS could ask for (RFC 6066, section 3).
fn plain(host: &str) -> String {
    let name = host.split(':').next().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
