//! The listeners that are open, and how they come to be those of another configuration.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StartError;
use crate::edge::{ListenError, Listener, Terms};
use crate::model::settings::{Bind, ListenerSettings, Settings};
use crate::model::{Clock, Observer};

/// The listeners that are open.
#[derive(Clone, Default)]
pub(super) struct Listeners(Arc<Mutex<Vec<Arc<Listener>>>>);

/// What is to become of them. Until it is put in force nothing has changed but that new sockets are open.
pub(super) struct Plan {
    renewed: Vec<(Arc<Listener>, Terms)>,
    opened: Vec<Arc<Listener>>,
    /// Those among `opened` whose socket is that of one of `leaving`.
    taken_over: Vec<(Arc<Listener>, Arc<Listener>)>,
    leaving: Vec<Arc<Listener>>,
}

impl Listeners {
    pub(super) fn new(listeners: Vec<Arc<Listener>>) -> Self {
        Self(Arc::new(Mutex::new(listeners)))
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Listener>> {
        self.lock().clone()
    }

    /// Every listener's name, and where it listens.
    pub(super) fn addresses(&self) -> Vec<(Arc<str>, Bind)> {
        let of = |listener: &Arc<Listener>| {
            let settings = listener.settings();
            let bind = listener.local_addr().map_or_else(|| settings.bind.clone(), Bind::Tcp);
            (settings.name.clone(), bind)
        };
        self.lock().iter().map(of).collect()
    }

    /// Reads certificates and opens what is new. A listener keeps its socket where it keeps its `bind`; one of another
    /// name that has the `bind` now gets the socket, so that nobody finds the door closed in between.
    pub(super) fn plan(
        &self,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Plan, StartError> {
        let mut leaving = self.all();
        let mut plan = Plan { renewed: Vec::new(), opened: Vec::new(), taken_over: Vec::new(), leaving: Vec::new() };
        let mut others = Vec::new();
        for new in &settings.listeners {
            let is_same = |listener: &Arc<Listener>| {
                let old = listener.settings();
                old.name == new.name && old.bind == new.bind
            };
            match leaving.iter().position(is_same) {
                Some(at) => {
                    let listener = leaving.remove(at);
                    let terms = listener.prepare(Arc::clone(new)).map_err(configuration)?;
                    plan.renewed.push((listener, terms));
                }
                None => others.push(Arc::clone(new)),
            }
        }
        plan.leaving = leaving;
        for new in others {
            plan.open(new, clock, observer)?;
        }
        Ok(plan)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn open(
        &mut self,
        new: Arc<ListenerSettings>,
        clock: &Arc<dyn Clock>,
        observer: &Arc<dyn Observer>,
    ) -> Result<(), StartError> {
        let has_bind = |listener: &&Arc<Listener>| match &new.bind {
            Bind::Tcp(address) => listener.local_addr() == Some(*address),
            Bind::Unix(_) => listener.settings().bind == new.bind,
        };
        let before = self.leaving.iter().find(has_bind).cloned();
        let socket: Option<OwnedFd> = match &before {
            Some(before) => Some(before.descriptor().map_err(|e| StartError::Failed(e.to_string()))?),
            None => None,
        };
        Listener::check(&new, clock).map_err(configuration)?;
        let listener = Arc::new(Listener::open_with(new, socket, clock.clone(), observer.clone())?);
        self.opened.push(Arc::clone(&listener));
        if let Some(before) = before {
            // As long as it is only a plan the socket is the other's.
            listener.give_away();
            self.taken_over.push((before, listener));
        }
        Ok(())
    }

    /// Those that workers are to accept from as well.
    pub(super) fn opened(&self) -> Vec<Arc<Listener>> {
        self.opened.clone()
    }

    /// Whether connections may be open of listeners that the configuration has no more.
    pub(super) fn leaves_any(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// New terms for those that stay.
    pub(super) fn renew(&mut self) -> Vec<Arc<Listener>> {
        let renewed = std::mem::take(&mut self.renewed);
        renewed
            .into_iter()
            .map(|(listener, terms)| {
                listener.renew(terms);
                listener
            })
            .collect()
    }

    /// Those that leave accept no more; what they have in common with others goes on.
    pub(super) fn retire(self, staying: Vec<Arc<Listener>>, listeners: &Listeners) {
        for (before, listener) in &self.taken_over {
            before.give_away();
            listener.keep();
        }
        self.leaving.iter().for_each(|listener| listener.retire());
        *listeners.lock() = staying.into_iter().chain(self.opened).collect();
    }
}

fn configuration(problem: ListenError) -> StartError {
    StartError::Configuration(problem.to_string())
}
