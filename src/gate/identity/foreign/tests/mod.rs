//! What is read of records that the frameworks themselves wrote (`tests/fixtures/sessions`), and of those that they did
//! not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::settings::{ClaimPointers, IdAlphabet, PhpHandler, SessionIdForm};
use crate::model::{Secret, Verified};

macro_rules! fixture {
    ($layout:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/sessions/",
            $layout,
            "/sessions.json"
        )))
        .expect("JSON")
    };
}

mod of_php;

fn named<'a>(sessions: &'a Value, name: &str) -> &'a Value {
    let found = sessions.as_array().expect("a list").iter().find(|session| session["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// The cookie's value, and the id that its key ends with.
fn cookie_and_id<'a>(session: &'a Value, prefix: &str) -> (&'a str, &'a str) {
    let cookie = session["cookie"].as_str().unwrap().split_once('=').unwrap().1;
    (cookie, session["key"].as_str().unwrap().strip_prefix(prefix).unwrap())
}

fn secrets(texts: &[&str]) -> Vec<Secret<Vec<u8>>> {
    texts.iter().map(|text| Secret::new(text.as_bytes().to_vec())).collect()
}

fn settings(format: ForeignFormat, subject: &str, roles: &str) -> ForeignSettings {
    let claims = ClaimPointers {
        roles: Some(roles.into()),
        groups: Some("groups".into()),
        scopes: None,
        tenant: None,
        email: Some("/user/email".into()),
        name: None,
    };
    ForeignSettings {
        format,
        key_prefix: "x:".into(),
        issuer: "app".into(),
        subject: subject.into(),
        claims,
        issued_at: None,
        expires: None,
    }
}

fn whose(session: Session, subject: &str, roles: &str) -> Option<Verified> {
    claims::identity(&settings(ForeignFormat::Spring, subject, roles), session, None, "p").expect("readable")
}

fn roles(verified: &Verified) -> Vec<&str> {
    verified.roles.iter().map(|role| &**role).collect()
}

fn value(session: &Value) -> Vec<u8> {
    match session["value"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(session["value_base64"].as_str().unwrap()).unwrap(),
    }
}

fn fields(session: &Value) -> Vec<Vec<u8>> {
    let fields = session["fields"].as_object().unwrap().iter();
    fields.flat_map(|(name, value)| [name.clone().into(), value.as_str().unwrap().into()]).collect()
}

#[test]
fn sessions_of_express_are_read() {
    let sessions = fixture!("connect-redis");
    for (name, secret) in [("plain", "keyboard cat"), ("rotated", "a newer secret"), ("max-age", "keyboard cat")] {
        let session = named(&sessions, name);
        let (cookie, id) = cookie_and_id(session, "sess:");
        assert_eq!(connect_redis::id(cookie, &secrets(&[secret])).as_deref(), Some(id));
        assert_eq!(connect_redis::id(cookie, &secrets(&["newest", secret])).as_deref(), Some(id));
        assert_eq!(connect_redis::id(cookie, &secrets(&["another"])), None);
        let read = connect_redis::read(&value(session), Some(Timestamp(5))).unwrap();
        let alice = whose(read, "/user/id", "/user/roles").expect("somebody");
        assert_eq!(&*alice.principal.subject, "alice");
        assert_eq!(&*alice.principal.issuer, "app");
        assert_eq!(roles(&alice), ["editor", "reader"]);
        assert_eq!(alice.email.as_deref(), Some("alice@example.com"));
    }
    let number = connect_redis::read(&value(named(&sessions, "number")), None).unwrap();
    assert_eq!(&*whose(number, "/passport/user", "x").unwrap().principal.subject, "42");
    let nobody = connect_redis::read(&value(named(&sessions, "nobody")), None).unwrap();
    assert_eq!(whose(nobody, "/user/id", "x"), None);
}

#[test]
fn a_session_of_express_ends_when_redis_forgets_it_or_else_by_its_own_date() {
    let sessions = fixture!("connect-redis");
    let ends = |name, in_store| connect_redis::read(&value(named(&sessions, name)), in_store).unwrap().ends_at;
    assert_eq!(ends("plain", None), None);
    assert!(ends("without-ttl", None).is_some_and(|at| at > Timestamp::from_secs(1_700_000_000)));
    // In use it lives on past the date in its record, as the library does it.
    let in_use = named(&sessions, "in-use");
    assert_eq!((&in_use["expired_by_then"], &in_use["seen_again"]), (&json!(true), &json!("alice")));
    assert_eq!(in_use["value"], in_use["value_seen_again"]);
    assert_eq!(ends("in-use", Some(Timestamp(5))), None);
}

#[test]
fn f38_f39_a_cookie_of_express_counts_with_its_own_signature_alone() {
    let sessions = fixture!("connect-redis");
    let (cookie, id) = cookie_and_id(named(&sessions, "plain"), "sess:");
    let (other, _) = cookie_and_id(named(&sessions, "max-age"), "sess:");
    let keys = secrets(&["keyboard cat"]);
    let signature = cookie.rsplit_once('.').unwrap().1;
    let foreign = other.rsplit_once('.').unwrap().1;
    for wrong in [
        id.to_owned(),
        format!("s%3A{id}"),
        format!("s%3A{id}."),
        format!("s%3A{id}.{foreign}"),
        format!("{id}.{signature}"),
        format!("j%3A{id}.{signature}"),
        format!("s%3A{}.{signature}", &id[1..]),
        format!("s%3A{id}x.{signature}"),
        format!("s%3A{id}%2E{signature}%2E"),
        format!("{cookie}%3D"),
        format!("\"{cookie}\""),
        format!("s%3A{}{cookie}", "a".repeat(600)),
        String::new(),
        "s%3A.".to_owned(),
        "%ff%fe".to_owned(),
    ] {
        assert_eq!(connect_redis::id(&wrong, &keys), None, "{wrong}");
    }
    // What is signed and still no id of this layout never becomes a part of a key.
    let sign = |id: &str| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"keyboard cat");
        let tag = aws_lc_rs::hmac::sign(&key, id.as_bytes());
        format!("s:{id}.{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(tag))
    };
    assert!(connect_redis::id(&sign("0123456789abcdef"), &keys).is_some());
    for id in ["short", "../../../../../../x", "0123456789abcdef:x", "0123456789abcdef\r\n", &"a".repeat(129)] {
        assert_eq!(connect_redis::id(&sign(id), &keys), None, "{id}");
    }
}

