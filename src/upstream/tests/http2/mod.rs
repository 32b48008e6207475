//! Against an origin that speaks HTTP/2.

mod addresses;
mod again;
mod bodies;
mod connections;
mod interim;
mod negotiation;
mod queue;

use h2::server::{Builder, SendResponse};
use h2::{Reason as Code, RecvStream};
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::model::denial::Reason;

/// A request as the origin has it.
struct Asked {
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
}

impl Asked {
    /// Answers with `ok`.
    fn answer(mut self) {
        let mut body = self.respond.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"ok"), true).unwrap();
    }

    /// Its body, from now to its end.
    async fn body(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(data) = self.request.body_mut().data().await {
            let data = data.unwrap();
            self.request.body_mut().flow_control().release_capacity(data.len()).unwrap();
            all.extend_from_slice(&data);
        }
        all
    }
}

/// One connection of the origin's.
struct Peer {
    requests: mpsc::UnboundedReceiver<Asked>,
    goodbye: Option<oneshot::Sender<Goodbye>>,
    ended: JoinHandle<()>,
}

enum Goodbye {
    /// GOAWAY, and what is under way is answered.
    Graceful,
    /// GOAWAY now, with this code.
    Abrupt(Code),
    /// Just gone.
    Gone,
}

impl Peer {
    async fn accept(origin: &Origin) -> Self {
        Self::with(origin, &Builder::new()).await
    }

    async fn with(origin: &Origin, builder: &Builder) -> Self {
        Self::on(origin.accept().await.0, builder).await
    }

    async fn on<T: AsyncRead + AsyncWrite + Unpin + 'static>(io: T, builder: &Builder) -> Self {
        let mut connection = builder.handshake::<_, Bytes>(io).await.unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let (goodbye, mut told) = oneshot::channel();
        let ended = tokio::task::spawn_local(async move {
            let mut listening = true;
            loop {
                tokio::select! {
                    goodbye = &mut told, if listening => match goodbye {
                        Ok(Goodbye::Graceful) => { listening = false; connection.graceful_shutdown(); }
                        Ok(Goodbye::Abrupt(code)) => { listening = false; connection.abrupt_shutdown(code); }
                        Ok(Goodbye::Gone) => return,
                        Err(_) => listening = false,
                    },
                    asked = connection.accept() => match asked {
                        Some(Ok((request, respond))) => drop(sender.send(Asked { request, respond })),
                        _ => return,
                    },
                }
            }
        });
        Self { requests, goodbye: Some(goodbye), ended }
    }

    async fn asked(&mut self) -> Asked {
        self.requests.recv().await.expect("a request")
    }

    fn says(&mut self, goodbye: Goodbye) {
        assert!(self.goodbye.take().expect("only once").send(goodbye).is_ok());
    }
}

/// An origin that is spoken to in HTTP/2, and what is known of it.
async fn http2() -> (Origin, UpstreamSettings) {
    let origin = Origin::new().await;
    let settings = settings(vec![Endpoint { scheme: Scheme::H2c, ..origin.endpoint() }]);
    (origin, settings)
}

fn post(body: &'static str) -> Request<Full<Bytes>> {
    Request::post("/p").header("host", "a.example").body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}

/// A request that is answered, and the connection that it leaves.
async fn one_answered(origin: &Origin, upstream: &Rc<Shared>) -> Peer {
    let first = forwarding(upstream, get());
    let mut peer = Peer::accept(origin).await;
    peer.asked().await.answer();
    assert_eq!(text(first.await.unwrap().unwrap()).await, "ok");
    peer
}
