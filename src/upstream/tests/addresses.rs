//! Names with several addresses, which come and go.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::net::TcpListener;

use super::*;
use crate::upstream::health::UpstreamHealth;
use crate::upstream::{Lookup, Resolver};

const NAME: &str = "up.example";

/// Finds these.
struct Found(Mutex<io::Result<Vec<SocketAddr>>>);

impl Resolver for Found {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        assert_eq!((host, port), (NAME, 8080));
        let found = std::mem::replace(&mut *self.0.lock().unwrap(), Err(io::ErrorKind::NotFound.into()));
        Box::pin(async move { found })
    }
}

fn at(origin: &Origin) -> SocketAddr {
    origin.0.local_addr().unwrap()
}

/// So many, in order of address.
async fn origins<const N: usize>() -> [Origin; N] {
    let mut origins = Vec::new();
    for _ in 0..N {
        origins.push(Origin::new().await);
    }
    origins.sort_by_key(at);
    origins.try_into().map_err(drop).unwrap()
}

fn named(scheme: Scheme) -> UpstreamSettings {
    let endpoint = Endpoint { scheme, host: NAME.into(), port: 8080, weight: 1 };
    let mut settings = settings(vec![endpoint]);
    // Nothing is closed for having been idle.
    settings.timeouts.idle = Duration::from_secs(600);
    UpstreamSettings { dns_refresh: Some(Duration::from_millis(1)), host_header: HostHeader::Endpoint, ..settings }
}

fn with(settings: UpstreamSettings) -> (Rc<Shared>, Arc<UpstreamHealth>) {
    let settings = Arc::new(settings);
    let health = Conditions::default().of(&settings);
    (Rc::new(Shared(Upstream::new(&settings, health.clone(), None).unwrap())), health)
}

async fn look_up(health: &UpstreamHealth, origins: &[&Origin]) {
    let found = origins.iter().map(|origin| at(origin)).collect();
    health.look_up_first(&Found(Mutex::new(Ok(found)))).await;
}

async fn answer(wire: &mut Wire) {
    assert!(wire.head().await.contains("host: up.example:8080\r\n"));
    wire.say(OK).await;
}

async fn ok(request: JoinHandle<Result<Response<ResponseBody>, Denial>>) {
    assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
}

