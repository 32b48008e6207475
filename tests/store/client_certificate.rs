//! A Redis that wants a client certificate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::model::SystemClock;
use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{CertificateFiles, RedisSettings, RedisTls, StoreKind, StoreSettings};
use portcullis::store::{Store, StoreError};

use super::redis::works;
use crate::harness::certificates::Authority;
use crate::harness::redis::{Redis, open};

const PATIENCE: Duration = Duration::from_secs(20);

fn files(folder: &Path, chain: &str, key: &str) -> CertificateFiles {
    CertificateFiles { chain: folder.join(chain), key: folder.join(key) }
}

fn with(redis: &Redis, certificate: Option<CertificateFiles>) -> RedisSettings {
    RedisSettings { tls: Some(RedisTls { ca: Some(redis.ca()), certificate }), ..redis.settings() }
}

#[tokio::test]
async fn it_is_presented_and_one_of_another_ca_or_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut ca = Authority::new(folder);
    ca.server("server", &["localhost"]);
    ca.client("client", "spiffe://example.org/portcullis");
    Authority::named(folder, "other-ca").client("other", "spiffe://example.org/portcullis");
    let redis = Redis::with().tls_from(folder).line("tls-auth-clients yes").start();
    works(&open(with(&redis, Some(files(folder, "client.pem", "client.key"))), "pc:", PATIENCE)).await;
    for certificate in [None, Some(files(folder, "other.pem", "other.key"))] {
        let error = open(with(&redis, certificate), "pc:", PATIENCE).ping().await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    }
}

#[test]
fn f54_bad_files_are_refused_when_the_store_opens_with_their_name_and_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut ca = Authority::new(folder);
    ca.client("client", "spiffe://example.org/a");
    ca.client("another", "spiffe://example.org/a");
    let redis = Redis::with().tls().prepare();
    for (chain, key, names, fix) in [
        ("missing.pem", "client.key", "missing.pem", "store.certificate.chain"),
        ("client.key", "client.key", "client.key", "store.certificate.chain"),
        ("client.pem", "missing.key", "missing.key", "store.certificate.key"),
        ("client.pem", "ca.pem", "ca.pem", "store.certificate.key"),
        ("client.pem", "another.key", "another.key", "do not go together"),
    ] {
        let kind = StoreKind::Redis(with_files(&redis, files(folder, chain, key)));
        let settings = StoreSettings { kind, prefix: "pc:".into(), timeout: PATIENCE, replicas: 1 };
        let opened = Store::open(&settings, Arc::new(SystemClock), Arc::new(Unobserved));
        let Err(error) = opened else { panic!("{chain} and {key} were accepted") };
        let text = error.to_string();
        assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
        assert!(text.contains(&folder.join(names).display().to_string()) && text.contains(fix), "{text}");
    }
}

/// Trusting the system's certificates, for there is no file to read.
fn with_files(redis: &Redis, certificate: CertificateFiles) -> RedisSettings {
    RedisSettings { tls: Some(RedisTls { ca: None, certificate: Some(certificate) }), ..redis.settings() }
}
