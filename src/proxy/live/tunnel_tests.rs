use tokio::io::{DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::tests::{end, held};
use super::*;

/// A tunnel, and both of its ends.
struct Ends {
    client: DuplexStream,
    upstream: DuplexStream,
    tunnel: JoinHandle<()>,
}

fn tunnel(hold: Option<Hold>, size: usize) -> Ends {
    let ((client, near), (far, upstream)) = (duplex(size), duplex(size));
    Ends { client, upstream, tunnel: tokio::task::spawn_local(carry(near, far, hold, std::future::pending())) }
}

/// One of a service that goes away when told to.
fn leaving(hold: Option<Hold>, size: usize) -> (Ends, oneshot::Sender<[u8; 4]>) {
    let ((client, near), (far, upstream)) = (duplex(size), duplex(size));
    let (leave, leaves) = oneshot::channel();
    let going_away = async { leaves.await.unwrap_or_default() };
    (Ends { client, upstream, tunnel: tokio::task::spawn_local(carry(near, far, hold, going_away)) }, leave)
}

async fn expect(from: &mut DuplexStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    from.read_exact(&mut read).await.unwrap();
    assert_eq!(read, bytes);
}

async fn rest(mut from: DuplexStream) -> Vec<u8> {
    let mut read = Vec::new();
    from.read_to_end(&mut read).await.unwrap();
    read
}

async fn local<F: Future>(test: F) -> F::Output {
    tokio::task::LocalSet::new().run_until(test).await
}

#[tokio::test]
async fn each_side_may_stop_sending_and_still_be_sent_to() {
    local(async {
        for first in [true, false] {
            let Ends { client, upstream, tunnel } = tunnel(None, 64);
            let (mut stops, mut goes_on) = if first { (client, upstream) } else { (upstream, client) };
            stops.write_all(b"bye").await.unwrap();
            stops.shutdown().await.unwrap();
            expect(&mut goes_on, b"bye").await;
            assert_eq!(goes_on.read(&mut [0; 8]).await.unwrap(), 0, "it learns of the end");
            let long = vec![b'x'; 100_000];
            let ((), ()) = tokio::join!(async { goes_on.write_all(&long).await.unwrap() }, expect(&mut stops, &long));
            goes_on.shutdown().await.unwrap();
            assert_eq!(rest(stops).await, b"");
            tunnel.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_side_that_does_not_read_stops_the_other_alone() {
    local(async {
        let Ends { mut client, mut upstream, tunnel } = tunnel(None, 16);
        let mut sent = 0;
        while let Ok(written) = timeout(Duration::from_millis(50), upstream.write(&[7; 1000])).await {
            sent += written.unwrap();
        }
        assert!(sent <= 16 + PIECE + 16, "{sent}");
        for _ in 0..100 {
            client.write_all(b"still heard").await.unwrap();
            expect(&mut upstream, b"still heard").await;
        }
        drop(upstream);
        assert_eq!(rest(client).await, vec![7; sent]);
        tunnel.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_end_stands_between_two_frames_and_nothing_follows_it() {
    local(async {
        let (_live, hold, was_hung_up) = held();
        let Ends { mut client, mut upstream, tunnel } = tunnel(Some(hold.clone()), 64);
        upstream.write_all(b"\x81\x05hel").await.unwrap();
        expect(&mut client, b"\x81\x05hel").await;
        end(&hold, Reason::Revoked);
        drop(hold);
        // What is left of the frame comes late, and with more behind it.
        upstream.write_all(b"lo\x81\x06secret").await.unwrap();
        expect(&mut client, b"lo").await;
        assert_eq!(timeout(LINGER, rest(upstream)).await.unwrap(), b"", "closed before the client has answered");
        let close = close_frame(4401, "the credential has been revoked");
        expect(&mut client, &close).await;
        client.write_all(b"\x88\x80mask").await.unwrap();
        assert_eq!(rest(client).await, b"");
        tunnel.await.unwrap();
        assert!(!was_hung_up());
    })
    .await;
}

#[tokio::test]
async fn a_frame_that_does_not_end_ends_with_the_connection() {
    local(async {
        for (sent, more) in [(&b"\x81\x05hel"[..], false), (b"\x81", false), (b"\x81\x7f\xff\0\0\0\0\0\0\0", true)] {
            let (_live, hold, was_hung_up) = held();
            let Ends { mut client, mut upstream, tunnel } = tunnel(Some(hold.clone()), 64);
            upstream.write_all(sent).await.unwrap();
            expect(&mut client, sent).await;
            end(&hold, Reason::Revoked);
            drop(hold);
            if more {
                // Never read.
                let _ = upstream.write(b"more").await;
            }
            assert_eq!(rest(client).await, b"", "no close frame in the midst of another");
            tunnel.await.unwrap();
            assert!(was_hung_up());
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_waited_for() {
    local(async {
        let (_live, hold, was_hung_up) = held();
        let Ends { client, mut upstream, tunnel } = tunnel(Some(hold.clone()), 8);
        let _ =
            timeout(Duration::from_secs(1), upstream.write_all(&[b"\x82\x7e\x03\xe8", &[0; 1000][..]].concat())).await;
        end(&hold, Reason::Revoked);
        drop(hold);
        tunnel.await.unwrap();
        assert!(was_hung_up());
        drop(client);
    })
    .await;
}

#[tokio::test]
async fn who_has_been_told_already_is_not_told_again() {
    local(async {
        let (_live, hold, _) = held();
        let Ends { mut client, mut upstream, tunnel } = tunnel(Some(hold.clone()), 64);
        upstream.write_all(b"\x88\x02\x03\xe8").await.unwrap();
        expect(&mut client, b"\x88\x02\x03\xe8").await;
        end(&hold, Reason::RevocationStale);
        drop(hold);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        drop(client);
        tunnel.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_service_that_goes_away_says_so_to_both_sides_between_two_frames() {
    local(async {
        let (Ends { mut client, mut upstream, tunnel }, leave) = leaving(None, 64);
        upstream.write_all(b"\x81\x05hel").await.unwrap();
        expect(&mut client, b"\x81\x05hel").await;
        client.write_all(b"\x81\x83maskx").await.unwrap();
        expect(&mut upstream, b"\x81\x83maskx").await;
        leave.send(*b"abcd").unwrap();
        upstream.write_all(b"lo\x81\x06secret").await.unwrap();
        client.write_all(b"yz\x81\x80mask").await.unwrap();
        expect(&mut client, b"lo").await;
        let close = close_frame(1001, "the service is going away");
        expect(&mut client, &close).await;
        expect(&mut upstream, b"yz\x88\x9babcd").await;
        let mut payload = [0; 27];
        upstream.read_exact(&mut payload).await.unwrap();
        payload.iter_mut().zip(b"abcd".iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        assert_eq!(payload, close[2..]);
        client.write_all(b"\x88\x80mask").await.unwrap();
        assert_eq!(rest(client).await, b"");
        upstream.write_all(b"\x88\x00").await.unwrap();
        assert_eq!(rest(upstream).await, b"");
        tunnel.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_service_that_goes_away_does_not_wait_for_who_does_not_end_a_frame() {
    local(async {
        let (_live, hold, was_hung_up) = held();
        let (Ends { mut client, mut upstream, tunnel }, leave) = leaving(Some(hold), 64);
        upstream.write_all(b"\x81\x05hel").await.unwrap();
        expect(&mut client, b"\x81\x05hel").await;
        leave.send([0; 4]).unwrap();
        // The other side is told all the same.
        expect(&mut upstream, b"\x88\x9b").await;
        drop(upstream);
        assert_eq!(rest(client).await, b"");
        tunnel.await.unwrap();
        assert!(was_hung_up());
    })
    .await;
}

#[test]
fn codes_say_whose_fault_it_is() {
    assert_eq!(close_code(Reason::Revoked).0, 4401);
    assert_eq!(close_code(Reason::SessionExpired).0, 4401);
    assert_eq!(close_code(Reason::RevocationStale).0, 1008);
    assert_eq!(close_code(Reason::StoreUnavailable).0, 1008);
}
