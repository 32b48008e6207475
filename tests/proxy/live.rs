//! Whoever's credential ends, his streams end with it; nobody else's do.

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::crypto::{api_key, digest, session_secret};
use portcullis::model::identity::LOCAL_ISSUER;
use portcullis::model::{
    ApiKeyRecord, Clock as _, LogEntry, Principal, Revocation, SessionRecord, SystemClock, SystemEntropy,
};
use portcullis::store::Store;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::harness::certificates::Authority;
use crate::harness::http::{Wire, get};
use crate::harness::portcullis::{ISSUER, Portcullis, Setup, bearer, block_on, cookie};
use crate::harness::redis::Redis;
use crate::harness::streams::Streams;

const EVENT: &str = "data: hi\n\n";
const HOUR: Duration = Duration::from_secs(3600);

struct World {
    redis: Redis,
    store: Store,
    streams: Streams,
    portcullis: Portcullis,
}

/// Everything under `/`; the same under other hosts with other settings.
fn world() -> World {
    world_with("30s", "30s")
}

fn world_with(max_staleness: &str, leeway: &str) -> World {
    let (redis, streams) = (Redis::start(), Streams::start());
    let portcullis = Setup::new().try_start(&format!(
        r#"
        server = {{ workers = 1, drain_delay = "0s", shutdown_grace = "10s" }}
        listener.main.bind = "127.0.0.1:0"
        health.bind = "127.0.0.1:0"
        admin.socket = "admin.sock"
        store = {{ url = "{}", timeout = "5s" }}
        revocation.max_staleness = "{max_staleness}"
        [issuer.main]
        url = "{ISSUER}"
        audiences = ["orders"]
        keys.jwks_file = "jwks.json"
        leeway = "{leeway}"
        [roles]
        reader = ["read"]
        [defaults]
        accept = ["jwt", "session", "api_key"]
        upstream = "{}"
        [route]
        all = {{ match = "/{{*rest}}" }}
        lenient = {{ match = "lenient.example/{{*rest}}", on_stale = "allow" }}
        graceful = {{ match = "graceful.example/{{*rest}}", stream_grace = "1s" }}
        patient = {{ match = "patient.example/{{*rest}}", stream_grace = "1h" }}
        unlimited = {{ match = "unlimited.example/{{*rest}}", stream_grace = "unlimited" }}
        "#,
        redis.url(),
        streams.url(),
    ));
    let portcullis = portcullis.unwrap_or_else(|problem| panic!("{problem}"));
    World { store: redis.store(), redis, streams, portcullis }
}

/// What a request carries, and what ends it.
struct Credential {
    line: String,
    end: Revocation,
}

fn alice() -> Principal {
    Principal::new(LOCAL_ISSUER, "alice")
}

impl World {
    fn to(&self) -> SocketAddr {
        self.portcullis.address()
    }

    fn revoke(&self, what: &Revocation) {
        block_on(revoke(&self.store, what));
    }

    fn token(&self, subject: &str, jti: &str) -> Credential {
        let token = self.portcullis.token(json!({"sub": subject, "jti": jti}));
        Credential { line: bearer(&token), end: Revocation::Token { issuer: ISSUER.into(), id: jti.into() } }
    }

    /// Generation 0 is what the store makes of it: one above all small numbers.
    fn session_of(&self, idle: Duration, generation: u64) -> (Credential, [u8; 32]) {
        let (secret, digest) = session_secret::mint(&SystemEntropy);
        let id = session_secret::public_id(&SystemEntropy);
        let record =
            SessionRecord { generation, ..SessionRecord::new(&id, alice(), SystemClock.now(), idle, 12 * HOUR) };
        block_on(self.store.sessions.create(&digest, &record)).expect("Redis");
        (Credential { line: cookie(secret.expose()), end: Revocation::Session { id: id.as_str().into() } }, digest)
    }

    fn session(&self) -> Credential {
        self.session_of(HOUR, 0).0
    }

    fn api_key(&self) -> Credential {
        let minted = api_key::mint("test", &SystemEntropy);
        let ci = Principal::new(LOCAL_ISSUER, "ci");
        let record = ApiKeyRecord::new(&minted.id, minted.secret_sha256, ci, SystemClock.now());
        block_on(self.store.api_keys.create(&record)).expect("Redis");
        Credential { line: bearer(minted.text.expose()), end: Revocation::ApiKey { id: minted.id.as_str().into() } }
    }

