//! Presents a credential to instances, again and again, and keeps when each last took it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::{Credential, Instance};
use crate::harness::http::Wire;

/// Only so that a broken test ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one instance made of a credential.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// When the last request that was accepted was sent, and when its answer was read.
    pub accepted: Option<(Instant, Instant)>,
    /// The last answer; 0 before the first.
    pub status: u16,
    /// How many answers in a row said that the credential is not valid: 401. That the instance does not know is neither.
    pub refused: usize,
    /// How many requests were made.
    pub requests: usize,
}

/// Witnesses of one credential, one for each instance. They stop when this is dropped.
pub struct Watch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    news: Condvar,
    over: AtomicBool,
}

impl Watch {
    /// Presents this credential to these instances, with a pause between requests.
    pub fn start(credential: &Credential, instances: &[&Instance], pause: Duration) -> Self {
        let shared = Arc::new(Shared {
            seen: Mutex::new(vec![Seen::default(); instances.len()]),
            news: Condvar::new(),
            over: AtomicBool::new(false),
        });
        let threads = instances.iter().enumerate().map(|(index, instance)| {
            let to = if credential.tls.is_some() { instance.mutual() } else { instance.address() };
            let (shared, tls) = (Arc::clone(&shared), credential.tls.clone());
            let request = format!("GET /fleet HTTP/1.1\r\nHost: localhost\r\n{}\r\n", credential.line);
            std::thread::spawn(move || {
                let connect = || -> Option<Box<dyn ReadWrite>> {
                    let stream = connect(to)?;
                    Some(match &tls {
                        None => Box::new(stream),
                        Some(tls) => {
                            let name = ServerName::try_from("localhost").expect("a name");
                            let session = ClientConnection::new(Arc::clone(tls), name).expect("a TLS client");
                            Box::new(StreamOwned::new(session, stream))
                        }
                    })
                };
                witness(&shared, index, connect, &request, pause);
            })
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// Waits until each instance has accepted it.
    #[track_caller]
    pub fn accepted_everywhere(&self) {
        self.until("accepted", |seen| seen.iter().all(|seen| seen.accepted.is_some()));
    }

    /// Waits until each instance has refused it so often in a row.
    #[track_caller]
    pub fn refused_everywhere(&self, times: usize) -> Vec<Seen> {
        self.until("refused", |seen| seen.iter().all(|seen| seen.refused >= times))
    }

    /// Waits until it is so.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.shared.seen.lock().expect("no panic");
        while !is_so(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never {what} everywhere: {:?}", *seen);
            seen = self.shared.news.wait_timeout(seen, left).expect("no panic").0;
        }
        seen.clone()
    }

    /// What has been seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no panic").clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn connect(to: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(to).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// One connection for many requests; a new one where the old one has ended. An instance that is not there accepts
/// nothing, and refuses nothing.
fn witness(
    shared: &Shared,
    index: usize,
    connect: impl Fn() -> Option<Box<dyn ReadWrite>>,
    request: &str,
    pause: Duration,
) {
    let mut wire: Option<Wire<Box<dyn ReadWrite>>> = None;
    while !shared.over.load(Ordering::Relaxed) {
        let sent = Instant::now();
        let answer = match wire.take().or_else(|| connect().map(Wire::over)) {
            None => None,
            Some(mut open) => {
                let answer = open.try_exchange(request);
                let again = answer.as_ref().is_some_and(|answer| answer.value("connection") != Some("close"));
                wire = again.then_some(open);
                answer
            }
        };
        {
            let mut all = shared.seen.lock().expect("no panic");
            let seen = &mut all[index];
            seen.requests += 1;
            match answer.map(|answer| answer.status) {
                Some(200) => {
                    seen.accepted = Some((sent, Instant::now()));
                    (seen.status, seen.refused) = (200, 0);
                }
                Some(status) => {
                    seen.status = status;
                    seen.refused += usize::from(status == 401);
                }
                None => {}
            }
        }
        shared.news.notify_all();
        std::thread::sleep(pause);
    }
}
