//! A service behind Portcullis that keeps every byte it is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Request line and headers, byte for byte (read as Latin-1), without the empty line.
    pub head: String,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// Trailers of a chunked body.
    pub trailers: Vec<String>,
}

impl Received {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The request target.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a header, by its exact name but for case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The only value of a header.
    pub fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() <= 1, "`{name}` stands {} times:\n{}", values.len(), self.head);
        values.first().copied()
    }

    /// Names of all headers, lower case, with every character that is not alphanumeric as `-`.
    pub fn folded_names(&self) -> Vec<String> {
        let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        self.head
            .lines()
            .skip(1)
            .filter_map(|l| l.split_once(':'))
            .map(|(n, _)| n.chars().map(fold).collect())
            .collect()
    }
}

type Answer = Box<dyn Fn(&Received) -> Vec<u8> + Send + Sync>;

/// A recording upstream on a port of its own.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    forgets: bool,
    connections: AtomicUsize,
    received: Mutex<Vec<Received>>,
    arrived: Condvar,
    answer: Answer,
}

impl Upstream {
    /// Answers `200` and `hello` to everything.
    pub fn start() -> Self {
        Self::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec())
    }

    /// Answers what `answer` says, byte for byte; an empty answer closes the connection.
    pub fn answering(answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serving(false, Box::new(answer))
    }

    /// Answers `200` and `hello` to everything, and keeps nothing: for many requests.
    pub fn forgetful() -> Self {
        Self::serving(true, Box::new(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()))
    }

    fn serving(forgets: bool, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            forgets,
            connections: AtomicUsize::new(0),
            received: Mutex::default(),
            arrived: Condvar::new(),
            answer,
        });
        let for_thread = Arc::clone(&shared);
        // The thread ends with the test process; a test has no way to be harmed by an idle listener.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&for_thread);
                shared.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no test thread panicked").clone()
    }

    /// The last request that arrived.
    pub fn last(&self) -> Received {
        self.received().pop().expect("a request reached the upstream")
    }

    /// Waits until `count` requests have arrived.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut received = self.shared.received.lock().expect("no test thread panicked");
        while received.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "only {} of {count} requests reached the upstream", received.len());
            received = self.shared.arrived.wait_timeout(received, left).expect("no test thread panicked").0;
        }
        received.clone()
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let answer = (shared.answer)(&request);
        if !shared.forgets {
            shared.received.lock().expect("no test thread panicked").push(request);
            shared.arrived.notify_all();
        }
        if answer.is_empty() || writer.write_all(&answer).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut head = String::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        head.push_str(&line);
        head.push_str("\r\n");
    }
    let mut request = Received { head, body: Vec::new(), trailers: Vec::new() };
    if request.value("transfer-encoding").is_some() {
        loop {
            let size = usize::from_str_radix(read_line(reader)?.split(';').next()?.trim(), 16).ok()?;
            if size == 0 {
                break;
            }
            let mut chunk = vec![0; size];
            reader.read_exact(&mut chunk).ok()?;
            request.body.extend(chunk);
            read_line(reader)?;
        }
        loop {
            let line = read_line(reader)?;
            if line.is_empty() {
                break;
            }
            request.trailers.push(line);
        }
    } else if let Some(length) = request.value("content-length") {
        request.body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut request.body).ok()?;
    }
    Some(request)
}

fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let line = line.strip_suffix(b"\r\n")?;
    Some(line.iter().map(|&b| char::from(b)).collect())
}
