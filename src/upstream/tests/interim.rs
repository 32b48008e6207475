use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::upstream::Interim;

/// A request, and what is heard of interim answers to it.
pub(super) fn asking() -> (Request<http_body_util::Empty<Bytes>>, UnboundedReceiver<(u16, usize)>) {
    let (tell, heard) = unbounded_channel();
    let mut request = get();
    let interim = Interim::new(move |status, headers| tell.send((status.as_u16(), headers.len())).unwrap());
    request.extensions_mut().insert(interim);
    (request, heard)
}

#[tokio::test]
async fn interim_answers_are_told_as_they_come_and_also_of_a_request_that_is_sent_again() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let (request, mut heard) = asking();
        let answer = forwarding(&upstream, request);
        let mut wire = origin.accept().await;
        wire.head().await;
        for status in [100, 103, 103] {
            wire.say(&format!("HTTP/1.1 {status} Interim\r\nLink: </a>\r\nX: y\r\n\r\n")).await;
            assert_eq!(heard.recv().await, Some((status, 2)));
        }
        wire.say(OK).await;
        assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
        assert_eq!(heard.recv().await, None);

        let (request, mut heard) = asking();
        let answer = forwarding(&upstream, request);
        // The kept connection closes under it.
        wire.head().await;
        drop(wire);
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.say("HTTP/1.1 103 Early Hints\r\n\r\n").await;
        assert_eq!(heard.recv().await, Some((103, 0)));
        wire.say(OK).await;
        assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}
