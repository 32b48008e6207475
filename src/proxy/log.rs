//! One line for each denial; for each request, where the access log is on.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderValue, Method};

use crate::gate::policy::Objection;
use crate::model::denial::Level;
use crate::model::{DecisionId, Denial, Identity};

/// What one line tells. Nothing of it is secret: no header, no query, no credential (f49).
pub(super) struct Line<'a> {
    pub(super) id: DecisionId,
    /// What the client was given to quote, where that is a trusted proxy's name for the request.
    pub(super) request_id: &'a HeaderValue,
    pub(super) listener: &'a str,
    pub(super) client: IpAddr,
    pub(super) method: &'a Method,
    /// Without the query, which often holds what nobody else should see.
    pub(super) path: &'a str,
    pub(super) route: Option<&'a str>,
    pub(super) status: u16,
    pub(super) took: Duration,
    pub(super) identity: Option<&'a Identity>,
}

/// How a request ended.
pub(super) enum Outcome<'a> {
    /// With an answer, the upstream's or our own.
    Served,
    /// Refused.
    Denied(&'a Denial),
    /// The client did not wait.
    Left,
}

/// Writes the line. What came from outside goes as plain text fields, which both forms of the log escape (f63).
pub(super) fn write(line: &Line<'_>, outcome: &Outcome<'_>) {
    let verified = line.identity.and_then(Identity::verified);
    let issuer = verified.map(|v| &*v.principal.issuer);
    let subject = verified.map(|v| &*v.principal.subject);
    let credential = verified.map(|v| v.kind.name());
    let credential_id = verified.map(|v| &*v.credential_id);
    let duration_us = u64::try_from(line.took.as_micros()).unwrap_or(u64::MAX);
    macro_rules! event {
        ($level:ident, $message:literal $(, $name:ident = $value:expr)*) => {
            tracing::$level!(
                target: "portcullis::access",
                decision_id = %line.id,
                request_id = line.request_id.to_str().unwrap_or_default(),
                listener = line.listener,
                client = %line.client,
                method = line.method.as_str(),
                path = line.path,
                route = line.route,
                status = line.status,
                duration_us,
                issuer,
                subject,
                credential,
                credential_id,
                $($name = $value,)*
                $message
            )
        };
    }
    let denial = match outcome {
        Outcome::Served => return event!(info, "served"),
        Outcome::Left => return event!(info, "client left"),
        Outcome::Denied(denial) => denial,
    };
    let row = denial.reason.row();
    let detail = denial.detail.as_deref();
    match row.level {
        Level::Debug => event!(debug, "denied", denial = row.label, detail = detail),
        Level::Info => event!(info, "denied", denial = row.label, detail = detail),
        Level::Warn => event!(warn, "denied", denial = row.label, detail = detail),
        Level::Error => event!(error, "denied", denial = row.label, detail = detail),
    }
}

/// What a rule that only reports would have refused is told whether or not requests are logged.
pub(super) fn would_deny(id: DecisionId, route: &str, Objection { rule, detail }: &Objection) {
    tracing::info!(target: "portcullis::access", decision_id = %id, route, %rule, %detail, "would be denied");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::model::denial::Reason;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(path: &str, detail: &str, json: bool) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let subscriber: Box<dyn tracing::Subscriber + Send + Sync> =
            if json { Box::new(builder.json().finish()) } else { Box::new(builder.finish()) };
        let line = Line {
            id: DecisionId::from_bytes([0xab; 16]),
            request_id: &HeaderValue::from_static("r1"),
            listener: "public",
            client: [192, 0, 2, 1].into(),
            method: &Method::GET,
            path,
            route: Some("app"),
            status: 401,
            took: Duration::from_micros(1234),
            identity: None,
        };
        tracing::subscriber::with_default(subscriber, || {
            write(&line, &Outcome::Denied(&Denial::because(Reason::TokenAudience, detail)));
        });
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_denial_says_what_and_why() {
        let text = written("/orders", "token has [a], issuer.main wants [b]", true);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let fields = &line["fields"];
        assert_eq!(fields["denial"], "token_audience");
        assert_eq!(fields["detail"], "token has [a], issuer.main wants [b]");
        assert_eq!(fields["decision_id"], "ab".repeat(16));
        assert_eq!((&fields["status"], &fields["duration_us"]), (&401.into(), &1234.into()));
        assert_eq!((&fields["client"], &fields["route"]), (&"192.0.2.1".into(), &"app".into()));
        assert!(fields.get("subject").is_none(), "{text}");
    }

    #[test]
    fn f63_what_comes_from_outside_cannot_forge_a_line() {
        for json in [false, true] {
            let text = written("/a\n2026 INFO forged", "x\r\ny=\"1\" \u{1b}[31m", json);
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text}");
        }
    }
}
