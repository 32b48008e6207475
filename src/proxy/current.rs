//! The proxy that is in force on one worker: a reload puts another in its place.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};

use super::{Body, Proxy};
use crate::edge::{Connection, Handler, Hangup, Incoming};

/// Hands each request to the proxy that is in force when it comes, which serves it to its end: one request never sees two
/// configurations.
pub struct Current {
    proxy: RefCell<Rc<Proxy>>,
    /// Of listeners that are there no more: what comes on connections that have not finished yet is served as before.
    former: RefCell<Vec<Rc<Proxy>>>,
}

impl Current {
    /// Begins with this one.
    pub fn new(proxy: Proxy) -> Self {
        Self { proxy: RefCell::new(Rc::new(proxy)), former: RefCell::default() }
    }

    /// The one in force.
    pub fn proxy(&self) -> Rc<Proxy> {
        Rc::clone(&self.proxy.borrow())
    }

    /// From the next request on it is this one. `leaving`: whether connections of listeners that only others know may
    /// still be open.
    pub fn replace(&self, proxy: Proxy, leaving: bool) {
        let proxy = Rc::new(proxy);
        let old = self.proxy.replace(Rc::clone(&proxy));
        let mut former = self.former.borrow_mut();
        let before = if leaving {
            if old.listeners.iter().any(|listener| !proxy.has_listener(listener)) {
                former.push(old);
            }
            Vec::new()
        } else {
            std::mem::take(&mut *former)
        };
        // Dropped once nothing is borrowed: what a proxy holds may run code that comes back here.
        drop(former);
        drop(before);
    }

    /// Who serves a request of this connection.
    fn of(&self, connection: &Connection) -> Rc<Proxy> {
        let proxy = self.proxy.borrow();
        if proxy.knows(connection) {
            return Rc::clone(&proxy);
        }
        let former = self.former.borrow();
        Rc::clone(former.iter().rev().find(|former| former.knows(connection)).unwrap_or(&proxy))
    }
}

impl Proxy {
    fn has_listener(&self, listener: &Arc<crate::model::settings::ListenerSettings>) -> bool {
        self.listeners.iter().any(|own| Arc::ptr_eq(own, listener) || own.name == listener.name)
    }

    fn knows(&self, connection: &Connection) -> bool {
        self.has_listener(&connection.listener)
    }

    /// The connection as the listener is under this configuration: a trust that was withdrawn is withdrawn from
    /// connections that are open as well.
    pub(super) fn as_of_now(&self, connection: Arc<Connection>) -> Arc<Connection> {
        if self.listeners.iter().any(|own| Arc::ptr_eq(own, &connection.listener)) {
            return connection;
        }
        match self.listeners.iter().find(|own| own.name == connection.listener.name) {
            Some(listener) => Arc::new(connection.under(Arc::clone(listener))),
            None => connection,
        }
    }
}

impl Handler for Current {
    type Body = Body;

    async fn handle(
        &self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
        hangup: Hangup,
    ) -> Response<Self::Body> {
        let proxy = self.of(&connection);
        let connection = proxy.as_of_now(connection);
        proxy.handle(request, connection, hangup).await
    }
}
