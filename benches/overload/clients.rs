//! Clients: some that ask one after the other, and many whose requests come when they are due.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::subject::Subject;

/// Connections at most; who finds none waits for one, and the wait counts.
const CONNECTIONS: usize = 4_000;

/// What became of the requests of one phase.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) came: usize,
    took: Duration,
    /// How long each 200 took from when it was due, in order once all are there.
    pub(crate) waits: Vec<Duration>,
    /// The same in the order in which they were due, and when that was.
    pub(crate) course: Vec<(Duration, Duration)>,
    pub(crate) refused: usize,
    pub(crate) failed: usize,
}

impl Figures {
    fn in_order(&mut self, took: Duration) {
        self.took = took;
        self.came = self.course.len();
        self.waits.sort_unstable();
        self.course.sort_unstable();
    }

    /// Answers with 200 in a second.
    pub(crate) fn rate(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let rate = (self.waits.len() as f64 / self.took.as_secs_f64()) as u32;
        rate
    }

    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position")]
        let at = (last as f64 * share).round() as usize;
        self.waits.get(at).copied().unwrap_or_default()
    }

    /// When things are as they should be again: the first twentieth of a second of which all but one in a hundred are
    /// answered within `bearable`.
    pub(crate) fn recovered(&self, bearable: Duration) -> Option<Duration> {
        let slice = Duration::from_millis(50);
        let last = self.course.last()?.0;
        (0..).map(|n| slice * n).take_while(|from| *from < last).find(|from| {
            let of_slice = || self.course.iter().filter(|(due, _)| *due >= *from && *due < *from + slice);
            let late = of_slice().filter(|(_, wait)| *wait > bearable).count();
            late * 100 <= of_slice().count()
        })
    }

    fn count(&mut self, begun: Instant, due: Instant, status: Option<u16>) {
        match status {
            Some(200) => {
                self.waits.push(due.elapsed());
                self.course.push((due.saturating_duration_since(begun), due.elapsed()));
            }
            other => {
                self.course.push((due.saturating_duration_since(begun), Duration::MAX));
                if other == Some(503) {
                    self.refused += 1;
                } else {
                    self.failed += 1;
                }
            }
        }
    }
}

/// Requests of so many clients, each after the answer to its last.
pub(crate) async fn closed(subject: &Subject, clients: usize, time: Duration) -> Figures {
    let figures = Rc::new(RefCell::new(Figures::default()));
    let per_client = 16_000 * usize::try_from(time.as_secs()).unwrap_or(1) / clients;
    let all: Vec<Vec<Vec<u8>>> = (0..clients).map(|_| (0..per_client).map(|_| subject.request()).collect()).collect();
    let begun = Instant::now();
    let tasks: Vec<_> = all
        .into_iter()
        .map(|requests| {
            let (figures, address) = (Rc::clone(&figures), subject.address);
            tokio::task::spawn_local(async move {
                let mut connection = TcpStream::connect(address).await.expect("a connection");
                for request in requests {
                    if begun.elapsed() > time {
                        break;
                    }
                    let asked = Instant::now();
                    let status = ask(&mut connection, &request).await;
                    figures.borrow_mut().count(begun, asked, status);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a client");
    }
    let mut figures = Rc::try_unwrap(figures).expect("all clients are done").into_inner();
    figures.in_order(begun.elapsed());
    figures
}

/// So many requests a second, whatever becomes of them.
pub(crate) async fn open(subject: &Subject, rate: u32, time: Duration) -> Figures {
    let count = rate * u32::try_from(time.as_secs()).unwrap_or(1);
    let requests: Vec<Vec<u8>> = (0..count).map(|_| subject.request()).collect();
    let figures = Rc::new(RefCell::new(Figures::default()));
    let idle: Rc<RefCell<Vec<TcpStream>>> = Rc::default();
    let places = Rc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    let begun = Instant::now();
    let mut tasks = Vec::with_capacity(requests.len());
    for (n, request) in (0_u32..).zip(requests) {
        let due = begun + Duration::from_secs(1) * n / rate;
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        } else if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
        let (figures, idle, places, address) =
            (Rc::clone(&figures), Rc::clone(&idle), Rc::clone(&places), subject.address);
        tasks.push(tokio::task::spawn_local(async move {
            let _place = places.acquire().await.expect("it stays open");
            let kept = idle.borrow_mut().pop();
            let connection = match kept {
                Some(connection) => Ok(connection),
                None => TcpStream::connect(address).await,
            };
            let Ok(mut connection) = connection else { return figures.borrow_mut().count(begun, due, None) };
            let status = ask(&mut connection, &request).await;
            figures.borrow_mut().count(begun, due, status);
            if status.is_some() {
                idle.borrow_mut().push(connection);
            }
        }));
    }
    for task in tasks {
        task.await.expect("a client");
    }
    let mut figures = Rc::try_unwrap(figures).expect("all clients are done").into_inner();
    figures.in_order(time);
    figures
}

/// One request and its answer's status; `None` where there is none. A 503 must say when to come back.
async fn ask(connection: &mut TcpStream, request: &[u8]) -> Option<u16> {
    connection.set_nodelay(true).ok()?;
    connection.write_all(request).await.ok()?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if connection.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(answer.get(..end)?).ok()?.to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse::<usize>().ok()?;
        if answer.len() < end + 4 + length {
            continue;
        }
        let status = head.get(9..12)?.parse().ok()?;
        assert!(status != 503 || head.contains("\r\nretry-after: 1"), "a 503 without Retry-After: {head}");
        return Some(status);
    }
}
