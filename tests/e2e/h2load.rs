//! Many streams at once, as h2load sends them.

use std::process::Command;

use super::front::Front;
use crate::harness::upstream::Upstream;

/// The numbers of a line such as `requests: 100 total, 100 started, …`, by their words.
fn count(report: &str, line: &str, word: &str) -> u64 {
    let found = report.lines().find_map(|said| said.strip_prefix(line)).unwrap_or_else(|| panic!("no {line} {report}"));
    let part = found.split(',').find_map(|part| part.trim().strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no `{word}` in:\n{report}"))
}

#[test]
fn every_stream_of_every_connection_is_answered_and_none_twice() {
    let upstream = Upstream::start();
    let front = Front::start(&format!(
        "route.all = {{ match = \"/{{*rest}}\", accept = \"api_key\", upstream = \"{}\" }}\n",
        upstream.url()
    ));
    let (_, key) = front.key("alice", &[]);
    let load = |protocol: &[&str], header: &str, requests: u64| {
        let (header, requests) = (format!("x-api-key: {header}"), requests.to_string());
        let output = Command::new("timeout")
            .args(["120", "h2load", "--clients", "4", "--max-concurrent-streams", "64", "--requests", &requests])
            .args(protocol)
            .args(["--header", &header, &front.url("/orders?id=7")])
            .output()
            .expect("h2load");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
        report
    };
    let mut expected = 0;
    for (protocol, name) in [(&[][..], "h2"), (&["--h1"][..], "http/1.1")] {
        let report = load(protocol, &key, 2000);
        assert!(report.contains(&format!("Application protocol: {name}")), "{report}");
        for (word, number) in [("total", 2000), ("succeeded", 2000), ("failed", 0), ("errored", 0), ("timeout", 0)] {
            assert_eq!(count(&report, "requests: ", word), number, "{word}: {report}");
        }
        assert_eq!((count(&report, "status codes: ", "2xx"), count(&report, "status codes: ", "5xx")), (2000, 0));
        expected += 2000;
        let received = upstream.received();
        assert_eq!(received.len(), expected, "as many as were asked for reach the service, by {name}");
        assert!(received.iter().all(|one| one.value("x-auth-subject") == Some("alice")));
        assert!(received.iter().all(|one| one.target() == "/orders?id=7"));
    }
    let report = load(&[], "pc_live_wrong", 500);
    assert_eq!((count(&report, "status codes: ", "4xx"), count(&report, "status codes: ", "2xx")), (500, 0));
    assert_eq!(upstream.received().len(), expected, "what is refused does not reach the service");
}