    /// One of each kind, each revoked in its own way.
    fn of_each_kind(&self) -> Vec<Credential> {
        let before = SystemClock.now().after(HOUR);
        let all_of_bob = Revocation::PrincipalBefore { principal: Principal::new(ISSUER, "bob"), before };
        let logged_out = Revocation::Sessions { principal: alice(), generation: 6 };
        vec![
            self.token("alice", "one"),
            Credential { end: all_of_bob, ..self.token("bob", "two") },
            self.session(),
            Credential { end: logged_out, ..self.session_of(HOUR, 5).0 },
            self.api_key(),
        ]
    }

    /// Sends a request and leaves it at that.
    fn ask(&self, host: &str, path: &str, more: &str) -> Wire {
        let mut wire = Wire::connect(self.to());
        wire.write(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"));
        wire
    }

    /// A stream of which the first event has come.
    fn open(&self, host: &str, path: &str, more: &str) -> Wire {
        let mut wire = self.ask(host, path, more);
        wire.read_until(EVENT);
        wire
    }

    fn websocket(&self, host: &str, path: &str, more: &str) -> Wire {
        let mut wire = self.ask(
            host,
            path,
            &format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://{host}\r\n{more}"
            ),
        );
        assert_eq!(wire.read_answer().map(|answer| answer.status), Some(101));
        wire
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let text = get(self.portcullis.health(), "/metrics", "").body;
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}

async fn revoke(store: &Store, what: &Revocation) {
    let until = SystemClock.now().after(2 * HOUR);
    store.log.append(&LogEntry { what: what.clone(), until }).await.expect("the log takes it");
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never was so that {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// It goes on: an event comes that was not under way before.
fn goes_on(streams: &Streams, mut next: impl FnMut() -> String) {
    let so_far = streams.last_event();
    while number(&next()).is_none_or(|number| number <= so_far) {}
}

/// The last event's, however the text is cut into chunks.
fn number(text: &str) -> Option<u64> {
    text.rsplit(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 8)?.parse().ok()
}

/// It has been broken off: nothing says that it is complete.
#[track_caller]
fn breaks_off(mut wire: Wire) {
    let rest = wire.read_to_end();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it looks complete: {}", String::from_utf8_lossy(&rest));
}

#[test]
fn streams_of_a_revoked_credential_break_off_and_others_go_on() {
    let world = world();
    let mut other = world.open("a", "/ticks", &world.token("carol", "carols").line);
    for (number, Credential { line, end }) in world.of_each_kind().into_iter().enumerate() {
        let silent = format!("/silent/x{number}");
        let victims = [world.open("a", "/ticks", &line), world.open("a", &silent, &line)];
        world.revoke(&end);
        victims.into_iter().for_each(breaks_off);
        world.streams.wait_for_end(&silent);
        until("requests are refused as well", || get(world.to(), "/ticks", &line).status == 401);
        goes_on(&world.streams, || other.read_until("\n\n"));
    }
    assert_eq!(world.metric("portcullis_live_streams_ended_total{reason=\"revoked\"} "), Some(10.0));
    until("one stream is left", || world.metric("portcullis_live_streams ") == Some(1.0));
}

#[test]
fn an_answer_that_is_waited_for_becomes_a_401() {
    let world = world();
    for (number, Credential { line, end }) in world.of_each_kind().into_iter().enumerate() {
        let target = format!("/waits/x{number}");
        let mut wire = world.ask("a", &target, &line);
        until("it has arrived", || world.metric("portcullis_live_streams ") == Some(1.0));
        world.revoke(&end);
        let answer = wire.read_answer().expect("an answer");
        assert_eq!(answer.status, 401, "{}", answer.head);
        assert!(answer.value("www-authenticate").is_some(), "{}", answer.head);
        world.streams.wait_for_end(&target);
        until("it is over", || world.metric("portcullis_live_streams ") == Some(0.0));
    }
}

#[test]
fn an_upload_stops_on_its_way() {
    let world = world();
    // One is answered while it goes on, the other would be at its end.
    for path in ["/silent/x1", "/waits/x1"] {
        let Credential { line, end } = world.token("alice", path);
        let mut wire = Wire::connect(world.to());
        wire.write(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{line}\r\n5\r\nfirst\r\n"
        ));
        if path.starts_with("/silent") {
            wire.read_until(EVENT);
        }
        until("it is on its way", || world.metric("portcullis_live_streams ") == Some(1.0));
        world.revoke(&end);
        let body = world.streams.wait_for_end(path).body;
        assert!(!body.ends_with(b"0\r\n\r\n"), "{body:?}");
        match wire.read_answer() {
            Some(answer) => assert_eq!((answer.status, path), (401, "/waits/x1")),
            None => assert_eq!(path, "/silent/x1"),
        }
        until("it is over", || world.metric("portcullis_live_streams ") == Some(0.0));
    }
}

#[test]
fn a_client_that_does_not_read_is_hung_up_on() {
    let world = world();
    let Credential { line, end } = world.session();
    let mut wire = world.ask("a", "/flood/x1", &line);
    wire.read_exactly(100);
    world.streams.wait_for_block("/flood/x1");
    world.revoke(&end);
    world.streams.wait_for_end("/flood/x1");
    // Only the connection that asks is left, without a byte having been read.
    until("the connection is gone", || world.metric("portcullis_connections ") == Some(0.0));
    assert!(wire.read_to_end().len() < 100_000_000);
}

#[test]
fn a_websocket_is_told_why() {
    let world = world();
    let mut other = world.websocket("a", "/ws/ticks/other", &world.token("carol", "carols").line);
    for (number, Credential { line, end }) in world.of_each_kind().into_iter().enumerate() {
        let (target, host) = (format!("/ws/x{number}"), world.to().to_string());
        let mut wire = world.websocket(&host, &target, &line);
        assert_eq!(wire.read_exactly(4), b"\x81\x02hi");
        world.revoke(&end);
        let rest = wire.read_to_end();
        assert_eq!((rest[0], usize::from(rest[1]), &rest[2..4]), (0x88, rest.len() - 2, &4401_u16.to_be_bytes()[..]));
        assert_eq!(&rest[4..], b"the credential has been revoked");
        world.streams.wait_for_end(&target);
        goes_on(&world.streams, || String::from_utf8(other.read_exactly(10)[2..].to_vec()).expect("text"));
    }
}

#[test]
fn a_websocket_that_is_in_the_middle_of_a_frame_ends_it_or_is_cut_off() {
    let world = world();
    let busy = world.token("alice", "busy");
    let mut wire = world.websocket("a", "/ws/ticks/x1", &busy.line);
    wire.read_exactly(1000);
    world.revoke(&busy.end);
    let rest = wire.read_to_end();
    let close = rest.windows(4).rposition(|bytes| bytes[0] == 0x88 && bytes[2..] == 4401_u16.to_be_bytes());
    let close = close.unwrap_or_else(|| panic!("no close frame: {rest:?}"));
    assert_eq!((1000 + close) % 10, 0, "it stands between two frames");
    assert_eq!(rest.len(), close + 2 + usize::from(rest[close + 1]));

    let stuck = world.token("alice", "stuck");
    let mut wire = world.websocket("a", "/ws/stuck/x1", &stuck.line);
    wire.read_exactly(8);
    world.revoke(&stuck.end);
    assert_eq!(wire.read_to_end(), b"", "nothing that would be taken for a part of the frame");
    world.streams.wait_for_end("/ws/stuck/x1");
}

#[test]
fn a_token_and_its_streams_expire_together() {
    let world = world_with("30s", "0s");
    let soon = SystemClock.now().as_secs() + 3;
    let line = bearer(&world.portcullis.token(json!({"exp": soon})));
    let lasting = world.token("carol", "carols").line;
    let mut other = world.open("a", "/ticks", &lasting);
    let (stream, mut waiting) = (world.open("a", "/silent/x1", &line), world.ask("a", "/waits/x1", &line));
    let mut websocket = world.websocket("a", "/ws/x1", &line);
    assert!(SystemClock.now().as_secs() < soon, "this machine is too slow for the test");
    breaks_off(stream);
    assert!(SystemClock.now().as_secs() >= soon, "it ended too soon");
    assert_eq!(waiting.read_answer().map(|answer| answer.status), Some(401));
    let rest = websocket.read_to_end();
    assert_eq!(rest, b"\x81\x02hi\x88\x1c\x11\x31the credential has expired");
    goes_on(&world.streams, || other.read_until("\n\n"));
    assert_eq!(world.metric("portcullis_live_streams_ended_total{reason=\"token_expired\"} "), Some(3.0));
}

#[test]
fn the_end_of_a_session_is_that_of_its_record() {
    let world = world();
    let idle = Duration::from_secs(3);
    let ((used, digest), (unused, _)) = (world.session_of(idle, 0), world.session_of(idle, 0));
    let mut goes = world.open("a", "/ticks", &used.line);
    let ends = world.open("a", "/silent/x1", &unused.line);
    // As an instance would where it is used again and again for a minute.
    let mut at = SystemClock.now();
    for _ in 0..20 {
        assert!(block_on(world.store.sessions.touch(&digest, at)).expect("Redis"), "it is there");
        at = at.after(idle.saturating_sub(Duration::from_millis(100)));
    }
    breaks_off(ends);
    assert_eq!(world.metric("portcullis_live_streams_ended_total{reason=\"session_expired\"} "), Some(1.0));
    until("the other has been looked up", || {
        let series = "portcullis_store_calls_total{operation=\"session.find_by_id\",ok=\"true\"} ";
        world.metric(series).is_some_and(|calls| calls >= 2.0)
    });
    goes_on(&world.streams, || goes.read_until("\n\n"));
    world.revoke(&used.end);
    breaks_off(goes);
}

#[test]
fn a_session_that_nobody_can_look_up_ends_when_it_was_to_end() {
    let mut world = world();
    let (session, _) = world.session_of(Duration::from_secs(3), 0);
    let mut websocket = world.websocket("a", "/ws/x1", &session.line);
    let lasting = world.session();
    let mut other = world.open("a", "/ticks", &lasting.line);
    websocket.read_exactly(4);
    world.redis.kill();
    let rest = websocket.read_to_end();
    assert_eq!(rest[2..4], 1008_u16.to_be_bytes(), "{rest:?}");
    goes_on(&world.streams, || other.read_until("\n\n"));
}

#[test]
fn a_route_may_give_streams_time() {
    let world = world();
    let Credential { line, end } = world.token("alice", "one");
    let [at_once, graceful, mut patient, mut unlimited] =
        ["a", "graceful.example", "patient.example", "unlimited.example"].map(|host| world.open(host, "/ticks", &line));
    let before = Instant::now();
    world.revoke(&end);
    breaks_off(at_once);
    breaks_off(graceful);
    assert!(before.elapsed() >= Duration::from_secs(1), "it had a second");
    for host in ["a", "graceful.example", "patient.example", "unlimited.example"] {
        let mut refused = world.ask(host, "/ticks", &line);
        assert_eq!(refused.read_answer().map(|answer| answer.status), Some(401), "{host}: no new request has time");
    }
    goes_on(&world.streams, || patient.read_until("\n\n"));
    goes_on(&world.streams, || unlimited.read_until("\n\n"));
    assert_eq!(world.metric("portcullis_live_streams_ended_total{reason=\"revoked\"} "), Some(2.0));
}

#[test]
fn streams_end_when_the_log_is_stale_unless_the_route_says_otherwise() {
    let mut world = world_with("2s", "30s");
    let Credential { line, .. } = world.token("alice", "one");
    let strict = world.open("a", "/ticks", &line);
    let mut websocket = world.websocket("a", "/ws/x1", &line);
    let mut lenient = world.open("lenient.example", "/ticks", &line);
    websocket.read_exactly(4);
    world.redis.kill();
    breaks_off(strict);
    let rest = websocket.read_to_end();
    assert_eq!((rest[0], &rest[2..4]), (0x88, &1008_u16.to_be_bytes()[..]), "{rest:?}");
    goes_on(&world.streams, || lenient.read_until("\n\n"));
    assert_eq!(world.metric("portcullis_live_streams_ended_total{reason=\"revocation_stale\"} "), Some(2.0));
}

#[test]
fn a_session_that_the_application_ends_by_itself_ends_its_streams() {
    let (redis, streams) = (Redis::start(), Streams::start());
    let portcullis = Setup::new().try_start(&format!(
        r#"
        server = {{ workers = 1, drain_delay = "0s", shutdown_grace = "10s" }}
        listener.main.bind = "127.0.0.1:0"
        health.bind = "127.0.0.1:0"
        store = {{ url = "{}", timeout = "5s" }}
        revocation.max_staleness = "30s"
        [session]
        layout = "json"
        cookie = "sid"
        foreign = {{ key_prefix = "app:s:", subject = "sub", expires = "ends" }}
        [route]
        all = {{ match = "/{{*rest}}", accept = "session", upstream = "{}" }}
        "#,
        redis.url(),
        streams.url(),
    ));
    let portcullis = portcullis.unwrap_or_else(|problem| panic!("{problem}"));
    let ends = |after: Duration| SystemClock.now().after(after).as_secs();
    let keep = |id: &str, ends: u64| {
        let record = json!({"sub": "alice", "ends": ends}).to_string();
        redis.command::<()>(&["SET", &format!("app:s:{id}"), &record]);
    };
    let [gone, moved] = ["g", "m"].map(|letter| letter.repeat(32));
    keep(&gone, ends(HOUR));
    keep(&moved, ends(Duration::from_secs(4)));
    let open = |id: &str| {
        let mut wire = Wire::connect(portcullis.address());
        wire.write(format!("GET /ticks HTTP/1.1\r\nHost: a\r\nCookie: sid={id}\r\n\r\n"));
        wire.read_until(EVENT);
        wire
    };
    let (breaks, mut goes) = (open(&gone), open(&moved));
    keep(&moved, ends(HOUR));
    redis.command::<()>(&["DEL", &format!("app:s:{gone}")]);
    // Later than the other was to end at first.
    breaks_off(breaks);
    goes_on(&streams, || goes.read_until("\n\n"));
}

/// One HTTP/2 connection.
struct Two(hyper::client::conn::http2::SendRequest<Full<Bytes>>);

impl Two {
    async fn connect(to: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(to).await.expect("a connection");
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(32 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        Self(sender)
    }

    async fn open(&mut self, path: &str, line: &str) -> Incoming {
        let (name, value) = line.trim().split_once(": ").expect("a header line");
        let request = Request::get(format!("http://a{path}")).header(name, value).header("te", "trailers");
        self.0.ready().await.expect("a stream");
        let answer = self.0.send_request(request.body(Full::default()).expect("a request")).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.into_body()
    }
}

async fn next(body: &mut Incoming) -> Result<Bytes, hyper::Error> {
    let patience = Duration::from_secs(20);
    let frame = tokio::time::timeout(patience, body.frame()).await.expect("something happens").expect("not the end");
    frame.map(|frame| frame.into_data().unwrap_or_default())
}

async fn goes_on_in_two(streams: &Streams, body: &mut Incoming) {
    let so_far = streams.last_event();
    loop {
        let text = String::from_utf8(next(body).await.expect("it goes on").to_vec()).expect("text");
        if number(&text).is_some_and(|number| number > so_far) {
            return;
        }
    }
}

#[test]
fn http_2_resets_the_stream_and_no_other() {
    let world = world();
    let carol = world.token("carol", "carols").line;
    let kinds = world.of_each_kind();
    block_on(async {
        let mut two = Two::connect(world.to()).await;
        let mut other = two.open("/ticks", &carol).await;
        for Credential { line, end } in kinds {
            let mut victim = two.open("/silent", &line).await;
            assert_eq!(next(&mut victim).await.expect("an event"), EVENT);
            revoke(&world.store, &end).await;
            assert!(next(&mut victim).await.is_err(), "a reset");
            goes_on_in_two(&world.streams, &mut other).await;
        }
    });
}

#[test]
fn grpc_ends_with_its_own_status() {
    let world = world();
    let Credential { line, end } = world.token("alice", "one");
    let trailers = block_on(async {
        let mut two = Two::connect(world.to()).await;
        let mut stream = two.open("/grpc", &line).await;
        assert_eq!(next(&mut stream).await.expect("a message"), EVENT);
        revoke(&world.store, &end).await;
        let frame = tokio::time::timeout(Duration::from_secs(20), stream.frame()).await.expect("something happens");
        frame.expect("not the end").expect("no reset").into_trailers().expect("trailers")
    });
    assert_eq!(trailers["grpc-status"], "16");
    assert_eq!(trailers["grpc-message"], "The credential has been revoked");
    // In HTTP/1.1 nobody asked for trailers: it breaks off.
    let other = world.token("alice", "two");
    let stream = world.open("a", "/grpc/x1", &other.line);
    world.revoke(&other.end);
    breaks_off(stream);
}

#[test]
fn an_http_2_client_that_does_not_read_keeps_nothing_open_behind() {
    let world = world();
    let (carol, victim) = (world.token("carol", "carols").line, world.session());
    block_on(async {
        let mut two = Two::connect(world.to()).await;
        let mut other = two.open("/ticks", &carol).await;
        let mut stalled = two.open("/flood/x1", &victim.line).await;
        next(&mut stalled).await.expect("a beginning");
        // Nothing of this connection is needed meanwhile: its task may well stand still.
        world.streams.wait_for_block("/flood/x1");
        revoke(&world.store, &victim.end).await;
        world.streams.wait_for_end("/flood/x1");
        let mut taken = 0;
        while let Ok(bytes) = next(&mut stalled).await {
            taken += bytes.len();
        }
        assert!(taken < 1024 * 1024, "{taken} bytes");
        goes_on_in_two(&world.streams, &mut other).await;
    });
}

/// `curl` that reads a stream; ends when dropped.
struct Curl(Child);

impl Curl {
    fn open(world: &Portcullis, certificate: &str, path: &str, more: &[&str]) -> Self {
        let port = world.address().port();
        let (certificate, key) = (format!("{certificate}.pem"), format!("{certificate}.key"));
        let child = Command::new("curl")
            .current_dir(world.folder())
            .args(["-sS", "--no-buffer", "--max-time", "60", "--noproxy", "*", "--cacert", "ca.pem"])
            .args(["--cert", &certificate, "--key", &key, &format!("https://localhost:{port}{path}")])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("curl");
        let mut curl = Self(child);
        curl.read_event();
        curl
    }

    fn read_event(&mut self) {
        assert_eq!(self.read(EVENT.len()), EVENT);
    }

    fn read(&mut self, count: usize) -> String {
        let mut event = vec![0; count];
        self.0.stdout.as_mut().expect("its output").read_exact(&mut event).expect("an event");
        String::from_utf8(event).expect("text")
    }

    fn code(mut self) -> Option<i32> {
        drop(self.0.stdout.take());
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_certificate_takes_its_streams_along_also_where_it_only_comes_with_a_token() {
    let (redis, streams, setup) = (Redis::start(), Streams::start(), Setup::new());
    let store = redis.store();
    let mut authority = Authority::new(setup.folder());
    authority.server("server", &["localhost"]);
    for name in ["first", "second"] {
        authority.client(name, &format!("spiffe://example.org/{name}"));
    }
    let token = setup.token(json!({"jti": "one"}));
    let configuration = format!(
        r#"
        server = {{ workers = 1, drain_delay = "0s", shutdown_grace = "10s" }}
        [listener.main]
        bind = "127.0.0.1:0"
        tls = {{ certificates = [{{ chain = "server.pem", key = "server.key" }}], client_auth = {{ mode = "required", ca = "ca.pem" }} }}
        [health]
        bind = "127.0.0.1:0"
        [store]
        url = "{}"
        timeout = "5s"
        [revocation]
        max_staleness = "30s"
        [issuer.main]
        url = "{ISSUER}"
        audiences = ["orders"]
        keys.jwks_file = "jwks.json"
        [[mtls]]
        match = {{ uri = "spiffe://example.org/{{name}}" }}
        subject = "{{name}}"
        [defaults]
        upstream = "{}"
        [route]
        alone = {{ match = "/silent/alone", accept = "mtls" }}
        both = {{ match = "/silent/both", accept = "mtls+jwt" }}
        others = {{ match = "/ticks", accept = "mtls" }}
        "#,
        redis.url(),
        streams.url()
    );
    let portcullis = setup.try_start(&configuration).unwrap_or_else(|problem| panic!("{problem}"));
    let header = format!("Authorization: Bearer {token}");
    let alone = ["--http1.1", "--http2"].map(|version| Curl::open(&portcullis, "first", "/silent/alone", &[version]));
    let both = ["--http1.1", "--http2"]
        .map(|version| Curl::open(&portcullis, "first", "/silent/both", &[version, "-H", &header]));
    let mut other = Curl::open(&portcullis, "second", "/ticks", &[]);
    let first = fingerprint(&portcullis, "first").into();
    block_on(revoke(&store, &Revocation::Certificate { fingerprint: first }));
    for curl in alone.into_iter().chain(both) {
        let code = curl.code();
        assert!(matches!(code, Some(18 | 56 | 92)), "curl misses no end: {code:?}");
    }
    goes_on(&streams, || other.read(16));
}

fn fingerprint(portcullis: &Portcullis, name: &str) -> String {
    let pem = std::fs::read(portcullis.folder().join(format!("{name}.pem"))).expect("a certificate");
    let der = CertificateDer::from_pem_slice(&pem).expect("a certificate");
    digest::hex(&digest::sha256(&der))
}
