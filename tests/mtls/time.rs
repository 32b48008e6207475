//! Certificates that come to their end while Portcullis runs, by a clock that is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::model::{Clock, SystemClock, Timestamp};
use rustls::AlertDescription;

use super::case::write_pem;
use super::client::{Outcome, connect, open};
use super::makers::{DAY, HOUR, Issued};
use crate::harness::certificates::Authority;
use crate::harness::http::{Wire, get};
use crate::harness::portcullis::Setup;
use crate::harness::upstream::Upstream;

struct Held(AtomicU64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Held {
    fn pass(&self, seconds: i64) {
        self.0.fetch_add(u64::try_from(seconds).unwrap() * 1000, Ordering::SeqCst);
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_certificate_that_ends_while_its_client_is_connected_counts_no_more() {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let root = Issued::root("root");
    let client = root.client();
    Authority::new(setup.folder()).server("server", &["localhost"]);
    write_pem(&setup.folder().join("clients.pem"), "CERTIFICATE", std::slice::from_ref(&root.der));
    let clock = Arc::new(Held(AtomicU64::new(SystemClock.now().0)));
    let configuration = format!(
        r#"
server.workers = 1
listener.main.bind = "127.0.0.1:0"
health.bind = "127.0.0.1:0"
[listener.main.tls]
certificates = [{{ chain = "server.pem", key = "server.key" }}]
client_auth = {{ mode = "required", ca = "clients.pem" }}
[[mtls]]
match = {{ uri = "spiffe://test/{{id}}" }}
subject = "{{id}}"
[route.all]
match = "/"
accept = "mtls"
# The clock leaps, and news of revocations do not come any faster.
on_stale = "allow"
upstream = "{}"
"#,
        upstream.url()
    );
    let clock_of_portcullis: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let portcullis = setup.try_start_by(clock_of_portcullis, &configuration).unwrap();
    let chain = std::slice::from_ref(&client.der);

    let mut wire = Wire::over(open(portcullis.address(), chain, client.key.private()).unwrap());
    assert_eq!(wire.exchange(REQUEST).status, 200);
    clock.pass(DAY - HOUR);
    assert_eq!(wire.exchange(REQUEST).status, 200, "an hour is left");
    clock.pass(2 * HOUR);
    assert_eq!(wire.exchange(REQUEST).status, 401);
    assert_eq!(upstream.received().len(), 2);

    let outcome = connect(portcullis.address(), chain, client.key.private(), false);
    assert_eq!(outcome, Outcome::Alert(AlertDescription::CertificateExpired), "by the same clock");
    let expired = "portcullis_connections_refused_total{reason=\"client_certificate_expired\"} 1\n";
    let metrics = get(portcullis.health(), "/metrics", "").body;
    assert!(metrics.contains(expired), "{metrics}");
}
