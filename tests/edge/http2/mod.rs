//! HTTP/2 frame by frame: what RFC 9113 and RFC 7541 oblige a server to, as far as a client can catch it out. Each case
//! names its section.

mod compression;
mod fields;
mod flow;
mod frames;
mod settings;
mod streams;

use crate::harness::h2raw::{
    self, COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, H2, Outcome, PROTOCOL_ERROR, STREAM_CLOSED,
};
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::{Received, Upstream};

/// What is to come of a case.
#[derive(Debug, Clone, Copy)]
enum Want {
    /// The connection ends with this code (section 5.4.1).
    Connection(u32),
    /// The stream is reset with this code, or the connection ends with it, as sections 5.4.2 and 5.4.3 leave open.
    Stream(u32),
    /// The request is malformed (section 8.1.1): as above, or an answer of 400.
    Malformed,
    /// An answer with this status.
    Status(u16),
    /// The connection goes on as if nothing had been sent.
    Nothing,
}

/// What is sent after preface and settings, and which stream tells how it went.
struct Case {
    what: &'static str,
    bytes: Vec<u8>,
    stream: u32,
    want: Want,
    /// Whether it begins with what is a request in its own right, which may reach the upstream.
    refused_in_part: bool,
}

impl Case {
    fn refused_in_part(self) -> Self {
        Self { refused_in_part: true, ..self }
    }
}

fn case(what: &'static str, want: Want, stream: u32, bytes: impl Into<Vec<u8>>) -> Case {
    Case { what, bytes: bytes.into(), stream, want, refused_in_part: false }
}

/// Portcullis before an HTTP/1.1 upstream that keeps what it is sent.
struct World {
    upstream: Upstream,
    portcullis: Portcullis,
}

impl World {
    fn start() -> Self {
        let upstream = Upstream::start();
        let routes =
            format!("[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{}\"\n", upstream.url());
        let portcullis = Portcullis::start(&routes);
        Self { upstream, portcullis }
    }

    fn open(&self) -> H2 {
        H2::open(self.portcullis.address())
    }

    /// Runs all cases, each on a connection of its own, and says at once which of them came out wrong. Of the cases that
    /// are refused nothing reaches the upstream, and whoever comes after is served.
    #[track_caller]
    fn run(&self, cases: Vec<Case>) {
        let mut wrong = Vec::new();
        for case in cases {
            let before = self.upstream.received().len();
            let mut client = self.open();
            client.send(&case.bytes);
            let (fits, came) = judge(&mut client, &case);
            if !fits {
                wrong.push(format!("{}: {came}, not {:?}", case.what, case.want));
            }
            let arrived = self.after(before);
            let forwarded = case.refused_in_part || matches!(case.want, Want::Status(200));
            if arrived.iter().any(|request| !is_one_well_formed(request)) || (!forwarded && !arrived.is_empty()) {
                wrong.push(format!("{}: the upstream received {arrived:#?}", case.what));
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    /// What has reached the upstream beyond the first `before` requests: all of it, since a request of somebody else on
    /// the same connection to the upstream has arrived behind it.
    fn after(&self, before: usize) -> Vec<Received> {
        let mut witness = self.open();
        witness.ask(1, &h2raw::get("/witness"));
        assert_eq!(witness.outcome(1), Outcome::Answered(200, "hello".into()), "others are served");
        let mut arrived = self.upstream.received().split_off(before);
        arrived.retain(|request| request.target() != "/witness");
        arrived
    }
}

fn judge(client: &mut H2, case: &Case) -> (bool, String) {
    if matches!(case.want, Want::Nothing) {
        let lives = client.lives();
        return (lives, if lives { "goes on".into() } else { "ends".into() });
    }
    let outcome = client.outcome(case.stream);
    let fits = match (case.want, &outcome) {
        (Want::Connection(code) | Want::Stream(code), Outcome::GoneAway(came)) => is(code, *came),
        (Want::Stream(code), Outcome::Reset(came)) => is(code, *came),
        (Want::Malformed, Outcome::GoneAway(code) | Outcome::Reset(code)) => *code == PROTOCOL_ERROR,
        (Want::Malformed, Outcome::Answered(400, _)) => true,
        (Want::Status(status), Outcome::Answered(came, _)) => status == *came,
        _ => false,
    };
    (fits, format!("{outcome:?}"))
}

/// Whether an error is the one that was wanted. The library under us calls some of them PROTOCOL_ERROR, which ends the
/// connection all the same (section 7 lets a client conclude nothing from a code).
fn is(wanted: u32, came: u32) -> bool {
    let renamed = [FRAME_SIZE_ERROR, COMPRESSION_ERROR, STREAM_CLOSED, FLOW_CONTROL_ERROR];
    wanted == came || (came == PROTOCOL_ERROR && renamed.contains(&wanted))
}

/// What RFC 9112 calls a request, and read in one way only: nothing that a client sent by HTTP/2 may come out as more.
fn is_one_well_formed(request: &Received) -> bool {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let line: Vec<_> = request.line().split(' ').collect();
    let framed = request.values("content-length").len() + request.values("transfer-encoding").len();
    let fields_are_sound = request.head.split("\r\n").skip(1).filter(|line| !line.is_empty()).all(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            is_token(name) && value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f))
        })
    });
    matches!(&*line, [method, target, "HTTP/1.1"] if is_token(method) && (target.starts_with('/') || *target == "*"))
        && request.values("host").len() == 1
        && framed <= 1
        && fields_are_sound
}
