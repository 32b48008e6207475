//! What a listener answers that only sends clients to HTTPS.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};

use super::{Body, Proxy, request};
use crate::edge::{Connection, Refused};
use crate::model::denial::Reason;
use crate::model::settings::{HostPattern, ListenerSettings, Settings};
use crate::model::{Client, Denial};

/// A listener that clients can be sent to.
pub(super) struct Secure {
    listener: Arc<ListenerSettings>,
    /// Those that it is known to serve. What a client calls us is no host of ours only because a route takes any.
    hosts: Vec<HostPattern>,
}

/// All of them.
pub(super) fn secure(settings: &Settings) -> Vec<Secure> {
    let listeners = settings.listeners.iter().filter(|listener| listener.tls.is_some());
    listeners.map(|listener| Secure { listener: listener.clone(), hosts: settings.https_hosts(listener) }).collect()
}

impl Proxy {
    /// Where the same host and target are served by HTTPS; 404 where no listener with TLS serves them.
    pub(super) fn redirect<B>(
        &self,
        request: &Request<B>,
        connection: &Connection,
        client: &Client,
        port: u16,
    ) -> Result<Response<Body>, Denial> {
        if let Some(Refused(reason)) = request.extensions().get::<Refused>() {
            return Err(Denial::new(*reason));
        }
        let host = request::host(request)?;
        let mut denial = Denial::because(Reason::NoRoute, "no listener with TLS is known to serve this host");
        for secure in &self.secure {
            let head = self.head(request, &secure.listener.name, connection, client, &host);
            match self.gate.locate(&head) {
                Ok((host, target)) if secure.hosts.iter().any(|known| known.matches(&host)) => {
                    return moved(&host, port, target.as_str());
                }
                Ok(_) => {}
                Err(found) => denial = found,
            }
        }
        Err(denial)
    }
}

/// 308 rather than 301 (RFC 9110, section 15.4.9): the method and the body stay what they were, whatever the client.
fn moved(host: &str, port: u16, target: &str) -> Result<Response<Body>, Denial> {
    let location = match port {
        443 => format!("https://{host}{target}"),
        _ => format!("https://{host}:{port}{target}"),
    };
    // What does not begin with a slash would go on with the name of the host.
    let location = HeaderValue::try_from(location).ok().filter(|_| target.starts_with('/'));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location.ok_or(Reason::TargetForm)?);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(host: &str, port: u16, target: &str) -> Result<String, Reason> {
        let response = moved(host, port, target).map_err(|denial| denial.reason)?;
        assert_eq!(response.status(), 308);
        Ok(response.headers()[LOCATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn the_port_is_named_unless_it_is_that_of_https() {
        assert_eq!(location("a.example", 443, "/a%20b?c=%2F").unwrap(), "https://a.example/a%20b?c=%2F");
        assert_eq!(location("a.example", 8443, "/").unwrap(), "https://a.example:8443/");
        assert_eq!(location("[::1]", 8443, "/?").unwrap(), "https://[::1]:8443/?");
    }

    #[test]
    fn no_target_goes_on_with_the_name_of_the_host() {
        for target in ["", "*", ".evil.example/", "@evil.example/", ":80/"] {
            assert_eq!(location("a.example", 443, target), Err(Reason::TargetForm), "{target}");
        }
    }
}
