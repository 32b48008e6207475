//! Names with several addresses.

use std::net::SocketAddr;

use super::*;
use crate::upstream::{Lookup, Resolver};

struct Found(Vec<SocketAddr>);

impl Resolver for Found {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Lookup<'a> {
        Box::pin(async move { Ok(self.0.clone()) })
    }
}

#[tokio::test]
async fn each_address_has_a_connection_until_it_goes() {
    on_one_thread(async {
        let at = |origin: &Origin| origin.0.local_addr().unwrap();
        let mut origins = [Origin::new().await, Origin::new().await];
        origins.sort_by_key(at);
        let endpoint = Endpoint { scheme: Scheme::H2c, host: "up.example".into(), port: 80, weight: 1 };
        let settings =
            Arc::new(UpstreamSettings { dns_refresh: Some(Duration::from_secs(1)), ..settings(vec![endpoint]) });
        let health = Conditions::default().of(&settings);
        let upstream = Rc::new(Shared(Upstream::new(&settings, health.clone(), None).unwrap()));
        health.look_up_first(&Found(origins.iter().map(at).collect())).await;
        let mut peers = Vec::new();
        for origin in &origins {
            let request = forwarding(&upstream, get());
            let mut peer = Peer::accept(origin).await;
            peer.asked().await.answer();
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
            peers.push(peer);
        }
        for peer in &mut peers {
            let request = forwarding(&upstream, get());
            peer.asked().await.answer();
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        }
        let [mut first, mut second] = <[Peer; 2]>::try_from(peers).map_err(drop).unwrap();

        let under_way = forwarding(&upstream, get());
        let asked = first.asked().await;
        health.look_up_first(&Found(vec![at(&origins[1])])).await;
        for _ in 0..2 {
            let request = forwarding(&upstream, get());
            second.asked().await.answer();
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        }
        asked.answer();
        assert_eq!(text(under_way.await.unwrap().unwrap()).await, "ok");
        first.ended.await.unwrap();
    })
    .await;
}
