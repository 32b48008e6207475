//! Service-to-service TLS between two instances: one originates it for a service that knows nothing of it, the other
//! terminates it for one that knows as little.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis::crypto::dev_certs::{DevCertificate, DevCertificates};
use portcullis::model::{Clock as _, SystemClock};
use rustix::process::Signal;

use crate::harness::http::{Wire, get};
use crate::harness::process::{Serving, folder};
use crate::harness::upstream::Upstream;

const ORDERS: &str = "spiffe://prod/ns/shop/sa/orders";

/// The instance that terminates TLS, and the service behind it.
struct Remote {
    service: Upstream,
    serving: Serving,
    ca: DevCertificates,
    certificate: DevCertificate,
    _guard: tempfile::TempDir,
}

fn write(folder: &Path, name: &str, made: &DevCertificate) {
    std::fs::write(folder.join(format!("{name}.pem")), &made.chain_pem).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), made.key_pem.expose()).unwrap();
}

/// `NAME.pem` and `NAME.key` behind a link, as they are renewed.
fn renew(folder: &Path, version: usize, made: &DevCertificate, ca: &str) {
    let version = folder.join(format!("..v{version}"));
    std::fs::create_dir(&version).unwrap();
    write(&version, "client", made);
    std::fs::write(version.join("ca.pem"), ca).unwrap();
    let new = folder.join("..new");
    symlink(&version, &new).unwrap();
    std::fs::rename(new, folder.join("..data")).unwrap();
}

impl Remote {
    /// With a certificate for `orders` at 127.0.0.1; it wants one of its clients.
    fn start() -> Self {
        let service = Upstream::start();
        let (guard, here) = folder(&format!(
            r#"
[listener.main]
bind = "127.0.0.1:0"
[listener.main.tls]
certificates = [{{ chain = "server.pem", key = "server.key" }}]
client_auth = {{ mode = "required", ca = "ca.pem" }}
[[mtls]]
match = {{ uri = "spiffe://prod/ns/shop/sa/{{name}}" }}
subject = "{{name}}"
[route.all]
match = "/{{*rest}}"
accept = "mtls"
upstream = "{}"
"#,
            service.url()
        ));
        let mut ca = DevCertificates::new(SystemClock.now()).unwrap();
        let sans = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().subject_alt_names;
        let sans = sans.into_iter().chain([rcgen::SanType::URI(ORDERS.try_into().unwrap())]).collect();
        let certificate = ca.server_with("orders", sans).unwrap();
        write(&here, "server", &certificate);
        std::fs::write(here.join("ca.pem"), ca.ca_pem()).unwrap();
        let serving = Serving::run(&here).ready();
        Self { service, serving, ca, certificate, _guard: guard }
    }

    fn client(&mut self, name: &str) -> DevCertificate {
        self.ca.client(name, &[&format!("spiffe://prod/ns/shop/sa/{name}")], &[]).unwrap()
    }

    fn address(&self) -> SocketAddr {
        self.serving.address("main")
    }
}

/// The instance that originates TLS: `/one` in HTTP/1.1, `/two` in HTTP/2, `/stranger` where somebody else is expected,
/// `/host` where it is the address that counts. `more` is said of the TLS of all of them.
fn local(remote: &Remote, more: &str) -> String {
    let to = remote.address();
    let upstream = |name: &str, http: &str, names: &str| {
        format!(
            "[upstream.{name}]\nendpoints = [\"https://{to}\"]\nhttp = \"{http}\"\n\
             tls = {{ ca = \"..data/ca.pem\", {names}{more}\
             certificate = {{ chain = \"..data/client.pem\", key = \"..data/client.key\" }} }}\n"
        )
    };
    let names = |name: &str| format!("names = [\"{name}\"], ");
    let route = |name: &str| {
        format!("[route.{name}]\nmatch = \"/{name}/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{name}\"\n")
    };
    [
        "server = { workers = 2, watch = false, shed_above = \"off\" }\n[listener.main]\nbind = \"127.0.0.1:0\"\n"
            .to_owned(),
        "[listener.socket]\nbind = \"unix:local.sock\"\n[defaults]\nlisteners = [\"main\", \"socket\"]\n".to_owned(),
        upstream("one", "1.1", &names(ORDERS)),
        upstream("two", "2", &names("spiffe://prod/ns/*/sa/orders")),
        upstream("stranger", "auto", &names("spiffe://prod/ns/shop/sa/carts")),
        upstream("host", "auto", ""),
        route("one"),
        route("two"),
        route("stranger"),
        route("host"),
    ]
    .concat()
}

fn subject(remote: &Remote) -> String {
    remote.service.last().value("x-auth-subject").expect("an identity").to_owned()
}

