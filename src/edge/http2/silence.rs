//! Clients that say nothing are asked for a sign of life.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep};

use crate::edge::progress::Progress;

/// How long silences may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// After which the client is asked.
    pub(super) ask_after: Duration,
    /// How long it has to answer.
    pub(super) answer_within: Duration,
}

impl Bounds {
    pub(super) const DEFAULT: Self =
        Self { ask_after: Duration::from_secs(30), answer_within: Duration::from_secs(20) };
}

/// Listens for one connection's silence.
pub(super) struct Silence {
    pings: PingPong,
    alarm: Pin<Box<Sleep>>,
    asked: bool,
    bounds: Bounds,
}

impl Silence {
    pub(super) fn new(pings: PingPong, progress: &Progress, bounds: Bounds) -> Self {
        let alarm = Box::pin(tokio::time::sleep_until(progress.heard_at() + bounds.ask_after));
        Self { pings, alarm, asked: false, bounds }
    }

    /// Whether the client has been asked and has not answered. Asks it when it is time.
    pub(super) fn is_dead(&mut self, cx: &mut Context<'_>, progress: &Progress) -> bool {
        loop {
            if self.asked {
                match self.pings.poll_pong(cx) {
                    Poll::Ready(Ok(_)) => {
                        self.asked = false;
                        self.alarm.as_mut().reset(Instant::now() + self.bounds.ask_after);
                    }
                    // The connection has ended, which it says itself.
                    Poll::Ready(Err(_)) => return false,
                    Poll::Pending => return self.alarm.as_mut().poll(cx).is_ready(),
                }
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            let due = progress.heard_at() + self.bounds.ask_after;
            if due > Instant::now() {
                self.alarm.as_mut().reset(due);
            } else if self.pings.send_ping(Ping::opaque()).is_ok() {
                self.asked = true;
                self.alarm.as_mut().reset(Instant::now() + self.bounds.answer_within);
            } else {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::edge::http2::Http2;
    use crate::model::settings::HttpLimits;

    const PING: u8 = 6;
    const ACK: u8 = 1;

    /// A connection with a client that has said no more than it must; ready when it has ended.
    async fn connection() -> (impl Future<Output = Result<(), h2::Error>>, DuplexStream) {
        let (server, mut client) = duplex(1 << 16);
        let mut http = Http2::new(server, &HttpLimits::default(), Progress::new(false), |_, _| {});
        http.bounds = Bounds { ask_after: Duration::from_millis(20), answer_within: Duration::from_millis(20) };
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        (http, client)
    }

    /// The next frame's kind, flags and payload; `None` at the end.
    async fn frame(from: &mut DuplexStream) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        from.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        from.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], payload))
    }

    #[tokio::test]
    async fn f57_a_client_that_answers_no_ping_is_given_up() {
        let (http, mut client) = connection().await;
        let listening = async {
            let mut pings = 0;
            while let Some((kind, flags, _)) = frame(&mut client).await {
                pings += usize::from(kind == PING && flags & ACK == 0);
            }
            pings
        };
        let (ended, pings) = tokio::join!(http, listening);
        assert!(ended.is_ok() && pings == 1, "{ended:?} after {pings}");
    }

    #[tokio::test]
    async fn a_client_that_answers_is_asked_again_and_kept() {
        let (http, mut client) = connection().await;
        let answering = async {
            let mut pings = 0;
            while pings < 4 {
                let (kind, flags, payload) = frame(&mut client).await.expect("a connection that goes on");
                if kind == PING && flags & ACK == 0 {
                    pings += 1;
                    client.write_all(&[&[0, 0, 8, PING, ACK, 0, 0, 0, 0], &payload[..]].concat()).await.unwrap();
                }
            }
        };
        tokio::select! {
            ended = http => panic!("{ended:?}"),
            () = answering => {}
        }
    }
}
