//! Listeners that only send clients to HTTPS.

use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::model::settings::{Serve, Settings};

/// Whether the listener of this name serves no routes.
pub(super) fn is_one(context: &Context<'_>, name: &str) -> bool {
    context
        .named("listener")
        .iter()
        .any(|(known, section)| **known == *name && section.text("serve") == Some("redirect_to_https"))
}

/// Reports those that could send nobody anywhere.
pub(in crate::config) fn check(settings: &Settings, context: &Context<'_>) {
    let secure = || settings.listeners.iter().filter(|listener| listener.tls.is_some());
    for (name, section) in context.named("listener") {
        let Some(listener) = settings.listeners.iter().find(|listener| listener.name == name) else { continue };
        if listener.serve == Serve::Proxy {
            if section.is_written("https_port") {
                let fault = Fault::new(format!("`{}` redirects nobody", section.path));
                section.problem("https_port", fault.help("serve = \"redirect_to_https\""));
            }
        } else if listener.tls.is_some() {
            let fault = Fault::new(format!("`{}` speaks TLS itself", section.path));
            section.problem("serve", fault.help("`redirect_to_https` is for a listener in clear text"));
        } else if secure().all(|listener| settings.https_hosts(listener).is_empty()) {
            let fault = Fault::new("`redirect_to_https` knows no host: no listener with `tls` names one");
            let help = "give it `public_origin = \"https://…\"`, or hosts in its routes' `match`; requests for any other \
                        host are not redirected";
            section.problem("serve", fault.help(help));
        }
    }
}
