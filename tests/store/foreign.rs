//! Reading what an application wrote.

use std::time::Duration;

use portcullis::model::Secret;
use portcullis::store::{ForeignRecord, RecordKind, StoreError};

use super::in_memory;
use crate::harness::portcullis::block_on;
use crate::harness::redis::{Redis, open};

fn there(parts: &[&str], ends_in: Option<Duration>) -> ForeignRecord {
    ForeignRecord::There { parts: parts.iter().map(|part| part.as_bytes().to_vec()).collect(), ends_in }
}

#[test]
fn a_record_is_read_whole_or_not_at_all() {
    let redis = Redis::start();
    let read = |key: &str, kind, most| block_on(redis.store().foreign.read(key, kind, most)).expect("an answer");
    let _: () = redis.command(&["SET", "sess:a", "hello"]);
    let _: () = redis.command(&["SET", "sess:empty", ""]);
    let _: i64 = redis.command(&["HSET", "spring:a", "x", "123", "y", "45"]);
    let _: i64 = redis.command(&["LPUSH", "list", "1"]);

    assert_eq!(read("sess:none", RecordKind::Text, 5), ForeignRecord::Absent);
    assert_eq!(read("sess:none", RecordKind::Hash, 5), ForeignRecord::Absent);
    assert_eq!(read("sess:a", RecordKind::Text, 5), there(&["hello"], None));
    assert_eq!(read("sess:a", RecordKind::Text, 4), ForeignRecord::TooLarge);
    assert_eq!(read("sess:empty", RecordKind::Text, 5), there(&[""], None));
    assert_eq!(read("spring:a", RecordKind::Hash, 7), there(&["x", "123", "y", "45"], None));
    assert_eq!(read("spring:a", RecordKind::Hash, 6), ForeignRecord::TooLarge);
    for (key, kind) in [
        ("sess:a", RecordKind::Hash),
        ("spring:a", RecordKind::Text),
        ("list", RecordKind::Text),
        ("list", RecordKind::Hash),
    ] {
        assert_eq!(read(key, kind, 100), ForeignRecord::OtherType);
    }
    let many: Vec<String> = (0..513).flat_map(|number| [number.to_string(), String::new()]).collect();
    let words: Vec<&str> = ["HSET", "spring:many"].into_iter().chain(many.iter().map(String::as_str)).collect();
    let _: i64 = redis.command(&words);
    assert_eq!(read("spring:many", RecordKind::Hash, 1 << 20), ForeignRecord::TooLarge);

    let _: i64 = redis.command(&["PEXPIRE", "sess:a", "3600000"]);
    let ForeignRecord::There { ends_in: Some(ends_in), .. } = read("sess:a", RecordKind::Text, 5) else {
        panic!("it ends")
    };
    assert!(ends_in <= Duration::from_secs(3600) && ends_in > Duration::from_secs(3000), "{ends_in:?}");
}

#[test]
fn reading_needs_no_right_to_write() {
    let redis = Redis::start();
    let _: () = redis.command(&["SET", "sess:a", "hello"]);
    let _: i64 = redis.command(&["HSET", "spring:a", "x", "1"]);
    let rights = "~pc:* %R~sess:* %R~spring:* +@read +@write +@scripting +@connection +info +time +wait";
    let words: Vec<&str> = "ACL SETUSER gate on >pass".split(' ').chain(rights.split(' ')).collect();
    let _: () = redis.command(&words);
    let user = portcullis::model::settings::RedisSettings {
        username: Some("gate".into()),
        password: Some(Secret::new("pass".into())),
        ..redis.settings()
    };
    let store = open(user, "pc:", Duration::from_secs(20));
    block_on(async {
        let read = |key, kind| store.foreign.read(key, kind, 100);
        assert_eq!(read("sess:a", RecordKind::Text).await.unwrap(), there(&["hello"], None));
        assert_eq!(read("spring:a", RecordKind::Hash).await.unwrap(), there(&["x", "1"], None));
        assert!(matches!(read("other:a", RecordKind::Text).await, Err(StoreError::Refused(_))));
    });
}

#[test]
fn in_memory_there_is_nothing_of_an_application() {
    let subject = in_memory();
    let answer = block_on(subject.store.foreign.read("sess:a", RecordKind::Text, 100));
    assert!(matches!(answer, Err(StoreError::Misconfigured(_))), "{answer:?}");
}
