//! A service that reads what it is sent strictly, and keeps all of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use super::strict::{self, Message};

/// Answers every request with its method and target.
pub struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

/// What has come in.
#[derive(Debug, Default)]
pub struct Seen {
    /// Whole requests, of all connections.
    pub requests: Vec<Message>,
    /// What was no request, and why.
    pub faults: Vec<String>,
    /// What a connection ended with that had begun well and was not whole.
    pub partial: Vec<String>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::<Mutex<Seen>>::default();
        let all = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&all);
                std::thread::spawn(move || record(stream, &seen));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come in since this was last asked.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *lock(&self.seen))
    }
}

fn record(mut stream: TcpStream, seen: &Mutex<Seen>) {
    let (mut held, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match strict::request(&held) {
            Ok(Some((request, length))) => {
                held.drain(..length);
                let answer = answer(&request);
                lock(seen).requests.push(request);
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(fault) => {
                lock(seen).faults.push(format!("{fault} in {:?}", String::from_utf8_lossy(&held)));
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => held.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    if !held.is_empty() {
        lock(seen).partial.push(String::from_utf8_lossy(&held).into_owned());
    }
}

fn answer(request: &Message) -> String {
    let about = request.start.trim_end_matches(" HTTP/1.1");
    if about == "GET /switches" {
        return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned();
    }
    let body = if about.starts_with("HEAD ") { "" } else { about };
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", about.len())
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("no test thread panicked")
}
