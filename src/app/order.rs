//! What a worker is told from outside: to prepare for another configuration, and then to go by it or to forget it.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::generation::Generation;
use super::workers;
use crate::edge::{Listener, Server};
use crate::gate::Gate;
use crate::proxy::Current;

/// Orders, as a worker gets them.
pub(super) type Orders = mpsc::UnboundedReceiver<Order>;

/// One order.
pub(super) enum Order {
    /// Build everything, and change nothing.
    Prepare {
        /// From this.
        generation: Arc<Generation>,
        /// With this gate, which was built elsewhere: a core that serves requests has other things to do.
        gate: Box<Gate>,
        /// Whether it can be done.
        done: oneshot::Sender<Result<(), String>>,
    },
    /// Go by what was prepared, from the next request on.
    Commit {
        /// These are to be accepted from as well.
        opened: Vec<Arc<Listener>>,
        /// Whether connections may be open of listeners that have been taken away.
        leaving: bool,
        /// It is done.
        done: oneshot::Sender<()>,
    },
    /// Forget what was prepared.
    Abandon,
}

/// Does as it is told, until nobody can give orders any more.
pub(super) async fn carry_out(mut orders: Orders, current: Rc<Current>, server: Rc<Server<Current>>) {
    let mut prepared = None;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Prepare { generation, gate, done } => {
                let before = current.proxy();
                let outcome = workers::proxy(&generation, *gate, Some(&before), before.drain().clone());
                let outcome = outcome.map(|proxy| prepared = Some(proxy)).map_err(|problem| problem.to_string());
                // Whoever does not wait any more abandons it.
                let _ = done.send(outcome);
            }
            Order::Commit { opened, leaving, done } => {
                if let Some(proxy) = prepared.take() {
                    current.replace(proxy, leaving);
                    opened.into_iter().for_each(|listener| server.open(listener));
                }
                let _ = done.send(());
            }
            Order::Abandon => prepared = None,
        }
    }
}
