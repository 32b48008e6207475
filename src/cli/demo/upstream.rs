//! The service behind the demo: it shows each request as it received it.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::admin::serve::{Acceptor, Answer, serve};
use crate::cli::failure::Failure;

/// Serves on the current `LocalSet`; where.
pub(super) async fn start() -> Result<SocketAddr, Failure> {
    let failed = |problem: std::io::Error| Failure::failed(format!("the demo's service cannot listen: {problem}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tokio::task::spawn_local(serve(Acceptor::Tcp(listener), show));
    Ok(address)
}

async fn show(request: Request<Incoming>) -> Answer {
    let (head, mut body) = request.into_parts();
    let mut bytes = 0;
    // Counted, not kept.
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    let mut text = format!("the service received:\n\n{} {} {:?}\n", head.method, head.uri, head.version);
    for (name, value) in &head.headers {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    if bytes > 0 {
        let _ = writeln!(text, "\nand a body of {bytes} bytes");
    }
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
