//! Records and ids of PHP.

use super::*;

#[test]
fn sessions_of_php_are_read() {
    let sessions = fixture!("php");
    for (name, handler) in
        [("php", PhpHandler::Php), ("php_serialize", PhpHandler::PhpSerialize), ("long-id", PhpHandler::Php)]
    {
        let session = named(&sessions, name);
        let (cookie, id) = cookie_and_id(session, "PHPREDIS_SESSION:");
        assert_eq!(php::id(cookie).as_deref(), Some(id), "{name}");
        let read = php::read(&value(session), handler).unwrap();
        assert_eq!(
            Value::Object(read.attributes.clone()),
            json!({
                "user": { "id": "alice", "roles": ["reader", "editor"], "email": "alice@example.com", "plan": "gold" },
                "note": "naïve; |\"x\"|", "count": -7, "ratio": 0.1, "huge": null, "yes": true, "no": false,
                "nothing": null, "bytes": null, "sparse": { "3": "c", "x": { "y": [] } },
            })
        );
        let alice = whose(read, "/user/id", "/user/roles").expect("somebody");
        assert_eq!((&*alice.principal.subject, roles(&alice)), ("alice", vec!["editor", "reader"]));
    }
    let read = |name| php::read(&value(named(&sessions, name)), PhpHandler::Php).unwrap();
    assert_eq!(&*whose(read("number"), "/user/id", "x").unwrap().principal.subject, "42");
    for nobody in ["nobody", "empty"] {
        assert_eq!(whose(read(nobody), "/user/id", "x"), None);
    }
}

#[test]
fn objects_and_references_of_php_are_refused() {
    let sessions = fixture!("php");
    for (name, handler, what) in [
        ("object", PhpHandler::Php, "an object"),
        ("object_serialize", PhpHandler::PhpSerialize, "an object"),
        ("enum", PhpHandler::Php, "an object"),
        ("reference", PhpHandler::Php, "a reference"),
        ("php_binary", PhpHandler::Php, "not what PHP writes"),
        ("php", PhpHandler::PhpSerialize, "not what PHP writes"),
        ("php_serialize", PhpHandler::Php, "not what PHP writes"),
    ] {
        let problem = php::read(&value(named(&sessions, name)), handler).unwrap_err().to_string();
        assert!(problem.contains(what), "{name}: {problem}");
        assert!(!problem.contains("alice"), "{problem}");
    }
    for text in [
        r#"user|C:3:"Foo":0:{}"#,
        r#"user|O:3:"Foo":1:{s:1:"a";i:1;}"#,
        r#"user|a:1:{i:0;O:8:"stdClass":0:{}}"#,
        "user|r:1;",
        r#"user|S:1:"a";"#,
        r#"user|o:1:{s:1:"a";i:1;}"#,
    ] {
        assert!(php::read(text.as_bytes(), PhpHandler::Php).is_err(), "{text}");
    }
}

#[test]
fn f61_what_php_does_not_write_is_refused_before_it_costs_anything() {
    let deep = format!("x|{}N;{}", "a:1:{i:0;".repeat(100), "}".repeat(100));
    let many = format!("x|a:20000:{{{}}}", "i:0;N;".repeat(20_000));
    for text in [
        deep.as_str(),
        many.as_str(),
        "x",
        "x|",
        "x|i:1",
        "x|i:;",
        "x|i:+1;",
        "x|i:1e3;",
        "x|i:99999999999999999999;",
        "x|b:2;",
        "x|d:nan;",
        "x|d:1;2;",
        "x|s:5:\"abc\";",
        "x|s:3:\"abc\"",
        "x|s:-1:\"\";",
        "x|s:18446744073709551615:\"a\";",
        "x|s:99999999999999999999999:\"a\";",
        "x|s:3:abc;",
        "x|a:2:{i:0;i:1;}",
        "x|a:1:{i:0;i:1;",
        "x|a:1:{b:1;i:1;}",
        "x|a:1000000000:{}",
        "x|a:-1:{}",
        "x|N",
        "x|i:1;y",
        "\0\0\0",
    ] {
        let problem = php::read(text.as_bytes(), PhpHandler::Php);
        assert!(problem.is_err(), "{}: {problem:?}", &text[..text.len().min(60)]);
    }
    assert!(php::read(b"a:0:{}x", PhpHandler::PhpSerialize).is_err());
    assert!(php::read(b"i:1;", PhpHandler::PhpSerialize).is_err());
}

#[test]
fn ids_of_php_have_its_alphabet_and_length() {
    let fits = "0123456789abcdefghijkl";
    assert_eq!(php::id(fits).as_deref(), Some(fits));
    assert_eq!(php::id("%2C123456789abcdefghijkl").as_deref(), Some(",123456789abcdefghijkl"));
    let long = "a".repeat(257);
    for wrong in [
        "",
        "0123456789abcdefghijk",
        &long,
        "0123456789abcdefghijk*",
        "0123456789abcdefghijk:",
        "0123456789abcdefghijk%3A",
        "0123456789abcdefghijk%0D%0A",
        "0123456789abcdefghijk%00",
        "0123456789abcdefghijkl%",
        "0123456789abcdefghijk%252C",
        "../../../../etc/passwd-xx",
        "é123456789abcdefghijk",
    ] {
        assert_eq!(php::id(wrong), None, "{wrong}");
    }
}
