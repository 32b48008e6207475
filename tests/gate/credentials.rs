//! Several credentials at once.

use serde_json::json;

use crate::harness::http::get;
use crate::harness::portcullis::{Setup, bearer, cookie};
use crate::harness::upstream::Upstream;

#[test]
fn two_explicit_credentials_are_refused_and_an_explicit_one_beats_an_ambient_one() {
    let (upstream, setup) = (Upstream::start(), Setup::new());
    let key = setup.api_key(|record| record.principal.subject = "key-owner".into());
    let session = setup.session(|record| record.principal.subject = "session-owner".into());
    let token = setup.token(json!({"sub": "token-owner"}));
    let portcullis = setup.start(&format!(
        r#"
        [route]
        app = {{ match = "/app", accept = ["session", "jwt", "api_key"], upstream = "{0}" }}
        optional = {{ match = "/optional", accept = ["session", "jwt", "api_key", "anyone"], upstream = "{0}" }}
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    let header = format!("X-Api-Key: {key}\r\n");
    let (token, as_bearer) = (bearer(&token), bearer(&key));
    for path in ["/app", "/optional"] {
        for lines in [
            format!("{token}{header}"),
            format!("{header}{token}"),
            format!("{as_bearer}{header}"),
            format!("{token}{token}"),
            format!("{token}{as_bearer}"),
            format!("{header}{header}"),
            format!("{token}Authorization: Basic eDp5\r\n"),
            format!("{}{header}", bearer("a.b.c")),
        ] {
            assert_eq!(get(to, path, &lines).status, 400, "{path} {lines}");
        }
    }
    assert!(upstream.received().is_empty());
    for (explicit, owner) in [(&token, "token-owner"), (&header, "key-owner"), (&as_bearer, "key-owner")] {
        assert_eq!(get(to, "/app", &format!("{explicit}{}", cookie(&session))).status, 200);
        let last = upstream.last();
        assert!(last.head.contains(owner) && !last.head.contains("session-owner"), "{}", last.head);
    }
    assert_eq!(get(to, "/app", &cookie(&session)).status, 200);
    assert!(upstream.last().head.contains("session-owner"));
}
