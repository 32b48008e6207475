//! API keys.

use portcullis::model::ApiKeyRecord;
use portcullis::store::StoreError;

use super::records::api_key;
use super::{Subject, every_store, now, plus};

every_store! {
    a_key_is_found_by_its_id_with_every_field
    a_taken_id_is_refused
    keys_are_listed_oldest_first
    a_revoked_key_stays_and_keeps_its_first_time
    the_last_use_is_noted_and_never_goes_back
}

async fn a_key_is_found_by_its_id_with_every_field<G>(of: &Subject<G>) {
    let mut record = api_key("k1", now());
    record.expires_at = Some(plus(now(), 1));
    record.used_at = Some(now());
    of.store.api_keys.create(&record).await.unwrap();
    assert_eq!(of.other.api_keys.find("k1").await.unwrap(), Some(record));
    assert_eq!(of.other.api_keys.find("k2").await.unwrap(), None);
}

async fn a_taken_id_is_refused<G>(of: &Subject<G>) {
    let record = api_key("k1", now());
    of.store.api_keys.create(&record).await.unwrap();
    let other = ApiKeyRecord { secret_sha256: [1; 32], ..record.clone() };
    let refused = of.other.api_keys.create(&other).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(of.store.api_keys.find("k1").await.unwrap(), Some(record));
}

async fn keys_are_listed_oldest_first<G>(of: &Subject<G>) {
    assert_eq!(of.store.api_keys.list().await.unwrap(), []);
    let began = now();
    for n in 0..600_u64 {
        of.store.api_keys.create(&api_key(&format!("{:04}", 999 - n), plus(began, n))).await.unwrap();
    }
    let listed = of.other.api_keys.list().await.unwrap();
    let ids: Vec<_> = listed.iter().map(|r| r.id.to_string()).collect();
    assert_eq!(ids, (0..600).map(|n| format!("{:04}", 999 - n)).collect::<Vec<_>>());
}

async fn a_revoked_key_stays_and_keeps_its_first_time<G>(of: &Subject<G>) {
    let record = api_key("k1", now());
    of.store.api_keys.create(&record).await.unwrap();
    let at = plus(now(), 5);
    let revoked = ApiKeyRecord { revoked_at: Some(at), ..record };
    assert_eq!(of.store.api_keys.revoke("k1", at).await.unwrap().as_ref(), Some(&revoked));
    assert_eq!(of.other.api_keys.revoke("k1", plus(at, 5)).await.unwrap().as_ref(), Some(&revoked));
    assert_eq!(of.other.api_keys.find("k1").await.unwrap().as_ref(), Some(&revoked));
    assert_eq!(of.other.api_keys.list().await.unwrap(), [revoked]);
    assert_eq!(of.store.api_keys.revoke("k2", at).await.unwrap(), None);
    assert_eq!(of.store.api_keys.find("k2").await.unwrap(), None);
}

async fn the_last_use_is_noted_and_never_goes_back<G>(of: &Subject<G>) {
    let record = api_key("k1", now());
    of.store.api_keys.create(&record).await.unwrap();
    let at = plus(now(), 5);
    of.store.api_keys.touch("k1", at).await.unwrap();
    of.store.api_keys.touch("k1", plus(record.created_at, 1)).await.unwrap();
    of.store.api_keys.touch("k2", at).await.unwrap();
    assert_eq!(of.other.api_keys.list().await.unwrap(), [ApiKeyRecord { used_at: Some(at), ..record }]);
}
