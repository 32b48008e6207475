//! A service behind Portcullis that answers without end.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portcullis::crypto::websocket_key;

/// What it answers depends on the path:
///
/// | path | |
/// |---|---|
/// | `/ticks` | events, chunked, one after the other without end; all but the first are numbers of 8 digits |
/// | `/silent` | one event, and then nothing |
/// | `/flood` | as many bytes as can be had, with a length |
/// | `/waits` | nothing |
/// | `/ws` | a WebSocket that says `hi`, and then nothing |
/// | `/ws/ticks` | a WebSocket that never stops: numbers of 8 digits |
/// | `/ws/stuck` | a WebSocket that stops in the middle of a frame |
/// | `/ws/flood` | a WebSocket with as many bytes as can be had, in one frame |
/// | `/grpc` | as `/silent`, but gRPC |
///
/// More may follow a path, to tell requests apart.
pub struct Streams {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    ended: Vec<Ended>,
    /// Targets of which nobody takes any more.
    blocked: Vec<String>,
    /// The number of the last event.
    events: u64,
}

/// A connection that was closed.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The target of its last request.
    pub target: String,
    /// What came after the head.
    pub body: Vec<u8>,
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: ";
/// The answer to a handshake with this head.
pub fn switched(head: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
    let accept = websocket_key::accept(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// More than a test waits for.
const MOST_EVENTS: usize = 5000;

impl Streams {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::default());
        let all = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&all);
                thread::spawn(move || serve(stream, &seen));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the connection of this target has been closed.
    #[track_caller]
    pub fn wait_for_end(&self, target: &str) -> Ended {
        self.wait(target, |seen| seen.ended.iter().find(|ended| ended.target == target).cloned())
    }

    /// Waits until nobody takes any more of this flood.
    #[track_caller]
    pub fn wait_for_block(&self, target: &str) {
        self.wait(target, |seen| seen.blocked.iter().any(|blocked| blocked == target).then_some(()));
    }

    /// The number of the last event of all: what has a higher one was not under way before.
    pub fn last_event(&self) -> u64 {
        self.seen.lock().expect("no panic").events
    }

    #[track_caller]
    fn wait<T>(&self, target: &str, find: impl Fn(&Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let found = find(&self.seen.lock().expect("no panic"));
            if let Some(found) = found {
                return found;
            }
            assert!(Instant::now() < deadline, "{target} goes on");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn serve(mut stream: TcpStream, seen: &Arc<Mutex<Seen>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let target = head.split(' ').nth(1).expect("a target").to_owned();
    let known = ["/ws/ticks", "/ws/stuck", "/ws/flood", "/ws", "/ticks", "/silent", "/flood", "/grpc"];
    let path = known.into_iter().find(|path| target.starts_with(path)).unwrap_or_default();
    let mut writer = stream.try_clone().expect("a handle");
    let (for_writer, of_writer, switched) = (Arc::clone(seen), target.clone(), switched(&head));
    thread::spawn(move || {
        // Ends when the other side does.
        let _ = answer(&mut writer, path, &of_writer, &switched, &for_writer);
    });
    let (mut body, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        body.extend_from_slice(&buffer[..count]);
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    seen.lock().expect("no panic").ended.push(Ended { target, body });
}

fn answer(to: &mut TcpStream, path: &str, target: &str, switched: &str, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let next_event = || {
        thread::sleep(Duration::from_millis(5));
        let mut seen = seen.lock().expect("no panic");
        seen.events += 1;
        format!("{:08}", seen.events)
    };
    match path {
        "/ticks" | "/silent" | "/grpc" => {
            let kind = if path == "/grpc" { "application/grpc+proto" } else { "text/event-stream" };
            write!(to, "{HEAD}{kind}\r\n\r\n")?;
            to.write_all(b"a\r\ndata: hi\n\n\r\n")?;
            if path == "/ticks" {
                // A test that waits for the end of this gets one.
                for _ in 0..MOST_EVENTS {
                    to.write_all(format!("10\r\ndata: {}\n\n\r\n", next_event()).as_bytes())?;
                }
                to.write_all(b"0\r\n\r\n")?;
            }
        }
        "/flood" | "/ws/flood" => {
            if path == "/flood" {
                write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n")?;
            } else {
                to.write_all(&[switched.as_bytes(), b"\x82\x7f", &4_000_000_000_u64.to_be_bytes()].concat())?;
            }
            to.set_write_timeout(Some(Duration::from_millis(300)))?;
            loop {
                match to.write(&[b'x'; 64 * 1024]) {
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        seen.lock().expect("no panic").blocked.push(target.to_owned());
                    }
                    written => drop(written?),
                }
            }
        }
        "/ws" => to.write_all(&[switched.as_bytes(), b"\x81\x02hi"].concat())?,
        "/ws/ticks" => {
            to.write_all(switched.as_bytes())?;
            for _ in 0..MOST_EVENTS {
                let number = next_event();
                // In pieces, so that the end may come anywhere.
                for piece in [&b"\x81"[..], b"\x08", &number.as_bytes()[..3], &number.as_bytes()[3..]] {
                    to.write_all(piece)?;
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        "/ws/stuck" => to.write_all(&[switched.as_bytes(), b"\x81\x02hi\x81\x7ehe"].concat())?,
        _ => {}
    }
    Ok(())
}
