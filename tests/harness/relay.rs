//! A TCP relay that can be cut like a cable: what is sent is lost, and nobody is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Listens on a port of its own and forwards to one address, until dropped.
pub struct Relay {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Cut,
    Ended,
}

impl Relay {
    pub fn to(target: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(watch::Sender::new(State::Whole));
        let states = state.subscribe();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(relay(listener, target, states));
        });
        Self { address, state, thread: Some(thread) }
    }

    /// Where to connect instead.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing is forwarded any more, nothing is closed; new connections are taken and lead nowhere.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// What was held up is delivered, as TCP would sooner or later.
    pub fn heal(&self) {
        self.state.send_replace(State::Whole);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.send_replace(State::Ended);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn relay(listener: std::net::TcpListener, target: SocketAddr, states: watch::Receiver<State>) {
    let mut end = states.clone();
    let listener = TcpListener::from_std(listener).expect("a socket");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                tokio::spawn(join(client, target, states.clone()));
            }
            ended = end.wait_for(|state| *state == State::Ended) => {
                drop(ended);
                return;
            }
        }
    }
}

async fn join(client: TcpStream, target: SocketAddr, mut states: watch::Receiver<State>) {
    if whole(&mut states).await.is_none() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(forward(from_client, to_server, states.clone()));
    forward(from_server, to_client, states).await;
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut states: watch::Receiver<State>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if whole(&mut states).await.is_none() {
            return;
        }
        tokio::select! {
            // Whoever closes is not heard either while it is cut.
            changed = states.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    if whole(&mut states).await.is_none() || to.write_all(&buffer[..length]).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}

/// Waits while it is cut; `None` once it has ended.
async fn whole(states: &mut watch::Receiver<State>) -> Option<()> {
    let state = states.wait_for(|state| *state != State::Cut).await.ok()?;
    (*state == State::Whole).then_some(())
}
