//! Bodies: how they are framed, and that they stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderMap;
use http_body::Frame;
use http_body_util::Full;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::model::denial::Reason;

type Item = Result<Frame<Bytes>, BodyError>;

/// A body of unknown length whose frames the test sends.
pub(super) struct Channel(UnboundedReceiver<Item>);

pub(super) fn channel() -> (UnboundedSender<Item>, Channel) {
    let (sender, receiver) = unbounded_channel();
    (sender, Channel(receiver))
}

impl Body for Channel {
    type Data = Bytes;
    type Error = BodyError;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(cx)
    }
}

fn full(text: &'static str) -> Full<Bytes> {
    Full::new(Bytes::from_static(text.as_bytes()))
}

#[test]
fn f58_the_length_is_stated_once_and_is_the_bodys() {
    let framed = |method: &str, headers: &[(&'static str, &'static str)], body: Option<&'static str>| {
        let mut request = Request::builder().method(method);
        for header in headers {
            request = request.header(header.0, header.1);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let result = match body {
            Some(text) => frame(&mut head, &full(text)),
            None => frame(&mut head, &channel().1),
        };
        let value = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        result.map(|()| (value("content-length"), value("transfer-encoding"))).map_err(|denial| denial.reason)
    };
    let length = |length: &str| Ok((Some(length.to_owned()), None));
    let chunked = Ok((None, Some("chunked".to_owned())));
    let nothing = Ok((None, None));
    let ambiguous = Err(Reason::AmbiguousFraming);

    assert_eq!(framed("GET", &[], Some("")), nothing);
    assert_eq!(framed("DELETE", &[], Some("")), nothing);
    assert_eq!(framed("GET", &[("content-length", "0")], Some("")), length("0"));
    assert_eq!(framed("POST", &[], Some("")), length("0"));
    assert_eq!(framed("POST", &[("content-length", "3")], Some("abc")), length("3"));
    assert_eq!(framed("GET", &[("content-length", "3")], Some("abc")), length("3"));
    assert_eq!(framed("POST", &[], Some("abc")), length("3"));
    assert_eq!(framed("POST", &[("expect", "100-continue")], None), chunked);
    assert_eq!(framed("GET", &[("transfer-encoding", "gzip, chunked")], None), chunked);
    assert_eq!(framed("POST", &[("content-length", "3")], None), length("3"));

    assert_eq!(framed("POST", &[("content-length", "3")], Some("")), ambiguous);
    assert_eq!(framed("POST", &[("content-length", "3")], Some("abcd")), ambiguous);
    assert_eq!(framed("POST", &[("content-length", "3"), ("content-length", "3")], Some("abc")), ambiguous);
    for senseless in ["+3", "3, 3", "-0", "", "0x3", "99999999999999999999999"] {
        assert_eq!(framed("POST", &[("content-length", senseless)], Some("abc")), ambiguous, "{senseless}");
    }
}

#[tokio::test]
async fn a_get_with_a_body_keeps_it() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let (sender, body) = channel();
        let request = forwarding(&upstream, Request::get("/").header("host", "a").body(body).unwrap());
        let mut wire = origin.accept().await;
        assert_eq!(wire.head().await, "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        sender.send(Ok(Frame::data(Bytes::from_static(b"abc")))).unwrap();
        wire.expect("3\r\nabc\r\n").await;
        drop(sender);
        wire.expect("0\r\n\r\n").await;
        wire.say(OK).await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_shorter_than_stated_does_not_borrow_from_the_next_request() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let (sender, body) = channel();
        let request = Request::post("/").header("host", "a").header("content-length", "10").body(body).unwrap();
        let request = forwarding(&upstream, request);
        let mut wire = origin.accept().await;
        wire.head().await;
        sender.send(Ok(Frame::data(Bytes::from_static(b"abc")))).unwrap();
        drop(sender);
        assert!(request.await.unwrap().is_err());
        wire.closed().await;
        assert_eq!(upstream.counts(), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn announced_trailers_follow_the_body() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let (sender, body) = channel();
        let request = Request::post("/").header("host", "a").header("trailer", "x-sum").body(body).unwrap();
        let request = forwarding(&upstream, request);
        let mut wire = origin.accept().await;
        wire.head().await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        trailers.insert("x-other", "7".parse().unwrap());
        sender.send(Ok(Frame::trailers(trailers))).unwrap();
        wire.expect("0\r\nx-sum: 7\r\n\r\n").await;
        wire.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: y\r\n\r\n").await;
        wire.say("2\r\nok\r\n0\r\ny: 1\r\n\r\n").await;
        let response = request.await.unwrap().unwrap();
        assert!(!response.headers().contains_key("transfer-encoding"));
        assert!(!response.headers().contains_key("content-length"));
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["y"], "1");
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn the_length_of_an_answer_without_a_body_is_kept_if_it_makes_sense() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        for (stated, told) in [
            ("content-length: 7\r\n", Some("7")),
            ("content-length: 7\r\ncontent-length: 7\r\n", Some("7")),
            ("content-length: 7, 7\r\n", Some("7")),
            ("", None),
        ] {
            let request = Request::head("/").header("host", "a").body(full("")).unwrap();
            let request = forwarding(&upstream, request);
            let mut wire = origin.accept().await;
            wire.head().await;
            wire.say(&format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{stated}\r\n")).await;
            let response = request.await.unwrap().unwrap();
            let lengths: Vec<_> = response.headers().get_all("content-length").iter().collect();
            assert_eq!(lengths, told.into_iter().collect::<Vec<_>>(), "{stated}");
        }
    })
    .await;
}

#[tokio::test]
async fn f58_an_answer_whose_length_makes_no_sense_is_none() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        for stated in [
            "content-length: x",
            "content-length: 7, 8",
            "content-length: 7\r\ncontent-length: 8",
            "content-length: 7,",
            "content-length: 99999999999999999999",
            "content-length: 7\r\ntransfer-encoding: chunked",
        ] {
            let request = Request::head("/").header("host", "a").body(full("")).unwrap();
            let request = forwarding(&upstream, request);
            let mut wire = origin.accept().await;
            wire.head().await;
            wire.say(&format!("HTTP/1.1 200 OK\r\n{stated}\r\n\r\n")).await;
            assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed, "{stated}");
            wire.closed().await;
            assert_eq!(upstream.counts(), (0, 0), "{stated}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_waits_for_the_upstream() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let (sender, body) = channel();
        let megabyte = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..64 {
            sender.send(Ok(Frame::data(megabyte.clone()))).unwrap();
        }
        let request = forwarding(&upstream, Request::post("/").header("host", "a").body(body).unwrap());
        let mut wire = origin.accept().await;
        wire.head().await;
        // Nobody reads: what has left the queue is bounded by what sockets and one connection hold.
        assert!(tokio::time::timeout(Duration::from_millis(200), sender.closed()).await.is_err());
        drop(request);
        drop(wire);
        sender.closed().await;
    })
    .await;
}

#[tokio::test]
async fn a_download_waits_for_the_client() {
    on_one_thread(async {
        const SIZE: usize = 64 << 20;
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let request = forwarding(&upstream, get());
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n")).await;
        let mut sending = tokio::task::spawn_local(async move {
            wire.0.write_all(&vec![b'x'; SIZE]).await.unwrap();
            wire
        });
        let mut body = request.await.unwrap().unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        // Without pressure against it, the origin would be rid of everything by now.
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut sending).await.is_err());
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!(first.len() + rest.len(), SIZE);
        sending.await.unwrap();
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}
