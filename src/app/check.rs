//! All that starting would refuse, short of opening sockets and reaching others.

use super::generation::Generation;
use super::{App, Options, StartError, certificates, workers};
use crate::edge::Listener;
use crate::model::settings::{Settings, StoreKind};
use crate::store::Store;
use crate::upstream::Upstreams;

impl App {
    /// What ends soon of what the settings name, in words.
    pub fn ending(settings: &Settings) -> Vec<String> {
        let now = Options::default().clock.now();
        certificates::expiries(settings).warnings(now).map(|warning| warning.to_string()).collect()
    }

    /// Reads every file that the settings name and builds what starting would build.
    pub fn check(settings: &Settings) -> Result<(), StartError> {
        let options = Options::default();
        let metrics = super::metrics(settings);
        let generation = Generation::first(settings.clone(), &metrics, &options)?;
        // The store itself may be elsewhere, or in use by the running instance.
        let mut store = settings.store.clone();
        store.kind = StoreKind::Memory { file: None };
        let store = Store::open(&store, options.clock.clone(), metrics)?;
        Upstreams::new(&settings.upstreams, &generation.conditions)?;
        workers::gate(&generation, store)?;
        for listener in &settings.listeners {
            Listener::check(listener, &options.clock)
                .map_err(|problem| StartError::Configuration(problem.to_string()))?;
        }
        Ok(())
    }
}
