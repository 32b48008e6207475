//! Requests that wait for a stream.

use super::*;
use crate::model::settings::UpstreamLimits;

/// One connection, and room for three to wait.
fn queueing(settings: UpstreamSettings) -> Rc<Shared> {
    let limits = UpstreamLimits { max_pending: 3, pending: Duration::from_secs(50), max_requests: None };
    upstream(UpstreamSettings { max_connections: 1, limits, ..settings })
}

fn streams(count: u32) -> Builder {
    let mut builder = Builder::new();
    builder.max_concurrent_streams(count);
    builder
}

fn asking(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", "a.example").body(Full::default()).unwrap()
}

/// A request for `path` once it waits, `place` others before it.
async fn waiting(
    upstream: &Rc<Shared>,
    path: &str,
    place: usize,
) -> JoinHandle<Result<Response<ResponseBody>, Denial>> {
    let request = forwarding(upstream, asking(path));
    while upstream.load().pending() <= place {
        tokio::task::yield_now().await;
    }
    request
}

async fn is_served(request: JoinHandle<Result<Response<ResponseBody>, Denial>>) {
    assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
}

#[tokio::test]
async fn who_waits_gets_a_stream_of_the_connection_that_is_there_in_order() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = queueing(settings);
        let first = forwarding(&upstream, asking("/a"));
        let mut peer = Peer::with(&origin, &streams(2)).await;
        let a = peer.asked().await;
        let second = forwarding(&upstream, asking("/b"));
        let b = peer.asked().await;
        let one = waiting(&upstream, "/1", 0).await;
        let two = waiting(&upstream, "/2", 1).await;
        let three = waiting(&upstream, "/3", 2).await;
        let denial = forward(&upstream, asking("/4")).await.unwrap_err();
        assert_eq!(denial.reason, Reason::UpstreamBusy, "there is room for three");

        b.answer();
        is_served(second).await;
        let asked = peer.asked().await;
        assert_eq!((asked.request.uri().path(), upstream.load().pending()), ("/1", 2));
        // Who leaves frees its place; what is given up frees its stream.
        two.abort();
        assert!(two.await.unwrap_err().is_cancelled());
        assert_eq!(upstream.load().pending(), 1);
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let last = peer.asked().await;
        assert_eq!(last.request.uri().path(), "/3");
        drop(a);
        for (asked, request) in [(last, three), (asked, one)] {
            asked.answer();
            is_served(request).await;
        }
        assert_eq!((upstream.load().pending(), upstream.counts()), (0, (1, 1)));
    })
    .await;
}

#[tokio::test]
async fn those_who_wait_for_a_connection_that_is_lost_get_the_next_one() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = queueing(settings);
        let first = forwarding(&upstream, asking("/a"));
        let mut peer = Peer::with(&origin, &streams(1)).await;
        let _a = peer.asked().await;
        let one = waiting(&upstream, "/1", 0).await;
        let two = waiting(&upstream, "/2", 1).await;
        peer.says(Goodbye::Gone);
        assert_eq!(first.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
        let mut peer = Peer::with(&origin, &streams(1)).await;
        for (path, request) in [("/1", one), ("/2", two)] {
            let asked = peer.asked().await;
            assert_eq!(asked.request.uri().path(), path);
            asked.answer();
            is_served(request).await;
        }
        assert_eq!((upstream.load().pending(), upstream.counts()), (0, (1, 1)));
    })
    .await;
}