#[test]
fn the_remote_knows_the_local_service_and_the_local_one_whom_it_speaks_to() {
    let mut remote = Remote::start();
    let (_guard, here) = folder(&local(&remote, ""));
    let carts = remote.client("carts");
    renew(&here, 0, &carts, &remote.ca.ca_pem());
    let serving = Serving::run(&here).ready();
    for path in ["/one/a", "/two/a"] {
        assert_eq!(get(serving.address("main"), path, "").status, 200, "{path}: {}", serving.log());
        assert_eq!(subject(&remote), "carts");
    }
    let stream = std::os::unix::net::UnixStream::connect(here.join("local.sock")).unwrap();
    let answer = Wire::over(stream).exchange("GET /one/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 200, "a Unix socket will do as well");

    let before = remote.service.received().len();
    let refused = get(serving.address("main"), "/stranger/a", "");
    assert_eq!(refused.status, 502);
    assert!(!refused.body.contains("spiffe"), "{}", refused.body);
    let line = serving.says("the certificate has");
    assert!(line.contains(ORDERS) && line.contains("wanted is spiffe://prod/ns/shop/sa/carts"), "{line}");
    assert_eq!(remote.service.received().len(), before, "nothing was sent to it");
}

#[test]
fn who_is_revoked_is_trusted_no_more_nor_on_connections_at_rest() {
    let mut remote = Remote::start();
    let carts = remote.client("carts");
    let (_guard, here) = folder(&local(&remote, "crls = [\"ca.crl\"], "));
    renew(&here, 0, &carts, &remote.ca.ca_pem());
    let list = |revoked: &[&DevCertificate]| {
        std::fs::write(here.join("new.crl"), remote.ca.revocation_list(revoked).unwrap()).unwrap();
        std::fs::rename(here.join("new.crl"), here.join("ca.crl")).unwrap();
    };
    list(&[]);
    let serving = Serving::run(&here).ready();
    let paths = ["/one/a", "/two/a", "/host/a"];
    for path in paths {
        assert_eq!(get(serving.address("main"), path, "").status, 200, "{path}: {}", serving.log());
    }
    let before = remote.service.received().len();
    list(&[&remote.certificate]);
    serving.signal(Signal::HUP);
    serving.says(" reloaded");
    for path in paths {
        assert_eq!(get(serving.address("main"), path, "").status, 502, "{path}");
    }
    assert!(serving.says("Revoked").contains("TLS"));
    assert_eq!(remote.service.received().len(), before, "nothing was sent to it");
}

#[test]
fn f50_a_hundred_renewals_under_load_fail_no_request_and_old_trust_ends() {
    let mut remote = Remote::start();
    let (_guard, here) = folder(&local(&remote, ""));
    let ca = remote.ca.ca_pem();
    let first = remote.client("v0");
    renew(&here, 0, &first, &ca);
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");

    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let clients: Vec<_> = ["/one/load", "/two/load"]
        .into_iter()
        .map(|path| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                let mut wire = Wire::connect(main);
                while !stop.load(Ordering::SeqCst) {
                    let answer = wire.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answered.fetch_add(1, Ordering::SeqCst);
                    if answer.value("connection") == Some("close") {
                        wire = Wire::connect(main);
                    }
                }
            })
        })
        .collect();
    for version in 1..=100 {
        let made = remote.client(&format!("v{version}"));
        renew(&here, version, &made, &ca);
        serving.signal(Signal::HUP);
        serving.says_after(" reloaded", version - 1);
        let from = answered.load(Ordering::SeqCst);
        while answered.load(Ordering::SeqCst) < from + 4 {
            assert!(!clients.iter().any(std::thread::JoinHandle::is_finished), "a client has given up");
            std::thread::yield_now();
        }
        assert_eq!(get(main, if version % 2 == 0 { "/one/a" } else { "/two/a" }, "").status, 200);
        let last = remote.service.received().into_iter().rfind(|request| !request.target().contains("load"));
        assert_eq!(last.unwrap().value("x-auth-subject"), Some(&*format!("v{version}")), "new ones use it at once");
    }

    // Half of a renewal: what there was stays, and it is told.
    let (one, other) = (remote.client("x"), remote.client("y"));
    let mismatched = here.join("..v101");
    std::fs::create_dir(&mismatched).unwrap();
    write(&mismatched, "client", &one);
    std::fs::write(mismatched.join("client.key"), other.key_pem.expose()).unwrap();
    std::fs::write(mismatched.join("ca.pem"), &ca).unwrap();
    symlink(&mismatched, here.join("..new")).unwrap();
    std::fs::rename(here.join("..new"), here.join("..data")).unwrap();
    serving.signal(Signal::HUP);
    serving.says("reload refused");
    serving.says("cannot be used together");
    for path in ["/one/a", "/two/a"] {
        assert_eq!(get(main, path, "").status, 200);
        assert_eq!(
            remote
                .service
                .received()
                .into_iter()
                .rfind(|request| request.target() == path)
                .unwrap()
                .value("x-auth-subject"),
            Some("v100")
        );
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("every request was answered as it should be");
    }

    // Connections that are at rest were verified under a CA that is trusted no more.
    let before = remote.service.received().len();
    let made = remote.client("v102");
    renew(&here, 102, &made, &DevCertificates::new(SystemClock.now()).unwrap().ca_pem());
    serving.signal(Signal::HUP);
    serving.says_after(" reloaded", 100);
    for path in ["/one/a", "/two/a"] {
        assert_eq!(get(main, path, "").status, 502);
    }
    assert!(serving.says("UnknownIssuer").contains("TLS"));
    assert_eq!(remote.service.received().len(), before, "no connection of old is used, no session resumed");
}
