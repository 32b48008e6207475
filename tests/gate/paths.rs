//! Request targets: what could be read in two ways is refused, and what is forwarded is what was matched.

use std::net::SocketAddr;

use crate::harness::http::{get, send};
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::Upstream;

/// Everybody may go anywhere but below `/admin` and `/private/area`.
struct World {
    portcullis: Portcullis,
    open: Upstream,
    protected: Upstream,
}

impl World {
    fn start(tolerate: &str) -> Self {
        let (open, protected) = (Upstream::start(), Upstream::start());
        let portcullis = Portcullis::start(&format!(
            r#"
            [route]
            admin = {{ match = ["/admin/{{*rest}}", "/private/area/{{*rest}}"], accept = "jwt", upstream = "{}" }}
            public = {{ match = "/public/{{*rest}}", accept = "anyone", upstream = "{1}", tolerate = [{tolerate}] }}
            rest = {{ match = "/{{*rest}}", accept = "anyone", upstream = "{1}", tolerate = [{tolerate}] }}
            "#,
            protected.url(),
            open.url()
        ));
        Self { portcullis, open, protected }
    }

    /// Sends a target without a credential and says what came of it, after seeing that nothing protected was reached.
    fn ask(&self, target: &str) -> Outcome {
        let before = self.open.received().len();
        let answer = send(self.address(), raw(target));
        let reached = self.open.received();
        assert!(self.protected.received().is_empty(), "{target} reached the protected service");
        match answer.status {
            200 => {
                assert_eq!(reached.len(), before + 1, "{target}");
                let last = reached.last().expect("just counted");
                assert_eq!(last.target(), target, "other bytes were forwarded than those that were sent");
                assert!(
                    !readings(target).iter().any(|path| is_protected(path)),
                    "{target} was forwarded; a lenient server reads {:?}",
                    readings(target)
                );
                Outcome::Forwarded
            }
            status @ (400 | 401) => {
                assert_eq!(reached.len(), before, "{target} was refused with {status} and forwarded");
                if status == 400 { Outcome::Refused } else { Outcome::Protected }
            }
            status => panic!("{target} is answered {status}"),
        }
    }

    fn address(&self) -> SocketAddr {
        self.portcullis.address()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Forwarded,
    Protected,
    Refused,
}

fn raw(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").into_bytes()
}

fn is_protected(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path.as_slice(), ["admin", ..] | ["private", "area", ..])
}

/// All ways in which some server is known to read a target: decoded up to four times, `\` as `/`, parameters cut off at
/// each `;`, empty segments dropped, dot segments resolved, each before or after the others.
fn readings(target: &str) -> Vec<Vec<String>> {
    let path = target.split(['?', '#']).next().unwrap_or_default().to_owned();
    let mut texts = vec![path];
    for _ in 0..4 {
        let more: Vec<String> = texts
            .iter()
            .flat_map(|text| [decoded(text), text.replace('\\', "/"), without_parameters(text)])
            .filter(|text| !texts.contains(text))
            .collect();
        texts.extend(more);
    }
    texts.iter().map(|text| resolved(text)).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).and_then(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &others[2..];
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn without_parameters(text: &str) -> String {
    text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
}

fn resolved(text: &str) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(path.pop()),
            segment => path.push(segment.to_owned()),
        }
    }
    path
}

#[test]
fn f15_a_query_is_no_part_of_the_path() {
    let world = World::start("");
    for target in [
        "/admin?x=/public",
        "/admin?/public/x",
        "/admin/?/../public/",
        "/admin/users?public",
        "/private/area?a=/public/b",
    ] {
        assert_eq!(world.ask(target), Outcome::Protected, "{target}");
    }
    for target in ["/public?x=/admin", "/public/x?/admin/", "/?/admin"] {
        assert_eq!(world.ask(target), Outcome::Forwarded, "{target}");
    }
}

