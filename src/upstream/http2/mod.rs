//! HTTP/2 to an upstream (RFC 9113): one connection for many requests.

mod answer;
mod head;
mod outgoing;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connect::{BUFFER, ConnectError, MAX_HEAD};
use super::ear::Ear;
use super::slot::Slot;

pub(super) use self::answer::{Answer, Broken, IncomingStream};
pub(super) use self::head::{Spare, translate};

/// Most requests at once on one connection, whatever its peer allows.
pub(super) const STREAMS: usize = 100;
/// What an upstream may send of one answer before the client has taken it, as over HTTP/1.1.
#[expect(clippy::cast_possible_truncation, reason = "128 KiB")]
const STREAM_WINDOW: u32 = BUFFER as u32;
/// As much as all answers of a connection together, so that clients that read slowly never hold up those of others.
#[expect(clippy::cast_possible_truncation, reason = "a hundred times 128 KiB")]
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;
/// Longest that an answer to a ping may take.
const PONG: Duration = Duration::from_secs(10);

/// Begins HTTP/2 and waits for the peer's SETTINGS, so that no request goes to somebody who speaks something else, and
/// none beyond what the peer takes at once. The connection lives in a task of its own, which holds `slot` to its end.
///
/// `ping`: after how long a silence a peer that owes an answer is asked whether it is still there.
pub(super) async fn start<T>(io: T, slot: Rc<Slot>, ping: Duration) -> Result<SendRequest<Bytes>, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (io, settled) = Ear::with_first(io, slot.heard.clone());
    let (sender, mut connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD)
        .max_send_buffer_size(BUFFER)
        .enable_push(false)
        .handshake(io)
        .await
        .map_err(ConnectError::Http2)?;
    let ponger = connection.ping_pong();
    tokio::task::spawn_local(async move {
        // What goes wrong here is told to whoever waits for an answer or reads its body.
        tokio::select! {
            _ = connection => {}
            () = silence(ponger, &slot, ping) => tracing::warn!(upstream = %slot.pool(), "an HTTP/2 connection is dead"),
        }
        drop(slot);
    });
    settled.await.map_err(|_| ConnectError::NotHttp2)?;
    // What was read has been looked at when this task goes on; what is no SETTINGS has ended the connection.
    let mut sender = sender;
    std::future::poll_fn(|cx| sender.poll_ready(cx)).await.map_err(ConnectError::Http2)?;
    Ok(sender)
}

/// Ends when a peer that has requests to answer has said nothing for `after`, and then nothing to a ping either.
async fn silence(mut ponger: Option<PingPong>, slot: &Slot, after: Duration) {
    let Some(ponger) = &mut ponger else { return std::future::pending().await };
    loop {
        let before = slot.heard.count();
        tokio::time::sleep(after).await;
        if slot.streams() == 0 || slot.heard.count() != before {
            continue;
        }
        if !matches!(tokio::time::timeout(PONG.min(after), ponger.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}
