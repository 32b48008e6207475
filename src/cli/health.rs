//! `portcullis health`: whether the running instance takes new requests, for probes that are commands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::failure::Failure;
use super::locate::ConfigArgs;
use super::output;

/// How long an answer may take; whoever asks has a limit of its own.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Which instance.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where its `/readyz` is; the configuration, whose `health.bind` is asked otherwise, is not read then
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let address = match args.address {
        Some(address) => address,
        None => match args.config.load()?.settings.health {
            Some(health) => reachable(health.bind),
            None => {
                return Err(Failure::usage("`health.bind` is not configured, so nobody answers; or name --address"));
            }
        },
    };
    super::block_on(async {
        let answer = tokio::time::timeout(TIMEOUT, ask(address)).await;
        let failed = |why: String| Failure::failed(format!("http://{address}/readyz: {why}"));
        match answer {
            Ok(Ok((StatusCode::OK, _))) => {
                output::line("ready");
                Ok(())
            }
            Ok(Ok((status, reasons))) => Err(failed(reasons.unwrap_or_else(|| format!("it answers {status}")))),
            Ok(Err(problem)) => Err(failed(problem)),
            Err(_) => Err(failed("no answer in time".to_owned())),
        }
    })
}

/// The status, and the reasons of an instance that is not ready.
async fn ask(address: SocketAddr) -> Result<(StatusCode, Option<String>), String> {
    let request = Request::get("/readyz").header(header::HOST, address.to_string()).body(Empty::<Bytes>::new());
    let request = request.map_err(|problem| problem.to_string())?;
    let stream = TcpStream::connect(address).await.map_err(|problem| problem.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|problem| problem.to_string())?;
    // Ends with the runtime.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|problem| problem.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|problem| problem.to_string())?;
    let told = serde_json::from_slice::<serde_json::Value>(&body.to_bytes()).ok();
    let reasons = told.as_ref().and_then(|told| told.get("reasons")?.as_array());
    let reasons = reasons.map(|reasons| {
        let reasons: Vec<_> = reasons.iter().filter_map(|reason| reason.as_str()).map(output::visible).collect();
        format!("not ready: {}", reasons.join("; "))
    });
    Ok((status, reasons))
}

/// An address that can be connected to: "all addresses" is none.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_listens_everywhere_is_asked_at_home() {
        for (bind, asked) in
            [("0.0.0.0:9902", "127.0.0.1:9902"), ("[::]:9902", "[::1]:9902"), ("10.1.2.3:9902", "10.1.2.3:9902")]
        {
            assert_eq!(reachable(bind.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