#[test]
fn what_is_no_session_of_express_is_unreadable() {
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"cookie":1}"#,
        r#"{"cookie":{"expires":5}}"#,
        r#"{"cookie":{"expires":"soon"}}"#,
        r#"{"cookie":{"originalMaxAge":"1"}}"#,
        r#"{"cookie":{},"user":1,"user":2}"#,
        r#"{"cookie":{}"#,
    ] {
        assert!(connect_redis::read(text.as_bytes(), None).is_err(), "{text}");
    }
}

#[test]
fn sessions_of_spring_are_read() {
    let sessions = fixture!("spring");
    let security = named(&sessions, "security");
    let (cookie, id) = cookie_and_id(security, "spring:session:sessions:");
    assert_eq!(spring::id(cookie).as_deref(), Some(id));
    let read = spring::read(&fields(security)).unwrap();
    assert_eq!(read.began_at, Some(Timestamp(1_763_740_800_000)));
    assert_eq!(read.ends_at, Some(Timestamp(1_763_741_000_000 + 1_800_000)));
    let context = "/SPRING_SECURITY_CONTEXT/authentication";
    let alice = whose(read, &format!("{context}/principal/username"), &format!("{context}/authorities")).unwrap();
    assert_eq!((&*alice.principal.subject, roles(&alice)), ("alice", vec!["ROLE_EDITOR", "ROLE_READER"]));
    assert_eq!(alice.issued_at, Some(Timestamp(1_763_740_800_000)));

    let read = |name| spring::read(&fields(named(&sessions, name))).unwrap();
    let plain = whose(read("plain"), "user", "x").unwrap();
    assert_eq!(plain.groups, ["eu".into(), "staff".into()] as [Arc<str>; 2]);
    assert_eq!(plain.claims["since"], json!(1_763_740_800_000_u64));
    assert_eq!(read("never-ends").ends_at, None);
    assert_eq!(read("invalidated").ends_at, Some(Timestamp(1_763_741_000_000)));
    assert_eq!(whose(read("logged-out"), "user", "x"), None);
}

