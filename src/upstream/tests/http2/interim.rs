use super::super::interim::asking;
use super::*;

#[tokio::test]
async fn interim_answers_of_http_2_are_told_the_same_way() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let (request, mut heard) = asking();
        let answer = forwarding(&upstream, request);
        let mut peer = Peer::accept(&origin).await;
        peer.asked().await.respond.send_reset(Code::REFUSED_STREAM);
        let mut asked = peer.asked().await;
        for status in [103, 110] {
            let interim = Response::builder().status(status).header("link", "</a>").body(()).unwrap();
            asked.respond.send_informational(interim).unwrap();
            assert_eq!(heard.recv().await, Some((status, 1)));
        }
        asked.answer();
        assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}
