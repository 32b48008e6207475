use super::*;
use crate::gate::fixtures;

const NOW: Timestamp = Timestamp(1_000_000);

fn later(secs: u64) -> Timestamp {
    NOW.after(Duration::from_secs(secs))
}

/// Puts a credential of this kind and id under `key`.
fn put(cache: &Cache, key: u8, kind: CredentialKind, id: &str, expires_at: Timestamp) {
    let verified = Verified { credential_id: id.into(), expires_at, ..fixtures::verified(kind) };
    cache.insert([key; 32], Arc::new(Entry::new((verified, None), cache.generation(), NOW)));
}

fn holds(cache: &Cache, key: u8, now: Timestamp) -> bool {
    cache.find(&[key; 32], now).is_some()
}

#[test]
fn what_the_store_said_is_believed_for_a_minute_and_a_token_until_it_ends() {
    let cache = Cache::new(100, 1 << 30);
    put(&cache, 1, CredentialKind::Session, "s", later(3600));
    put(&cache, 2, CredentialKind::ApiKey, "k", Timestamp::NEVER);
    put(&cache, 3, CredentialKind::Jwt, "t", later(3600));
    put(&cache, 4, CredentialKind::Session, "short", later(10));
    for key in 1..=4 {
        assert!(holds(&cache, key, NOW));
    }
    assert!(!holds(&cache, 4, later(10)));
    assert!(holds(&cache, 1, later(59)) && holds(&cache, 2, later(59)));
    assert!(!holds(&cache, 1, later(60)) && !holds(&cache, 2, later(60)));
    assert!(holds(&cache, 3, later(3599)));
    assert!(!holds(&cache, 3, later(3600)));
}

#[test]
fn f35_a_change_forgets_that_credential_alone() {
    let cache = Cache::new(100, 1 << 30);
    put(&cache, 1, CredentialKind::Session, "a", later(3600));
    put(&cache, 2, CredentialKind::Session, "b", later(3600));
    cache.changed([&"a".into()], NOW);
    assert!(!holds(&cache, 1, NOW));
    assert!(holds(&cache, 2, NOW));
    // What is read after the change counts, also when others change.
    put(&cache, 1, CredentialKind::Session, "a", later(3600));
    cache.changed([&"c".into()], NOW);
    assert!(holds(&cache, 1, NOW) && holds(&cache, 2, NOW));
}

#[test]
fn f35_an_entry_read_before_a_change_does_not_count_however_late_it_is_inserted() {
    let cache = Cache::new(100, 1 << 30);
    let generation = cache.generation();
    cache.changed([&"c1".into()], NOW);
    let entry = Entry::new((fixtures::verified(CredentialKind::Session), None), generation, NOW);
    cache.insert([1; 32], Arc::new(entry));
    assert!(!holds(&cache, 1, NOW));
}

#[test]
fn more_changes_than_are_remembered_change_all_that_is_stored() {
    let cache = Cache::new(100, 1 << 30);
    put(&cache, 1, CredentialKind::Session, "a", later(3600));
    put(&cache, 2, CredentialKind::Jwt, "t", later(3600));
    let ids: Vec<Arc<str>> = (0..5000).map(|n| n.to_string().into()).collect();
    cache.changed(&ids, NOW);
    assert!(!holds(&cache, 1, NOW));
    assert!(holds(&cache, 2, NOW));
}

#[test]
fn what_is_believed_for_long_is_asked_for_again_where_changes_since_have_been_forgotten() {
    let cache = Cache::new(100, 1 << 30);
    let put = |key, id: &str| {
        let verified = Verified { credential_id: id.into(), ..fixtures::verified(CredentialKind::Opaque) };
        let finding = Finding { verified, touch: None, believed_for: Duration::from_secs(3600) };
        cache.insert([key; 32], Arc::new(Entry::new(finding, cache.generation(), NOW)));
    };
    put(1, "changed");
    put(2, "other");
    cache.changed([&"changed".into()], NOW);
    assert!(holds(&cache, 2, NOW));
    cache.changed([&"x".into()], later(300));
    assert!(!holds(&cache, 1, later(300)), "that it has changed is not forgotten");
    assert!(holds(&cache, 2, later(300)), "it has been looked at since");
    assert!(holds(&cache, 2, later(3599)) && !holds(&cache, 2, later(3600)));
}

#[test]
fn forgetting_what_is_stored_leaves_tokens_and_clearing_leaves_nothing() {
    let cache = Cache::new(100, 1 << 30);
    put(&cache, 1, CredentialKind::ApiKey, "k", later(3600));
    put(&cache, 2, CredentialKind::Jwt, "t", later(3600));
    cache.forget_stored();
    assert!(!holds(&cache, 1, NOW));
    assert!(holds(&cache, 2, NOW));
    cache.clear();
    assert!(!holds(&cache, 2, NOW));
}

#[test]
fn unknown_credentials_are_remembered_for_a_moment_and_drive_out_nothing() {
    let cache = Cache::new(1_000, 1 << 30);
    put(&cache, 1, CredentialKind::Jwt, "t", later(3600));
    for n in 0..20_000_u64 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        cache.insert_unknown(key, Reason::ApiKeyUnknown, NOW);
    }
    assert!(holds(&cache, 1, NOW));
    cache.insert_unknown([9; 32], Reason::SessionUnknown, NOW);
    assert!(cache.find_unknown(&[9; 32], later(2)).is_none());
}

#[test]
fn the_cache_is_bounded() {
    let cache = Cache::new(10, 1 << 30);
    for key in 0..200 {
        put(&cache, key, CredentialKind::Jwt, "t", later(3600));
    }
    cache.inner.verified.run_pending_tasks();
    assert!(cache.len() <= 10, "{}", cache.len());
}

#[test]
fn entries_and_bytes_are_bounded() {
    let fill = |entries, bytes, claim: usize| {
        let cache = Cache::new(entries, bytes);
        for key in 0..200_u8 {
            let claims = serde_json::Map::from_iter([("claim".to_owned(), "x".repeat(claim).into())]);
            let verified = Verified { claims: Arc::new(claims), ..fixtures::verified(CredentialKind::Jwt) };
            cache.insert([key; 32], Arc::new(Entry::new((verified, None), cache.generation(), NOW)));
        }
        cache.inner.verified.run_pending_tasks();
        cache.len()
    };
    assert_eq!(fill(1000, 1 << 30, 10), 200);
    assert_eq!(fill(50, 1 << 30, 10), 50);
    let large = fill(1000, 1 << 20, 100_000);
    assert!((1..=10).contains(&large), "a mebibyte holds {large} of 100 kB");
}
