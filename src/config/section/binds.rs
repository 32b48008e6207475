//! Two sections that want the same address.

use std::sync::Arc;

use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::config::source::Place;
use crate::model::settings::{AdminSettings, Bind, HealthSettings, ListenerSettings};

/// Reports addresses that are bound twice; port 0 is another one each time.
pub(in crate::config) fn check(
    listeners: &[Arc<ListenerSettings>],
    health: Option<&HealthSettings>,
    admin: Option<&AdminSettings>,
    context: &Context<'_>,
) {
    let sections = context.named("listener");
    let place = |name: &str, key: &str| context.section(name).map(|section| section.place_of(key));
    let listeners = listeners.iter().filter_map(|listener| {
        let (_, section) = sections.iter().find(|(name, _)| *name == listener.name)?;
        Some((listener.bind.clone(), section.place_of("bind")))
    });
    let health = health.and_then(|health| Some((Bind::Tcp(health.bind), place("health", "bind")?)));
    let tcp = admin.and_then(|admin| Some((Bind::Tcp(admin.tcp.as_ref()?.bind), place("admin", "bind")?)));
    let socket = admin.and_then(|admin| Some((Bind::Unix(admin.socket.clone()?), place("admin", "socket")?)));
    let mut binds: Vec<(Bind, Place)> = listeners.chain(health).chain(tcp).chain(socket).collect();
    binds.sort_by_key(|(_, place)| *place);
    for (index, (bind, place)) in binds.iter().enumerate() {
        let any_port = matches!(bind, Bind::Tcp(address) if address.port() == 0);
        if let Some((_, first)) = binds.iter().take(index).find(|(other, _)| other == bind && !any_port) {
            let fault = Fault::new(format!("`{bind}` is bound twice")).and(*first, "first here");
            context.report.problem(*place, fault);
        }
    }
}