#[test]
fn attributes_that_java_serialized_are_refused_with_what_to_do() {
    let parts = |name: &str, value: &[u8]| {
        let times = [("creationTime", "1"), ("lastAccessedTime", "1"), ("maxInactiveInterval", "1")];
        let mut parts: Vec<Vec<u8>> =
            times.iter().flat_map(|(name, value)| [(*name).into(), (*value).into()]).collect();
        parts.extend([name.as_bytes().to_vec(), value.to_vec()]);
        parts
    };
    // `new ObjectOutputStream(…).writeObject("alice")`
    let java = b"\xac\xed\x00\x05t\x00\x05alice";
    for name in ["sessionAttr:user", "creationTime"] {
        let problem = spring::read(&parts(name, java)).unwrap_err().to_string();
        assert!(problem.contains("GenericJackson2JsonRedisSerializer") && !problem.contains("alice"), "{problem}");
    }
    assert!(spring::read(&parts("sessionAttr:user", b"\"alice\"")).is_ok());
    assert!(spring::read(&parts("sessionAttr:user", b"alice")).is_err());
    assert!(spring::read(&parts("lastAccessedTime", b"\"1\"")).is_err());
    assert!(spring::read(&parts("\u{0}", b"x")).is_ok(), "somebody else's field");
    let all = parts("sessionAttr:user", b"\"alice\"");
    for gone in 0..3 {
        let mut some = all.clone();
        some.drain(gone * 2..gone * 2 + 2);
        assert!(spring::read(&some).is_err());
    }
    assert!(spring::read(&all[..7]).is_err());
    assert!(spring::read(&[]).is_err());
}

#[test]
fn ids_of_spring_are_canonical_base64_of_its_alphabet() {
    let id = "6f2d1c52-7a0e-4b7e-9d57-0a4e7c1a9b10";
    assert_eq!(spring::id(&STANDARD.encode(id)).as_deref(), Some(id));
    assert_eq!(spring::id(id), None, "not base64");
    for wrong in
        ["short", "6f2d1c52-7a0e-4b7e-9d57-0a4e7c1a9b10.node1", "a:b:c:d:e:f:g:h:i", "a\r\nDEL *\r\n6f2d1c52-7a"]
    {
        assert_eq!(spring::id(&STANDARD.encode(wrong)), None, "{wrong}");
    }
    assert_eq!(spring::id(&format!("{}=", STANDARD.encode(id))), None);
    assert_eq!(spring::id(STANDARD.encode("0123456789abcdefg").trim_end_matches('=')), None, "without padding");
}

#[test]
fn ids_of_json_are_of_the_configured_form() {
    let form = |alphabet| SessionIdForm { alphabet, min: 16, max: 20 };
    let (hex, plain, url) = (form(IdAlphabet::Hex), form(IdAlphabet::Alphanumeric), form(IdAlphabet::Base64url));
    for (id, fits) in [
        ("0123456789abcdef", [true, true, true]),
        ("01234567-9abcdef", [true, false, true]),
        ("0123456789abcdeg", [false, true, true]),
        ("0123456789abcde_", [false, false, true]),
        ("0123456789abcde", [false; 3]),
        ("0123456789abcdef01234", [false; 3]),
        ("0123456789abcde:", [false; 3]),
        ("../../../../../../", [false; 3]),
        ("0123456789abcd\r\n", [false; 3]),
        ("0123456789%2e%2e", [false; 3]),
        ("0123456789abcdeé", [false; 3]),
        ("", [false; 3]),
    ] {
        assert_eq!([&hex, &plain, &url].map(|form| json::id(id, form).is_some()), fits, "{id:?}");
    }
}