#[test]
fn f16_a_fragment_in_the_target_is_refused() {
    let world = World::start("");
    for target in
        ["/public#", "/public/x#/admin", "/admin#/public", "/#", "/public?a=b#c", "/public/%41#%42", "/x#/../admin"]
    {
        assert_eq!(world.ask(target), Outcome::Refused, "{target}");
    }
}

#[test]
fn f17_the_bytes_that_were_matched_are_the_bytes_that_are_forwarded() {
    let world = World::start("");
    for target in [
        "/public/a%20b",
        "/public/%41%42?%43",
        "/public/caf%C3%a9",
        "/public/a+b&c=d,e:f@g!$'()*~-._",
        "/public/x?a=%2e%2e/.././%2F//;",
        "/public/",
        "/public?",
        "/public/x??",
        "/%70ublic/x",
        "/public/...",
        "/public/.hidden",
        "/public/a..b",
    ] {
        assert_eq!(world.ask(target), Outcome::Forwarded, "{target}");
    }
    for target in ["/public/../admin", "/public/./x", "/public/..", "/.", "/..", "/public/%2e%2e/admin", "/a/.%2E/b"] {
        assert_eq!(world.ask(target), Outcome::Refused, "{target}");
    }
}

/// Ways to write the way from `/public` to `/admin`, and others that servers have disagreed about.
const CORPUS: &[&str] = &[
    "//admin",
    "///admin",
    "//admin//",
    "/public//admin",
    "/public//../admin",
    "/private//area",
    "/private///area/x",
    "/%2Fadmin",
    "/%2fadmin",
    "/public/%2Fadmin",
    "/public%2Fadmin",
    "/admin%2F",
    "/admin%2fusers",
    "/private%2Farea",
    "/private%2farea%2Fx",
    "/x%2F..%2Fadmin",
    "/public%2F..%2Fadmin",
    "/public%2f..%2fadmin%2fx",
    "/public/..%2Fadmin",
    "/public/%2e%2e%2fadmin",
    "/..%2fadmin",
    "/\\admin",
    "/public\\admin",
    "/public\\..\\admin",
    "/public/..\\admin",
    "/%5Cadmin",
    "/%5cadmin",
    "/public%5Cadmin",
    "/public%5C..%5Cadmin",
    "/public/..%5Cadmin",
    "/private%5Carea",
    "/private%5carea",
    "/admin%5C",
    "/admin%5cusers",
    "/public/../admin",
    "/public/./admin",
    "/./admin",
    "/../admin",
    "/public/%2e%2e/admin",
    "/public/%2E%2E/admin",
    "/public/.%2e/admin",
    "/public/%2e./admin",
    "/%2e/admin",
    "/%2e%2e/admin",
    "/admin/%2e",
    "/admin/.",
    "/admin/..",
    "/admin/../public",
    "/private/./area",
    "/private/%2e/area",
    "/public/%252e%252e/admin",
    "/public/%252E%252E%252Fadmin",
    "/%252Fadmin",
    "/%252fadmin",
    "/public%252F..%252Fadmin",
    "/private%252Farea",
    "/private%255Carea",
    "/%255Cadmin",
    "/%2561dmin",
    "/%25%36%31dmin",
    "/%25252Fadmin",
    "/%2525252fadmin",
    "/private%25252Farea",
    "/public/%25252e%25252e/admin",
    "/%61dmin",
    "/%61%64%6d%69%6e",
    "/%61%64%6D%69%6E/x",
    "/adm%69n",
    "/admi%6E/",
    "/private/%61rea",
    "/pr%69vate/ar%65a",
    "/%41dmin",
    "/admin%00",
    "/admin%00/x",
    "/%00admin",
    "/admin%0a",
    "/admin%0d%0a",
    "/admin%09",
    "/admin%20",
    "/admin%7f",
    "/admin%c2%80",
    "/admin%",
    "/admin%2",
    "/admin%zz",
    "/%u0061dmin",
    "/admin%ff",
    "/%ffadmin",
    "/%c0%afadmin",
    "/public%c0%af..%c0%afadmin",
    "/%c1%a1dmin",
    "/%e0%80%afadmin",
    "/%ef%bc%8fadmin",
    "/public/..%c0%afadmin",
    "/admin;",
    "/admin;x",
    "/admin;/users",
    "/;/admin",
    "/;x/admin",
    "/public;/admin",
    "/public/..;/admin",
    "/public/..;x=y/admin",
    "/public;/..;/admin",
    "/private;x/area",
    "/private/;/area",
    "/admin%3b",
    "/admin%3Bx",
    "/admin%3bx/users",
    "/public/..%3b/admin",
    "/private%3Bx/area",
    "/admin%253b",
    "/admin%253Bx",
    "/public/.;/admin",
    "/admin//",
    "/admin/",
    "/admin",
    "/admin/x",
    "/admin?",
    "/private/area",
    "/private/area/",
    "/private",
    "/private/",
    "/private/areas",
    "/admins",
    "/public/admin",
    "/public/private/area",
    "/x/admin",
    "/public/x%2Fy",
    "/public/x;y",
    "/public//y",
    "/public/x%5Cy",
    "/public/%2541",
    "/public/x%252Fy",
    "/public/a%3Bb",
    "/",
    "/public/*",
    "/public/%2a",
    "/~admin",
    "/admin~",
    "/admin.",
    "/admin%2e",
    "/admin%2E/",
    "/.admin",
    "/admin:80",
    "/@admin",
    "/admin,",
    "/admin%26",
    "/admin&x",
    "/public/(admin)",
    "/%E2%80%AEadmin",
];