#[tokio::test]
async fn requests_are_spread_over_the_addresses_of_a_name_and_follow_them() {
    on_one_thread(async {
        let [a, b, c] = origins().await;
        let (upstream, health) = with(named(Scheme::Http));
        look_up(&health, &[&b, &a]).await;
        let mut wires = Vec::new();
        for origin in [&a, &b] {
            let request = forwarding(&upstream, get());
            let mut wire = origin.accept().await;
            answer(&mut wire).await;
            ok(request).await;
            wires.push(wire);
        }
        for wire in &mut wires {
            let request = forwarding(&upstream, get());
            answer(wire).await;
            ok(request).await;
        }
        let [first, mut second] = <[Wire; 2]>::try_from(wires).map_err(drop).unwrap();

        look_up(&health, &[&b, &c]).await;
        first.closed().await;
        assert_eq!(upstream.counts(), (1, 1), "what goes to an address that stays is kept");
        let requests = [forwarding(&upstream, get()), forwarding(&upstream, get())];
        answer(&mut second).await;
        let mut third = c.accept().await;
        answer(&mut third).await;
        for request in requests {
            ok(request).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_has_the_fewest_requests_gets_the_next() {
    on_one_thread(async {
        let [a, b] = origins().await;
        let (upstream, health) = with(named(Scheme::Http));
        look_up(&health, &[&a, &b]).await;
        let (slow, mut waiting) = (forwarding(&upstream, get()), a.accept().await);
        let (first, mut wire) = (forwarding(&upstream, get()), b.accept().await);
        answer(&mut wire).await;
        ok(first).await;
        for _ in 0..3 {
            let next = forwarding(&upstream, get());
            answer(&mut wire).await;
            ok(next).await;
        }
        answer(&mut waiting).await;
        ok(slow).await;
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_under_way_is_finished_where_it_went() {
    on_one_thread(async {
        let [a, b] = origins().await;
        let (upstream, health) = with(named(Scheme::Http));
        look_up(&health, &[&a]).await;
        let (request, mut wire) = (forwarding(&upstream, get()), a.accept().await);
        look_up(&health, &[&b]).await;
        let (next, mut other) = (forwarding(&upstream, get()), b.accept().await);
        answer(&mut other).await;
        ok(next).await;
        answer(&mut wire).await;
        ok(request).await;
        wire.closed().await;
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_lookup_that_finds_nothing_changes_nothing() {
    on_one_thread(async {
        let [a] = origins().await;
        let (upstream, health) = with(named(Scheme::Http));
        look_up(&health, &[&a]).await;
        let (request, mut wire) = (forwarding(&upstream, get()), a.accept().await);
        answer(&mut wire).await;
        ok(request).await;
        look_up(&health, &[]).await;
        health.look_up_first(&Found(Mutex::new(Err(io::ErrorKind::TimedOut.into())))).await;
        let request = forwarding(&upstream, get());
        answer(&mut wire).await;
        ok(request).await;
    })
    .await;
}

#[tokio::test]
async fn an_address_that_cannot_be_reached_costs_no_request() {
    on_one_thread(async {
        let [gone, there] = origins().await;
        let nobody = at(&gone);
        drop(gone);
        let (upstream, health) = with(UpstreamSettings { max_idle: 0, ..named(Scheme::Http) });
        health.look_up_first(&Found(Mutex::new(Ok(vec![nobody, at(&there)])))).await;
        for _ in 0..3 {
            let (request, mut wire) = (forwarding(&upstream, get()), there.accept().await);
            answer(&mut wire).await;
            ok(request).await;
        }
    })
    .await;
}

#[tokio::test]
async fn addresses_are_of_either_family() {
    on_one_thread(async {
        let [four] = origins().await;
        let Ok(six) = TcpListener::bind("[::1]:0").await.map(Origin) else { return };
        let (upstream, health) = with(named(Scheme::Http));
        look_up(&health, &[&six, &four]).await;
        for origin in [&four, &six] {
            let (request, mut wire) = (forwarding(&upstream, get()), origin.accept().await);
            answer(&mut wire).await;
            ok(request).await;
        }
    })
    .await;
}

#[tokio::test]
async fn with_all_connections_in_use_one_to_another_address_will_do() {
    on_one_thread(async {
        let [a, b] = origins().await;
        let (upstream, health) = with(UpstreamSettings { max_connections: 1, ..named(Scheme::Http) });
        look_up(&health, &[&a, &b]).await;
        let (request, mut wire) = (forwarding(&upstream, get()), a.accept().await);
        answer(&mut wire).await;
        ok(request).await;
        let request = forwarding(&upstream, get());
        answer(&mut wire).await;
        ok(request).await;
    })
    .await;
}

#[tokio::test]
async fn the_certificate_is_for_the_name() {
    on_one_thread(async {
        let [a] = origins().await;
        let served = tls::Served::new(NAME, &["http/1.1"]);
        let trusted = served.settings(&a).tls;
        let (upstream, health) = with(UpstreamSettings { tls: trusted, ..named(Scheme::Https) });
        look_up(&health, &[&a]).await;
        let request = forwarding(&upstream, get());
        let mut wire = Wire(served.acceptor.accept(a.accept().await.0).await.unwrap());
        assert_eq!(wire.0.get_ref().1.server_name(), Some(NAME));
        wire.head().await;
        wire.say(OK).await;
        ok(request).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_found_outlives_a_reload() {
    on_one_thread(async {
        let [a] = origins().await;
        let settings = Arc::new(named(Scheme::Http));
        let before = Conditions::new(std::slice::from_ref(&settings));
        look_up(&before.of(&settings), &[&a]).await;
        let others = Arc::new(UpstreamSettings { max_idle: 1, ..named(Scheme::Http) });
        let after = before.renewed(std::slice::from_ref(&others));
        let upstream = Rc::new(Shared(Upstream::new(&others, after.of(&others), None).unwrap()));
        let (request, mut wire) = (forwarding(&upstream, get()), a.accept().await);
        answer(&mut wire).await;
        ok(request).await;
    })
    .await;
}

#[tokio::test]
async fn names_are_looked_up_again_and_again() {
    struct Other(Mutex<u16>);
    impl Resolver for Other {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Lookup<'a> {
            let mut last = self.0.lock().unwrap();
            *last += 1;
            let found =
                if *last == 1 { Err(io::ErrorKind::NotFound.into()) } else { Ok(vec![([192, 0, 2, 1], *last).into()]) };
            Box::pin(async move { found })
        }
    }
    on_one_thread(async {
        let settings = Arc::new(named(Scheme::Http));
        let conditions = Conditions::new(std::slice::from_ref(&settings));
        let mut found = conditions.of(&settings).addresses(0).unwrap();
        let checker = Checker::new(&conditions, Arc::new(crate::model::SystemEntropy)).unwrap();
        let checker = checker.with_resolver(Arc::new(Other(Mutex::new(0))));
        let running = tokio::task::spawn_local(async move { checker.run().await });
        for _ in 0..3 {
            found.changed().await.unwrap();
        }
        running.abort();
        let lookups = conditions.counts().remove(0).endpoints.remove(0).lookups.unwrap();
        assert!(lookups.addresses == 1 && lookups.succeeded >= 3 && lookups.failed == 1, "{lookups:?}");
    })
    .await;
}
