//! What is sent again over HTTP/2: what was not looked at, and what a lost connection makes harmless.

use super::*;
use crate::model::settings::Retries;

#[tokio::test]
async fn what_the_upstream_refused_is_sent_again_with_its_body() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let request = forwarding(&upstream, post("data"));
        let mut peer = Peer::accept(&origin).await;
        let mut asked = peer.asked().await;
        assert_eq!(asked.body().await, b"data");
        asked.respond.send_reset(Code::REFUSED_STREAM);
        let mut asked = peer.asked().await;
        assert_eq!(asked.request.method(), "POST");
        assert_eq!(asked.body().await, b"data");
        asked.answer();
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        assert_eq!(upstream.load().retries(), [0, 0, 1, 0, 0]);

        let request = forwarding(&upstream, post("data"));
        peer.asked().await.respond.send_reset(Code::REFUSED_STREAM);
        peer.asked().await.respond.send_reset(Code::REFUSED_STREAM);
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed, "one more try, not two");
    })
    .await;
}

#[tokio::test]
async fn what_was_refused_goes_elsewhere_where_there_is_an_elsewhere() {
    on_one_thread(async {
        let (a, settings) = http2().await;
        let (b, other) = http2().await;
        let endpoints = [settings.endpoints.clone(), other.endpoints].concat();
        let upstream = upstream(UpstreamSettings { endpoints, ..settings });
        let request = forwarding(&upstream, post("data"));
        let mut peer = Peer::accept(&a).await;
        peer.asked().await.respond.send_reset(Code::REFUSED_STREAM);
        let mut peer = Peer::accept(&b).await;
        peer.asked().await.answer();
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn a_long_body_that_has_gone_is_not_sent_again() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let long: &'static str = "x".repeat(65 * 1024).leak();
        let request = forwarding(&upstream, post(long));
        let mut roomy = Builder::new();
        roomy.initial_window_size(1 << 20).initial_connection_window_size(1 << 20);
        let mut peer = Peer::with(&origin, &roomy).await;
        let mut asked = peer.asked().await;
        assert_eq!(asked.body().await.len(), long.len());
        asked.respond.send_reset(Code::REFUSED_STREAM);
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
    })
    .await;
}

#[tokio::test]
async fn without_attempts_nothing_refused_is_sent_again() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let retries = Retries { attempts: 0, ..Retries::default() };
        let request = forwarding(&upstream(UpstreamSettings { retries, ..settings }), get());
        let mut peer = Peer::accept(&origin).await;
        peer.asked().await.respond.send_reset(Code::REFUSED_STREAM);
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
    })
    .await;
}

#[tokio::test]
async fn without_attempts_nothing_of_a_lost_connection_is_sent_again() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let retries = Retries { attempts: 0, ..Retries::default() };
        let upstream = upstream(UpstreamSettings { retries, ..settings });
        let mut peer = one_answered(&origin, &upstream).await;
        let request = forwarding(&upstream, get());
        let _asked = peer.asked().await;
        peer.says(Goodbye::Gone);
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
    })
    .await;
}

#[tokio::test]
async fn any_other_reset_may_come_of_a_request_that_had_its_effect() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let mut peer = one_answered(&origin, &upstream).await;
        for code in [Code::INTERNAL_ERROR, Code::CANCEL, Code::NO_ERROR, Code::ENHANCE_YOUR_CALM] {
            let request = forwarding(&upstream, get());
            peer.asked().await.respond.send_reset(code);
            assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed, "{code:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn after_goaway_what_is_under_way_ends_and_what_comes_goes_elsewhere() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let request = forwarding(&upstream, post("data"));
        let mut peer = Peer::accept(&origin).await;
        let asked = peer.asked().await;
        peer.says(Goodbye::Graceful);
        let next = forwarding(&upstream, post("more"));
        let mut other = tokio::select! {
            other = Peer::accept(&origin) => other,
            // It went out before the goodbye was heard, and was served all the same.
            asked = peer.asked() => { asked.answer(); next.await.unwrap().unwrap(); forwarding(&upstream, get()); Peer::accept(&origin).await }
        };
        asked.answer();
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        other.asked().await.answer();
        peer.ended.await.unwrap();
    })
    .await;
}

/// A connection with two requests of this method, of which GOAWAY names the first.
async fn goaway_between(method: &str) -> (Result<String, Denial>, Result<String, Denial>) {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let request = || Request::builder().method(method).uri("/").header("host", "a").body(Full::<Bytes>::default());
        let first = forwarding(&upstream, request().unwrap());
        // By hand: SETTINGS, then the two requests, then GOAWAY with stream 1, then the end.
        let mut wire = origin.accept().await.0;
        wire.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let mut frames = Frames::after_preface(wire).await;
        assert_eq!(frames.next_of(1).await, 1);
        let second = forwarding(&upstream, request().unwrap());
        assert_eq!(frames.next_of(1).await, 3);
        frames.0.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]).await.unwrap();
        drop(frames);
        let mut peer = Peer::accept(&origin).await;
        peer.asked().await.answer();
        let done = async |request: JoinHandle<Result<_, _>>| Ok(text(request.await.unwrap()?).await);
        (done(first).await, done(second).await)
    })
    .await
}

struct Frames(TcpStream);

impl Frames {
    async fn after_preface(mut wire: TcpStream) -> Self {
        wire.read_exact(&mut [0; 24]).await.unwrap();
        Self(wire)
    }

    /// The stream of the next frame of this type.
    async fn next_of(&mut self, kind: u8) -> u32 {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            self.0.read_exact(&mut vec![0; length]).await.unwrap();
            if head[3] == kind {
                return u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            }
        }
    }
}

#[tokio::test]
async fn what_goaway_does_not_name_is_sent_again_and_what_it_names_is_not() {
    let (first, second) = goaway_between("POST").await;
    assert_eq!(first.unwrap_err().reason, Reason::UpstreamFailed);
    assert_eq!(second.unwrap(), "ok");
}

#[tokio::test]
async fn a_lost_connection_makes_harmless_requests_go_out_again_where_it_had_answered_before() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let mut peer = one_answered(&origin, &upstream).await;
        let (harmless, post) = (forwarding(&upstream, get()), forwarding(&upstream, post("")));
        let (interim, begun) = (forwarding(&upstream, get()), forwarding(&upstream, get()));
        let (_asked, _posted) = (peer.asked().await, peer.asked().await);
        // The other two hear the beginning of an answer.
        let (mut interim_asked, mut begun_asked) = (peer.asked().await, peer.asked().await);
        interim_asked.respond.send_informational(Response::builder().status(103).body(()).unwrap()).unwrap();
        let mut body = begun_asked.respond.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"half"), false).unwrap();
        let begun = begun.await.unwrap().unwrap();
        peer.says(Goodbye::Gone);
        let mut again = Peer::accept(&origin).await;
        again.asked().await.answer();
        assert_eq!(text(harmless.await.unwrap().unwrap()).await, "ok");
        assert_eq!(post.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
        assert_eq!(interim.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
        begun.into_body().collect().await.unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn a_new_connection_that_is_lost_is_a_failure() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let request = forwarding(&upstream, get());
        let mut peer = Peer::accept(&origin).await;
        let _asked = peer.asked().await;
        peer.says(Goodbye::Gone);
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);

        let request = forwarding(&upstream, get());
        let mut peer = Peer::accept(&origin).await;
        let _asked = peer.asked().await;
        peer.says(Goodbye::Abrupt(Code::INTERNAL_ERROR));
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
    })
    .await;
}