#[test]
fn f61_json_is_bounded_in_depth() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(json::read(nested(MOST_DEPTH - 1).as_bytes()).is_ok());
    assert!(json::read(nested(MOST_DEPTH).as_bytes()).is_err());
    assert!(json::read(nested(30_000).as_bytes()).is_err());
    assert!(json::read(b"[1]").is_err());
}

#[test]
fn what_is_of_the_wrong_type_is_never_taken_for_absent() {
    let read = |attributes: Value, settings: &ForeignSettings| {
        let Value::Object(attributes) = attributes else { panic!("an object") };
        claims::identity(settings, Session { attributes, ..Session::default() }, Some(Timestamp(9_000)), "p")
    };
    let plain = settings(ForeignFormat::Spring, "sub", "roles");
    for nobody in [json!(null), json!(""), json!(false), json!(0)] {
        assert_eq!(read(json!({ "sub": nobody }), &plain), Ok(None));
    }
    let long = "a".repeat(257);
    for wrong in [json!(true), json!(1.5), json!([]), json!({}), json!("a\nb"), json!("\u{7f}"), json!(long)] {
        assert!(read(json!({ "sub": wrong }), &plain).is_err(), "{wrong}");
    }
    for wrong in [json!({}), json!(1), json!([1]), json!(true), json!(["a", null])] {
        assert!(read(json!({ "sub": "a", "roles": wrong }), &plain).is_err(), "{wrong}");
    }
    let timed = ForeignSettings { expires: Some("ends".into()), issued_at: Some("began".into()), ..plain };
    let times = |ends: Value, began: Value| read(json!({ "sub": "a", "ends": ends, "began": began }), &timed);
    for (ends, expected) in [
        (json!(5), Timestamp(5_000)),
        (json!(1_763_740_800), Timestamp(9_000)),
        (json!("1970-01-01T00:00:07.5Z"), Timestamp(7_500)),
        (json!(1_763_740_800_000_u64), Timestamp(9_000)),
    ] {
        assert_eq!(times(ends, json!(1)).unwrap().unwrap().expires_at, expected);
    }
    assert_eq!(times(json!(5), json!(1_763_740_800_000_u64)).unwrap().unwrap().issued_at.unwrap().0, 1_763_740_800_000);
    for wrong in [json!(null), json!(""), json!("tomorrow"), json!(-1), json!([])] {
        assert!(times(wrong.clone(), json!(1)).is_err(), "{wrong}");
        assert!(times(json!(5), wrong.clone()).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn f26_no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn f26_no_damage_to_a_record_makes_a_reader_panic(
        which in 0_usize..11, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let sessions = fixture!("php");
        let mut bytes = value(&sessions[which]);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            read_all(&bytes);
            bytes.truncate(cut.index(bytes.len()));
            read_all(&bytes);
        }
    }

    #[test]
    fn f26_nothing_like_php_makes_its_reader_panic(text in "(x\\|)?([Nbidsa]:?[0-9-]{0,20}[:;]?[\"{}]?){0,12}") {
        read_all(text.as_bytes());
    }

    #[test]
    fn f26_no_cookie_makes_an_id_that_is_none(cookie in any::<String>()) {
        let form = SessionIdForm { alphabet: IdAlphabet::Base64url, min: 16, max: 128 };
        let ids = [php::id(&cookie), spring::id(&cookie), json::id(&cookie, &form), connect_redis::id(&cookie, &[])];
        for id in ids.into_iter().flatten() {
            prop_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_,".contains(&b)));
        }
    }
}

fn read_all(bytes: &[u8]) {
    for handler in [PhpHandler::Php, PhpHandler::PhpSerialize] {
        let _ = php::read(bytes, handler);
    }
    let _ = (
        json::read(bytes),
        connect_redis::read(bytes, None),
        spring::read(&[b"sessionAttr:x".to_vec(), bytes.to_vec()]),
    );
    let _ = spring::read(&bytes.chunks(7).map(<[u8]>::to_vec).collect::<Vec<_>>());
}
