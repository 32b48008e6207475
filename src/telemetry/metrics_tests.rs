use super::*;

fn line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim)
}

#[test]
fn what_was_counted_is_rendered() {
    let metrics = Metrics::with_issuers(&["app".into()], &["main".into()]);
    metrics.request(Some("app"), 200, Duration::from_micros(700));
    metrics.request(Some("app"), 404, Duration::from_micros(40));
    metrics.request(None, 404, Duration::from_micros(40));
    metrics.denial(Reason::TokenExpired);
    metrics.credential(CredentialKind::Jwt, true);
    metrics.proof(ProofOutcome::Replayed);
    metrics.connection(1);
    metrics.connection(1);
    metrics.connection(-1);
    metrics.live_streams(3);
    metrics.live_streams(-1);
    metrics.live_stream_ended(Reason::Revoked);
    metrics.connection_refused("handshake_timeout");
    metrics.revocation(Duration::from_millis(1500), [7, 0, 1, 0, 0, 0, 2]);
    metrics.store_call("find_session", Duration::from_micros(60), false);
    metrics.jwks_refresh("main", true);
    metrics.jwks_demand("main");
    metrics.jwks_keys("main", Timestamp(1_800_000_000_250));
    metrics.ready(true);
    metrics.ask_upstreams(|| {
        let endpoint = |name: &str, healthy: bool, (checks_passed, checks_failed, ejections)| {
            let lookups =
                (!healthy).then_some(crate::telemetry::LookupCounts { addresses: 3, succeeded: 7, failed: 1 });
            let name = name.to_owned();
            crate::telemetry::EndpointCounts { name, healthy, checks_passed, checks_failed, ejections, lookups }
        };
        vec![UpstreamCounts {
            name: "up".into(),
            requests: 3,
            pending: 2,
            connections: 5,
            retries: vec![("unreachable", 7)],
            endpoints: vec![endpoint("http://a:1", true, (4, 1, 0)), endpoint("http://b:2", false, (0, 6, 2))],
            credential: Some(crate::telemetry::CredentialCounts { available: true, renewed: 4, failed: 2 }),
        }]
    });

    let text = metrics.render();
    for (series, value) in [
        ("portcullis_requests_total{route=\"app\",status=\"2xx\"}", "1"),
        ("portcullis_requests_total{route=\"app\",status=\"4xx\"}", "1"),
        ("portcullis_requests_total{route=\"\",status=\"4xx\"}", "1"),
        ("portcullis_denials_total{reason=\"token_expired\"}", "1"),
        ("portcullis_denials_total{reason=\"revoked\"}", "0"),
        ("portcullis_credentials_total{kind=\"jwt\",cached=\"true\"}", "1"),
        ("portcullis_dpop_proofs_total{outcome=\"replayed\"}", "1"),
        ("portcullis_dpop_proofs_total{outcome=\"accepted\"}", "0"),
        ("portcullis_request_duration_seconds_count{route=\"app\"}", "2"),
        ("portcullis_request_duration_seconds_bucket{le=\"0.00005\",route=\"app\"}", "1"),
        ("portcullis_request_duration_seconds_bucket{le=\"+Inf\",route=\"app\"}", "2"),
        ("portcullis_connections", "1"),
        ("portcullis_upstream_requests_in_flight{upstream=\"up\"}", "3"),
        ("portcullis_upstream_credential_available{upstream=\"up\"}", "1"),
        ("portcullis_upstream_credential_renewals_total{upstream=\"up\",ok=\"true\"}", "4"),
        ("portcullis_upstream_credential_renewals_total{upstream=\"up\",ok=\"false\"}", "2"),
        ("portcullis_upstream_requests_pending{upstream=\"up\"}", "2"),
        ("portcullis_upstream_connections{upstream=\"up\"}", "5"),
        ("portcullis_upstream_retries_total{upstream=\"up\",cause=\"unreachable\"}", "7"),
        ("portcullis_upstream_endpoint_healthy{upstream=\"up\",endpoint=\"http://a:1\"}", "1"),
        ("portcullis_upstream_endpoint_healthy{upstream=\"up\",endpoint=\"http://b:2\"}", "0"),
        ("portcullis_upstream_health_checks_total{upstream=\"up\",endpoint=\"http://b:2\",ok=\"false\"}", "6"),
        ("portcullis_upstream_ejections_total{upstream=\"up\",endpoint=\"http://b:2\"}", "2"),
        ("portcullis_upstream_endpoint_addresses{upstream=\"up\",endpoint=\"http://b:2\"}", "3"),
        ("portcullis_upstream_lookups_total{upstream=\"up\",endpoint=\"http://b:2\",ok=\"false\"}", "1"),
        ("portcullis_live_streams", "2"),
        ("portcullis_live_streams_ended_total{reason=\"revoked\"}", "1"),
        ("portcullis_connections_refused_total{reason=\"handshake_timeout\"}", "1"),
        ("portcullis_revocation_staleness_seconds", "1.5"),
        ("portcullis_revocations{kind=\"token\"}", "7"),
        ("portcullis_revocations{kind=\"session\"}", "1"),
        ("portcullis_revocations{kind=\"certificate\"}", "2"),
        ("portcullis_store_calls_total{operation=\"find_session\",ok=\"false\"}", "1"),
        ("portcullis_store_call_duration_seconds_count{operation=\"find_session\"}", "1"),
        ("portcullis_jwks_refreshes_total{issuer=\"main\",ok=\"true\"}", "1"),
        ("portcullis_jwks_demands_total{issuer=\"main\"}", "1"),
        ("portcullis_jwks_fetched_timestamp_seconds{issuer=\"main\"}", "1800000000.25"),
        ("portcullis_ready", "1"),
    ] {
        assert_eq!(line(&text, &format!("{series} ")), Some(value), "{series} in:\n{text}");
    }
    assert!(text.contains(&format!("portcullis_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
    assert!(!text.contains("ended_total{reason=\"no_route\"}"), "only what has happened: {text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_log_that_was_never_read_is_infinitely_stale() {
    let text = Metrics::new(&[]).render();
    assert_eq!(line(&text, "portcullis_revocation_staleness_seconds "), Some("inf"));
}

#[test]
fn unknown_routes_issuers_and_odd_statuses_make_no_series() {
    let metrics = Metrics::new(&["app".into()]);
    let before = metrics.render().lines().count();
    metrics.request(Some("no-such-route"), 999, Duration::ZERO);
    metrics.jwks_refresh("no-such-issuer", false);
    metrics.jwks_keys("no-such-issuer", Timestamp(1));
    let text = metrics.render();
    assert!(!text.contains("no-such"), "{text}");
    assert_eq!(text.lines().count(), before);
}

#[test]
fn threads_count_apart_and_are_summed() {
    let metrics = Metrics::new(&["app".into()]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1000).for_each(|_| metrics.request(Some("app"), 204, Duration::from_micros(1))));
        }
    });
    let text = metrics.render();
    assert_eq!(line(&text, "portcullis_requests_total{route=\"app\",status=\"2xx\"} "), Some("8000"));
}

#[test]
fn operations_beyond_the_slots_are_not_counted_and_harm_nothing() {
    let metrics = Metrics::new(&[]);
    for number in 0..MAX_OPERATIONS + 5 {
        let name: &'static str = Box::leak(format!("operation_{number}").into_boxed_str());
        metrics.store_call(name, Duration::ZERO, true);
    }
    let text = metrics.render();
    assert!(text.contains("operation_31"), "{text}");
    assert!(!text.contains("operation_32"), "{text}");
}

#[test]
fn every_kind_of_credential_has_its_own_place() {
    let mut places: Vec<_> =
        CREDENTIALS.iter().flat_map(|kind| [credential_index(*kind, false), credential_index(*kind, true)]).collect();
    places.sort_unstable();
    assert_eq!(places, (0..CREDENTIALS.len() * 2).collect::<Vec<_>>());
}

#[test]
fn every_reason_has_its_own_place() {
    for (index, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, index);
    }
}
