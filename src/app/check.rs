//! All that starting would refuse, short of opening sockets and reaching others.

use std::sync::Arc;

use super::{App, Options, StartError};
use crate::edge::Listener;
use crate::gate::Gate;
use crate::model::settings::{Settings, StoreKind};
use crate::store::Store;
use crate::upstream::{Conditions, Upstreams};

impl App {
    /// Reads every file that the settings name and builds what starting would build.
    pub fn check(settings: &Settings) -> Result<(), StartError> {
        let Options { clock, entropy } = Options::default();
        let metrics = super::metrics(settings);
        let signer = Arc::new(super::signer(settings)?);
        let shared = super::shared(settings, &metrics, &clock, &entropy)?;
        // The store itself may be elsewhere, or in use by the running instance.
        let mut store = settings.store.clone();
        store.kind = StoreKind::Memory { file: None };
        let store = Store::open(&store, clock.clone(), metrics)?;
        Upstreams::new(&settings.upstreams, &Conditions::new(&settings.upstreams))?;
        Gate::new(settings, shared, store, signer)?;
        for listener in &settings.listeners {
            Listener::check(listener, &*clock).map_err(|problem| StartError::Configuration(problem.to_string()))?;
        }
        Ok(())
    }
}
