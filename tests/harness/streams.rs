//! A service behind Portcullis that answers without end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What it answers depends on the path:
///
/// | path | |
/// |---|---|
/// | `/ticks` | events, chunked, one after the other without end |
/// | `/silent` | one event, and then nothing |
/// | `/flood` | as many bytes as can be had, with a length |
/// | `/waits` | nothing |
/// | `/ws` | a WebSocket that says `hi`, and then nothing |
/// | `/ws/ticks` | a WebSocket that never stops |
/// | `/ws/stuck` | a WebSocket that stops in the middle of a frame |
/// | `/grpc` | as `/silent`, but gRPC |
///
/// More may follow a path, to tell requests apart.
pub struct Streams {
    address: SocketAddr,
    ended: Arc<Mutex<Vec<Ended>>>,
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
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

impl Streams {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let ended = Arc::new(Mutex::default());
        let all = Arc::clone(&ended);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ended = Arc::clone(&all);
                thread::spawn(move || serve(stream, &ended));
            }
        });
        Self { address, ended }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the connection of this target has been closed.
    #[track_caller]
    pub fn wait_for_end(&self, target: &str) -> Ended {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let ended = self.ended.lock().expect("no panic").iter().find(|ended| ended.target == target).cloned();
            if let Some(ended) = ended {
                return ended;
            }
            assert!(Instant::now() < deadline, "{target} goes on");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn serve(mut stream: TcpStream, ended: &Mutex<Vec<Ended>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let target = head.split(' ').nth(1).expect("a target").to_owned();
    let known = ["/ws/ticks", "/ws/stuck", "/ws", "/ticks", "/silent", "/flood", "/grpc"];
    let path = known.into_iter().find(|path| target.starts_with(path)).unwrap_or_default();
    let mut writer = stream.try_clone().expect("a handle");
    thread::spawn(move || {
        // Ends when the other side does.
        let _ = answer(&mut writer, path);
    });
    let (mut body, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        body.extend_from_slice(&buffer[..count]);
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    ended.lock().expect("no panic").push(Ended { target, body });
}

fn answer(to: &mut TcpStream, path: &str) -> std::io::Result<()> {
    let pause = || thread::sleep(Duration::from_millis(5));
    match path {
        "/ticks" | "/silent" | "/grpc" => {
            let kind = if path == "/grpc" { "application/grpc+proto" } else { "text/event-stream" };
            write!(to, "{HEAD}{kind}\r\n\r\n")?;
            to.write_all(b"a\r\ndata: hi\n\n\r\n")?;
            if path == "/ticks" {
                loop {
                    pause();
                    to.write_all(b"a\r\ndata: hi\n\n\r\n")?;
                }
            }
        }
        "/flood" => {
            write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n")?;
            loop {
                to.write_all(&[b'x'; 64 * 1024])?;
            }
        }
        "/ws" => to.write_all(&[SWITCHED.as_bytes(), b"\x81\x02hi"].concat())?,
        "/ws/ticks" => {
            to.write_all(SWITCHED.as_bytes())?;
            loop {
                // In pieces, so that the end may come anywhere.
                for piece in [&b"\x81"[..], b"\x0d", b"hello, ", b"client"] {
                    to.write_all(piece)?;
                    to.flush()?;
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        "/ws/stuck" => to.write_all(&[SWITCHED.as_bytes(), b"\x81\x02hi\x81\x7ehe"].concat())?,
        _ => {}
    }
    Ok(())
}
