//! What a running instance cannot change.

use crate::model::settings::Settings;

/// The keys of which the two differ and that want a restart.
pub(super) fn changed(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let pairs = [
        ("server.workers", old.server.workers == new.server.workers),
        ("server.shed_above", old.server.shed_above == new.server.shed_above),
        ("store", old.store == new.store),
        ("health", old.health == new.health),
        ("admin", old.admin == new.admin),
        ("spiffe", old.spiffe == new.spiffe),
        ("log.format", old.log.json == new.log.json),
        ("log.level", old.log.level == new.log.level),
    ];
    pairs.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}

/// Why a configuration is refused that changes these.
pub(super) fn refusal(keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    format!("{} cannot be changed while running; restart to change this, or set it back", keys.join(", "))
}