#[test]
fn f18_no_spelling_of_a_path_sidesteps_the_stricter_route() {
    const { assert!(CORPUS.len() >= 80) };
    let world = World::start("");
    let (mut forwarded, mut protected) = (0, 0);
    for target in CORPUS {
        match world.ask(target) {
            Outcome::Forwarded => forwarded += 1,
            Outcome::Protected => protected += 1,
            Outcome::Refused => {}
        }
    }
    // Else the corpus would prove nothing.
    assert!(forwarded >= 10 && protected >= 10, "{forwarded} forwarded, {protected} protected");
}

#[test]
fn f18_what_a_weaker_route_tolerates_does_not_sidestep_the_stricter_one() {
    let world =
        World::start(r#""encoded_slash", "encoded_backslash", "empty_segments", "parameters", "double_encoding""#);
    for target in CORPUS {
        world.ask(target);
    }
    for tolerated in ["/public/x%2Fy", "/public/x;y", "/public//y", "/public/x%5Cy", "/public/%2541"] {
        assert_eq!(world.ask(tolerated), Outcome::Forwarded, "{tolerated}");
    }
}

#[test]
fn f19_matrix_parameters_are_refused() {
    let world = World::start("");
    for target in [
        "/public/..;/admin",
        "/public/.;/admin",
        "/..;/admin",
        "/public/..;a=b;c/admin",
        "/admin;x",
        "/admin;/x",
        "/;/admin",
        "/public;jsessionid=1",
        "/public/a;b=c/d",
        "/public/a%3Bb",
    ] {
        assert_eq!(world.ask(target), Outcome::Refused, "{target}");
    }
    assert_eq!(world.ask("/public/x?a;b"), Outcome::Forwarded, "in a query it means nothing");
}

#[test]
fn f17_a_permitted_request_goes_on_byte_for_byte_as_well() {
    let world = World::start("");
    let token = crate::harness::portcullis::bearer(&world.portcullis.token(serde_json::json!({})));
    for target in ["/admin", "/admin/%75sers?x=%2F..", "/%61dmin/a%20b/", "/private/%61rea"] {
        let answer = get(world.address(), target, &token);
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(world.protected.last().target(), target);
    }
    assert!(world.open.received().is_empty());
}
