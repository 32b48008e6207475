//! Many requests at once for which no connection is at rest.

use super::*;
use crate::model::settings::HttpVersion;

/// Longer than the test may take.
const FOR_EVER: Duration = Duration::from_secs(100);

async fn waiting(upstream: &Rc<Shared>) -> JoinHandle<Result<Response<ResponseBody>, Denial>> {
    let request = forwarding(upstream, get());
    while upstream.pools()[0].surge.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    request
}

#[tokio::test]
async fn while_others_open_connections_one_that_is_given_back_will_do() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let first = forwarding(&upstream, get());
        let mut wire = origin.serve().await;
        let first = first.await.unwrap().unwrap();
        let _turns = upstream.pools()[0].surge.hold_all(FOR_EVER);
        let second = waiting(&upstream).await;
        assert_eq!(text(first).await, "ok");
        wire.head().await;
        wire.say(OK).await;
        assert_eq!(text(second.await.unwrap().unwrap()).await, "ok");
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn who_waits_opens_a_connection_when_others_have() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let turns = upstream.pools()[0].surge.hold_all(FOR_EVER);
        let request = waiting(&upstream).await;
        assert_eq!((upstream.counts().0, upstream.load().under_way().0), (0, 1));
        drop(turns);
        origin.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        assert_eq!(upstream.load().under_way().0, 0);
    })
    .await;
}

#[tokio::test]
async fn connections_that_do_not_come_about_hold_nobody_back() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let endpoint = Endpoint { scheme: Scheme::Https, ..origin.endpoint() };
        // Nobody answers their handshakes.
        let upstream = upstream(UpstreamSettings { http: HttpVersion::Http1, ..settings(vec![endpoint]) });
        let requests: Vec<_> = (0..8).map(|_| forwarding(&upstream, get())).collect();
        let mut wires = Vec::new();
        for _ in &requests {
            wires.push(origin.accept().await);
        }
        drop(wires);
        for request in requests {
            request.await.unwrap().unwrap_err();
        }
    })
    .await;
}
