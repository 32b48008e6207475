//! Requests for one host over a connection that was opened for another (RFC 9110, section 15.5.20), where it matters
//! which client certificate the connection has.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderValue;

use crate::edge::Connection;
use crate::model::CredentialKind;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::host::plain_host;
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

    /// Refuses a request whose `Host` is another than the name that its connection was opened for, where another client
    /// certificate (or none) could have come with it: TLS asks otherwise for either, or routes of either take certificates
    /// (a client shows one host a certificate and another none). A client that named no host was asked like any whose name
    /// nothing else is said of.
    pub(super) fn check(&self, connection: &Connection, host: &HeaderValue) -> Result<(), Denial> {
        let asked = connection.server_name.as_deref();
        let Some(tls) = &connection.listener.tls else { return Ok(()) };
        if asked.is_some_and(|asked| asked.as_bytes() == host.as_bytes()) {
            return Ok(());
        }
        let host = host.to_str().unwrap_or_default();
        if tls.client_auth_of(asked) != tls.client_auth_of(Some(host)) {
            return Err(misdirected("the connection was opened for a host that asks for other client certificates"));
        }
        let (Some(hosts), Some(asked)) = (self.0.get(&connection.listener.name), asked) else { return Ok(()) };
        let (asked, host) = (plain_host(asked), plain_host(host));
        if asked == host || !hosts.iter().any(|known| known.matches(&asked) || known.matches(&host)) {
            return Ok(());
        }
        Err(misdirected("the connection was opened for another host"))
    }
}

fn misdirected(why: &'static str) -> Denial {
    Denial::because(Reason::Misdirected, why)
}

fn takes_certificates(accept: &Accept) -> bool {
    match accept {
        Accept::Public => false,
        Accept::OneOf { alternatives, .. } => {
            alternatives.iter().any(|one| one.kind == CredentialKind::Mtls || one.with_certificate)
        }
    }
}
