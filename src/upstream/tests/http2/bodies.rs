//! Bodies and trailers over HTTP/2.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderMap;
use http_body::Frame;

use super::super::bodies::channel;
use super::*;

/// A hundred parts of 16 KiB, and how many of them have been asked for.
struct Counted(Rc<Cell<usize>>);

impl Body for Counted {
    type Data = Bytes;
    type Error = BodyError;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let more = self.0.get() < 100;
        self.0.set(self.0.get() + usize::from(more));
        Poll::Ready(more.then(|| Ok(Frame::data(Bytes::from(vec![b'x'; 16 * 1024])))))
    }
}

fn trailers(name: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().unwrap(), "7".parse().unwrap())])
}

#[tokio::test]
async fn bodies_and_trailers_go_both_ways_at_the_same_time() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let (sender, body) = channel();
        let request = Request::post("/").header("host", "a").header("te", "trailers").body(body).unwrap();
        let request = forwarding(&upstream(settings), request);
        let mut peer = Peer::accept(&origin).await;
        let mut asked = peer.asked().await;
        assert_eq!(asked.request.headers()["te"], "trailers");
        assert_eq!(asked.request.headers().len(), 1, "{:?}", asked.request.headers());
        let mut back = asked.respond.send_response(Response::new(()), false).unwrap();
        let mut answer = request.await.unwrap().unwrap();
        for part in ["one", "two"] {
            sender.send(Ok(Frame::data(Bytes::from(part)))).unwrap();
            assert_eq!(asked.request.body_mut().data().await.unwrap().unwrap(), part);
            back.send_data(Bytes::from(part), false).unwrap();
            assert_eq!(answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), part);
        }
        sender.send(Ok(Frame::trailers(trailers("x-there")))).unwrap();
        drop(sender);
        assert!(asked.request.body_mut().data().await.is_none());
        assert_eq!(asked.request.body_mut().trailers().await.unwrap().unwrap()["x-there"], "7");
        back.send_trailers(trailers("x-back")).unwrap();
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap()["x-back"], "7");
        assert!(answer.body_mut().frame().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn an_answer_may_be_trailers_alone() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let request = forwarding(&upstream, get());
        let mut peer = Peer::accept(&origin).await;
        let head = Response::builder().header("grpc-status", "5").body(()).unwrap();
        peer.asked().await.respond.send_response(head, true).unwrap();
        let answer = request.await.unwrap().unwrap();
        assert_eq!(answer.headers()["grpc-status"], "5");
        assert!(answer.body().is_end_stream());
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let first = forwarding(&upstream, get());
        let mut peer = Peer::accept(&origin).await;
        let mut asked = Some(peer.asked().await);
        let mut request = Some(first);
        for code in [Code::NO_ERROR, Code::CANCEL, Code::INTERNAL_ERROR] {
            let mut respond = asked.take().unwrap().respond;
            let mut back = respond.send_response(Response::new(()), false).unwrap();
            back.send_data(Bytes::from_static(b"half"), false).unwrap();
            let mut answer = request.take().unwrap().await.unwrap().unwrap();
            assert_eq!(answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "half");
            back.send_reset(code);
            answer.body_mut().frame().await.unwrap().unwrap_err();
            request = Some(forwarding(&upstream, get()));
            asked = Some(peer.asked().await);
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_holds_back_its_own_answer_alone() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let request = forwarding(&upstream, get());
        let mut peer = Peer::accept(&origin).await;
        let mut back = peer.asked().await.respond.send_response(Response::new(()), false).unwrap();
        let answer = request.await.unwrap().unwrap();
        // As much as it may, while nobody reads the answer.
        let mut sent = 0;
        back.reserve_capacity(1 << 30);
        while back.capacity() > 0 || sent < 128 * 1024 {
            let room = match back.capacity() {
                0 => std::future::poll_fn(|cx| back.poll_capacity(cx)).await.unwrap().unwrap(),
                room => room,
            };
            back.send_data(Bytes::from(vec![b'x'; room]), false).unwrap();
            sent += room;
        }
        assert_eq!(sent, 128 * 1024);

        let other = forwarding(&upstream, get());
        peer.asked().await.answer();
        assert_eq!(text(other.await.unwrap().unwrap()).await, "ok");
        back.reserve_capacity(0);
        back.send_data(Bytes::new(), true).unwrap();
        assert_eq!(text(answer).await.len(), 128 * 1024);
    })
    .await;
}

#[tokio::test]
async fn a_client_is_asked_for_no_more_than_the_upstream_takes() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let given = Rc::new(Cell::new(0));
        let body = Counted(given.clone());
        let request = Request::post("/").header("host", "a").body(body).unwrap();
        let request = forwarding(&upstream(settings), request);
        let mut peer = Peer::accept(&origin).await;
        let mut asked = peer.asked().await;
        // The window of 65535 bytes is filled, and what does not fit of the last part waits.
        while given.get() != 4 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(given.get(), 4);
        assert_eq!(asked.body().await.len(), 100 * 16 * 1024);
        asked.answer();
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_breaks_off_resets_its_stream_alone() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let (sender, body) = channel();
        let request = forwarding(&upstream, Request::post("/").header("host", "a").body(body).unwrap());
        let mut peer = Peer::accept(&origin).await;
        let mut asked = peer.asked().await;
        sender.send(Err("gone".into())).unwrap();
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::BodyIncomplete);
        let end = asked.request.body_mut().data().await.unwrap().unwrap_err();
        assert_eq!(end.reason(), Some(Code::CANCEL));
        let other = forwarding(&upstream, get());
        peer.asked().await.answer();
        assert_eq!(text(other.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_keep_its_length_is_none() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let request = forwarding(&upstream(settings), get());
        let mut peer = Peer::accept(&origin).await;
        let head = Response::builder().header("content-length", "5").body(()).unwrap();
        let mut back = peer.asked().await.respond.send_response(head, false).unwrap();
        let answer = request.await.unwrap().unwrap();
        assert_eq!(answer.body().size_hint().exact(), Some(5));
        back.send_data(Bytes::from_static(b"abc"), true).unwrap();
        answer.into_body().collect().await.unwrap_err();
    })
    .await;
}
