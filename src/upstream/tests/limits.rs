//! How much an upstream is given at once, and who waits for it.

use super::*;
use crate::model::denial::Reason;
use crate::model::settings::UpstreamLimits;

type Forwarded = JoinHandle<Result<Response<ResponseBody>, Denial>>;

/// One connection, and so many that may wait for it.
fn queueing(origin: &Origin, max_pending: usize) -> UpstreamSettings {
    let limits = UpstreamLimits { max_pending, pending: Duration::from_secs(50), max_requests: None };
    UpstreamSettings { max_connections: 1, limits, ..settings(vec![origin.endpoint()]) }
}

fn asking(path: &str) -> Request<http_body_util::Empty<Bytes>> {
    Request::get(path).header("host", "a.example").body(http_body_util::Empty::new()).unwrap()
}

/// A request for `path` once it waits, `place` others before it.
async fn waiting(upstream: &Rc<Shared>, path: &str, place: usize) -> Forwarded {
    let request = forwarding(upstream, asking(path));
    while upstream.load().pending() <= place {
        tokio::task::yield_now().await;
    }
    request
}

/// Answers whoever comes next on this connection; returns what it asked for.
async fn answer(wire: &mut Wire) -> String {
    let head = wire.head().await;
    wire.say(OK).await;
    head.split(' ').nth(1).unwrap().to_owned()
}

async fn is_served(request: Forwarded) {
    assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
}

#[tokio::test]
async fn who_waits_is_served_in_order_and_overtaken_by_nobody() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(queueing(&origin, 4));
        let first = forwarding(&upstream, asking("/0"));
        let mut wire = origin.accept().await;
        assert_eq!(answer(&mut wire).await, "/0");
        let first = first.await.unwrap().unwrap();
        let mut others = Vec::new();
        for (place, path) in ["/1", "/2", "/3"].into_iter().enumerate() {
            others.push(waiting(&upstream, path, place).await);
        }
        // The connection is free from here on, and who comes now comes first to run.
        assert_eq!(text(first).await, "ok");
        let last = forward(&upstream, asking("/4"));
        let served = async {
            for path in ["/1", "/2", "/3", "/4"] {
                assert_eq!(answer(&mut wire).await, path);
                if !others.is_empty() {
                    is_served(others.remove(0)).await;
                }
            }
        };
        let (last, ()) = tokio::join!(last, served);
        assert_eq!(text(last.unwrap()).await, "ok");
        assert_eq!((upstream.load().pending(), upstream.load().under_way()), (0, (0, 1)));
    })
    .await;
}

#[tokio::test]
async fn no_more_wait_than_may_and_none_for_longer_than_it_may() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = queueing(&origin, 2);
        settings.limits.pending = Duration::from_millis(20);
        let upstream = upstream(settings);
        let first = forwarding(&upstream, asking("/0"));
        let mut wire = origin.accept().await;
        let (one, two) = (waiting(&upstream, "/1", 0).await, waiting(&upstream, "/2", 1).await);
        let denial = forward(&upstream, asking("/3")).await.unwrap_err();
        assert_eq!(denial.reason, Reason::UpstreamBusy);
        assert!(denial.retry_after.is_some());
        for request in [one, two] {
            assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamBusy);
        }
        assert_eq!(upstream.load().pending(), 0);
        assert_eq!(answer(&mut wire).await, "/0");
        is_served(first).await;
    })
    .await;
}

#[tokio::test]
async fn who_leaves_gives_up_its_place() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(queueing(&origin, 3));
        let first = forwarding(&upstream, asking("/0"));
        let mut wire = origin.accept().await;
        let (one, two) = (waiting(&upstream, "/1", 0).await, waiting(&upstream, "/2", 1).await);
        let three = waiting(&upstream, "/3", 2).await;
        assert_eq!(forward(&upstream, asking("/4")).await.unwrap_err().reason, Reason::UpstreamBusy, "three may wait");
        // Before it is called, and in the moment in which it is.
        two.abort();
        assert!(two.await.unwrap_err().is_cancelled());
        assert_eq!(answer(&mut wire).await, "/0");
        let first = first.await.unwrap().unwrap();
        assert_eq!(text(first).await, "ok");
        one.abort();
        assert!(one.await.unwrap_err().is_cancelled());
        assert_eq!(answer(&mut wire).await, "/3");
        is_served(three).await;
        assert_eq!(upstream.load().pending(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_ends_makes_room_for_a_new_one() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(queueing(&origin, 1));
        let first = forwarding(&upstream, asking("/0"));
        let mut wire = origin.accept().await;
        wire.head().await;
        let next = waiting(&upstream, "/1", 0).await;
        drop(wire);
        assert_eq!(first.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
        let mut wire = origin.serve().await;
        is_served(next).await;

        // Given up: the connection is closed some time after its request is over.
        let given_up = forwarding(&upstream, asking("/2"));
        wire.head().await;
        let next = waiting(&upstream, "/3", 0).await;
        given_up.abort();
        wire.closed().await;
        origin.serve().await;
        is_served(next).await;
    })
    .await;
}

#[tokio::test]
async fn only_so_many_requests_are_under_way_to_the_end_of_their_answers() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let limits = UpstreamLimits { max_requests: Some(1), ..UpstreamLimits::default() };
        let upstream = upstream(UpstreamSettings { limits, ..settings(vec![origin.endpoint()]) });
        for _ in 0..2 {
            let request = forwarding(&upstream, asking("/0"));
            let mut wire = origin.accept().await;
            let denial = forward(&upstream, asking("/1")).await.unwrap_err();
            assert_eq!(denial.reason, Reason::UpstreamBusy, "before the answer");
            assert!(denial.retry_after.is_some());
            answer(&mut wire).await;
            let response = request.await.unwrap().unwrap();
            assert_eq!(forward(&upstream, asking("/1")).await.unwrap_err().reason, Reason::UpstreamBusy, "during it");
            drop(response);
            wire.closed().await;
        }
        let request = forwarding(&upstream, asking("/2"));
        let mut wire = origin.accept().await;
        answer(&mut wire).await;
        is_served(request).await;
        let left = forwarding(&upstream, asking("/3"));
        wire.head().await;
        left.abort();
        assert!(left.await.unwrap_err().is_cancelled());
        let request = forwarding(&upstream, asking("/4"));
        origin.serve().await;
        is_served(request).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_once_more_is_counted_by_its_cause() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let gone = Origin::new().await.endpoint();
        let upstream = upstream(settings(vec![gone, origin.endpoint()]));
        let first = forwarding(&upstream, asking("/0"));
        let mut wire = origin.accept().await;
        answer(&mut wire).await;
        is_served(first).await;
        assert_eq!(upstream.load().retries(), [1, 0, 0, 0, 0]);
        let again = forwarding(&upstream, asking("/1"));
        wire.head().await;
        drop(wire);
        origin.serve().await;
        is_served(again).await;
        assert_eq!(upstream.load().retries(), [1, 0, 0, 1, 0]);
    })
    .await;
}
