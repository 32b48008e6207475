//! Certificates from an agent of SPIFFE's, over its Workload API: one server-streaming gRPC call on a Unix socket, spoken
//! with `h2`. What comes is written into files, which are watched like those of anybody else.

mod files;
mod message;

use std::future::poll_fn;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, Request};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

pub use files::FILES;
pub use message::Malformed;

use self::message::{REQUEST, first_svid, take_message};
use crate::model::settings::SpiffeSettings;

/// The method that streams X.509 SVIDs, a new one whenever one is renewed.
const METHOD: &str = "http://localhost/SpiffeWorkloadAPI/FetchX509SVID";
/// For connection, handshake and the head of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before another try, at first and at most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why there is no SVID.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// Nobody is at the socket.
    #[error("the agent at `{0}` cannot be reached: {1}")]
    Unreachable(String, std::io::Error),
    /// HTTP/2 went wrong.
    #[error("speaking with the agent failed: {0}")]
    Http(#[from] h2::Error),
    /// It says nothing.
    #[error("the agent does not answer within 10 s")]
    TimedOut,
    /// It refuses; 7 (`PERMISSION_DENIED`) means that it knows of no identity for us.
    #[error("the agent refuses: gRPC status {0}{1}")]
    Refused(String, String),
    /// It answers with nonsense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// What it sent cannot be used, or written.
    #[error("the SVID cannot be used: {0}")]
    Unusable(String),
    /// The stream has ended.
    #[error("the agent has ended the stream")]
    Ended,
}

/// Gets the first SVID and writes its files.
pub async fn fetch(settings: &SpiffeSettings) -> Result<(), WorkloadError> {
    let mut stream = timeout(PATIENCE, Stream::open(&settings.socket)).await.map_err(|_| WorkloadError::TimedOut)??;
    timeout(PATIENCE, stream.next(&settings.directory)).await.map_err(|_| WorkloadError::TimedOut)?
}

/// Writes each SVID that comes, for ever. While the agent is away, the files stay as they are.
pub async fn follow(settings: &SpiffeSettings) {
    let mut pause = PAUSE;
    loop {
        let problem = match follow_once(settings, &mut pause).await {
            Ok(never) => match never {},
            Err(problem) => problem,
        };
        tracing::warn!(%problem, "no SVIDs come from the SPIFFE agent; the last ones stay until they expire");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Never {}

async fn follow_once(settings: &SpiffeSettings, pause: &mut Duration) -> Result<Never, WorkloadError> {
    let mut stream = timeout(PATIENCE, Stream::open(&settings.socket)).await.map_err(|_| WorkloadError::TimedOut)??;
    loop {
        stream.next(&settings.directory).await?;
        *pause = PAUSE;
    }
}

/// The answer, as it goes on.
struct Stream {
    body: RecvStream,
    buffer: Zeroizing<Vec<u8>>,
    /// Lives as long as somebody may still send on it.
    _sender: h2::client::SendRequest<Bytes>,
    _connection: AbortOnDropHandle<()>,
}

impl Stream {
    async fn open(socket: &Path) -> Result<Self, WorkloadError> {
        let unix = UnixStream::connect(socket).await;
        let unix = unix.map_err(|problem| WorkloadError::Unreachable(socket.display().to_string(), problem))?;
        let (sender, connection) = h2::client::handshake(unix).await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        let request = Request::post(METHOD)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            // Without it an agent must refuse: no browser can be made to send it (Workload API, section 3).
            .header("workload.spiffe.io", "true")
            .body(())
            .map_err(|_| Malformed("a request that cannot be made"))?;
        let mut sender = sender.ready().await?;
        let (answer, mut body) = sender.send_request(request, false)?;
        body.send_data(Bytes::from_static(REQUEST), true)?;
        let answer = answer.await?;
        refusal(answer.headers())?;
        if answer.status() != http::StatusCode::OK {
            return Err(WorkloadError::Refused("none".to_owned(), format!(", HTTP status {}", answer.status())));
        }
        Ok(Self { body: answer.into_body(), buffer: Zeroizing::default(), _sender: sender, _connection: connection })
    }

    /// The next SVID, into its files.
    async fn next(&mut self, directory: &Path) -> Result<(), WorkloadError> {
        loop {
            if let Some(message) = take_message(&mut self.buffer)? {
                let svid = first_svid(&message)?;
                let (id, directory) = (svid.spiffe_id.clone(), directory.to_owned());
                let written = tokio::task::spawn_blocking(move || files::write(&svid, &directory));
                written.await.map_err(|_| WorkloadError::Ended)?.map_err(WorkloadError::Unusable)?;
                tracing::info!(id, "an SVID has come from the SPIFFE agent");
                return Ok(());
            }
            match self.body.data().await {
                Some(bytes) => {
                    let bytes = bytes?;
                    self.body.flow_control().release_capacity(bytes.len())?;
                    self.buffer.extend_from_slice(&bytes);
                }
                None => {
                    let trailers = poll_fn(|context| self.body.poll_trailers(context)).await?;
                    refusal(&trailers.unwrap_or_default())?;
                    return Err(WorkloadError::Ended);
                }
            }
        }
    }
}

fn refusal(headers: &HeaderMap) -> Result<(), WorkloadError> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    match text("grpc-status") {
        Some(status) if status != "0" => {
            let message = text("grpc-message").map(|message| format!(" ({})", super::shown::Shown(&message)));
            Err(WorkloadError::Refused(status, message.unwrap_or_default()))
        }
        _ => Ok(()),
    }
}
