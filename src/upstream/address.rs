//! The addresses of an endpoint's name, as one worker uses them.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::slot::Slot;

/// For how long an address that could not be reached is tried after the others.
const AVOID: Duration = Duration::from_secs(10);

/// One of them.
pub(super) struct Address {
    at: SocketAddr,
    /// Requests on their way to it, or being answered.
    in_use: Cell<usize>,
    avoid_until: Cell<Option<Instant>>,
    /// Whether it is no address of the name any more.
    gone: Cell<bool>,
}

impl Address {
    fn new(at: SocketAddr) -> Rc<Self> {
        Rc::new(Self { at, in_use: Cell::new(0), avoid_until: Cell::new(None), gone: Cell::new(false) })
    }

    /// It could not be reached.
    pub(super) fn avoid(&self) {
        self.avoid_until.set(Some(Instant::now() + AVOID));
    }

    /// A connection to it has come about.
    pub(super) fn is_reached(&self) {
        self.avoid_until.set(None);
    }

    /// Whether new requests are to go elsewhere.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.get()
    }
}

/// A request to an address, counted until this is dropped.
pub(super) struct Visit(Rc<Address>);

impl Visit {
    pub(super) fn to(address: &Rc<Address>) -> Self {
        address.in_use.set(address.in_use.get() + 1);
        Self(address.clone())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.in_use.set(self.0.in_use.get().saturating_sub(1));
    }
}

/// Those that count now; empty until they are known.
#[derive(Default)]
pub(super) struct Addresses {
    known: RefCell<Vec<Rc<Address>>>,
    /// Where to begin, so that equals take turns.
    turn: Cell<usize>,
}

impl Addresses {
    /// These count from now on. What is known of those that stay is kept.
    pub(super) fn are(&self, found: &[SocketAddr]) {
        let mut known = self.known.borrow_mut();
        let same = |at: &SocketAddr| known.iter().find(|address| address.at == *at).cloned();
        let new: Vec<_> = found.iter().map(|at| same(at).unwrap_or_else(|| Address::new(*at))).collect();
        for address in known.iter().filter(|address| !found.contains(&address.at)) {
            address.gone.set(true);
        }
        *known = new;
    }

    /// Whether nobody has found them yet.
    pub(super) fn are_unknown(&self) -> bool {
        self.known.borrow().is_empty()
    }

    /// All of them, the one that is to have the next request first: that with the fewest under way, of equals each in
    /// turn. Those that could not be reached come last.
    pub(super) fn in_order(&self) -> Vec<Rc<Address>> {
        let mut order = self.known.borrow().clone();
        if let Some(first) = self.turn.get().checked_rem(order.len()) {
            self.turn.set(first + 1);
            order.rotate_left(first);
        }
        let now = Instant::now();
        let avoided = |address: &Rc<Address>| address.avoid_until.get().is_some_and(|until| now < until);
        order.sort_by_key(|address| (avoided(address), address.in_use.get()));
        order
    }
}

/// A connection to the first that can be reached; each but the last has half of the time that is left, so that the
/// others get some. `on` is told to which.
pub(super) async fn reach(addresses: &[Rc<Address>], within: Duration, on: &Slot) -> io::Result<TcpStream> {
    let end = Instant::now() + within;
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    let mut left = addresses;
    while let [address, others @ ..] = left {
        left = others;
        on.goes_to(address);
        let rest = end.saturating_duration_since(Instant::now());
        let time = if others.is_empty() { rest } else { rest / 2 };
        outcome = match tokio::time::timeout(time, TcpStream::connect(address.at)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        address.avoid();
    }
    outcome
}
