//! A selection through the whole process: 401 for each, and nothing of them behind it.

use portcullis::crypto::base64url;
use portcullis::model::{Clock, SystemClock};
use serde_json::{Value, json};

use super::super::keys::{Key, RSA, claims, claims_with, pem_issuer};
use super::{input, resigned};
use crate::harness::http::{get, send};
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::upstream::Upstream;

const EC: &str = "https://ec.example";

fn start(keys: &[(&str, &Key)], upstream: &Upstream) -> Portcullis {
    let setup = Setup::new();
    let issuers: String = keys.iter().map(|(name, key)| pem_issuer(setup.folder(), name, key)).collect();
    let accept: Vec<String> = keys.iter().map(|(name, _)| format!("\"jwt:{name}\"")).collect();
    let route = format!(
        "app = {{ match = \"/{{*rest}}\", accept = [{}], upstream = \"{}\" }}",
        accept.join(", "),
        upstream.url()
    );
    setup.start(&format!("{issuers}\n[route]\n{route}\n"))
}

#[test]
fn hostile_tokens_are_401_and_reach_nobody() {
    let upstream = Upstream::start();
    let (ec, ed) = (Key::p256(), Key::ed25519());
    let portcullis = start(&[("ec", &ec), ("ed", &ed), ("rsa", &RSA)], &upstream);
    let to = portcullis.address();
    let now = SystemClock.now().as_secs();
    let header = json!({"alg": "ES256", "typ": "at+jwt"});
    let good = ec.token(&header, &claims(EC));
    let with = |name: &str, value: Value| ec.token(&header, &claims_with(EC, name, value));
    let typed = |typ: &str| ec.token(&json!({"alg": "ES256", "typ": typ}), &claims(EC));
    let text = |claims: String| ec.token_of("ES256", &header.to_string(), &claims);
    let plain = claims(EC).to_string();
    let front = &plain[..plain.len() - 1];
    let hostile = [
        ("none", format!("{}.", input(&json!({"alg": "none"}), &claims(EC)))),
        ("none in another case, with bytes", format!("{}.AAAA", input(&json!({"alg": "nOnE"}), &claims(EC)))),
        (
            "HS256 with the public key",
            Key::Secret(ec.public_pem().into_bytes()).token(&json!({"alg": "HS256"}), &claims(EC)),
        ),
        ("a stranger", Key::p256().token(&header, &claims(EC))),
        ("DER", resigned(&good, |s| [vec![0x30, 68, 2, 32], s[..32].to_vec(), vec![2, 32], s[32..].to_vec()].concat())),
        ("zeros", resigned(&good, |_| vec![0; 64])),
        ("cut", resigned(&good, |s| s[..63].to_vec())),
        ("longer", resigned(&good, |s| [s, vec![0]].concat())),
        ("RS256 as PS256", RSA.token_of("RS256", r#"{"alg":"PS256"}"#, &claims("https://rsa.example").to_string())),
        ("of another issuer", ec.token(&header, &claims("https://rsa.example"))),
        ("of an unknown issuer", ec.token(&header, &claims("https://ec.example/"))),
        (
            "small order",
            resigned(&ed.token(&json!({"alg": "EdDSA"}), &claims("https://ed.example")), |_| {
                [vec![1], vec![0; 63]].concat()
            }),
        ),
        ("crit", ec.token(&json!({"alg": "ES256", "crit": ["exp"]}), &claims(EC))),
        ("b64", ec.token(&json!({"alg": "ES256", "b64": false}), &claims(EC))),
        ("kid of a file", ec.token(&json!({"alg": "ES256", "kid": ["../../dev/null"]}), &claims(EC))),
        ("id token", typed("id_token+jwt")),
        ("logout token", typed("logout+jwt")),
        ("assertion", typed("portcullis-assertion+jwt")),
        ("DPoP proof", typed("dpop+jwt")),
        ("exp as a text", with("exp", json!((now + 600).to_string()))),
        ("exp in milliseconds", with("exp", json!((now + 600) * 1000))),
        ("exp passed", with("exp", json!(now - 60))),
        ("nbf ahead", with("nbf", json!(now + 600))),
        ("aud nested", with("aud", json!([["orders"]]))),
        ("aud of another", with("aud", json!("other"))),
        ("sub with a line feed", with("sub", json!("a\r\nX-User: root"))),
        ("no exp", with("exp", Value::Null)),
        ("names twice", text(format!("{front},\"sub\":\"root\"}}"))),
        ("names twice once unescaped", text(format!("{front},\"\\u0073ub\":\"root\"}}"))),
        ("1e999", text(plain.replace(&(now + 600).to_string(), "1e999").replace("\"exp\":", "\"x\":1,\"exp\":"))),
        ("bytes after it", text(format!("{plain}{{}}"))),
        ("a byte order mark", text(format!("\u{feff}{plain}"))),
        ("a lone surrogate", text(format!("{front},\"x\":\"\\ud800\"}}"))),
        ("a fourth segment", format!("{good}.AAAA")),
        ("no signature", format!("{}.", good.rsplit_once('.').expect("three").0)),
        ("padding", format!("{good}==")),
        ("plus", format!("{good}+")),
        ("nested", ec.token_of("ES256", &header.to_string(), &good)),
        ("cnf of nobody", with("cnf", json!({"kid": "x"}))),
        ("deep", text(format!("{front},\"x\":{}{}}}", "[".repeat(1000), "]".repeat(1000)))),
        (
            "base64 of bytes",
            format!("{}.{}.{}", base64url::encode(b"\xff"), base64url::encode(b"\xff"), base64url::encode(b"\xff")),
        ),
    ];
    assert_eq!(get(to, "/x", &bearer(&good)).status, 200);
    for (name, token) in &hostile {
        let answer = get(to, "/x", &bearer(token));
        assert_eq!(answer.status, 401, "{name}");
        assert!(answer.value("www-authenticate").is_some_and(|value| value.contains("invalid_token")), "{name}");
    }
    // Bytes that only a raw request can carry.
    for odd in [&b"\x00"[..], b"\xff\xfe", b" ", b"\t"] {
        let raw = [
            b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ",
            good.as_bytes(),
            odd,
            b"x\r\n\r\n",
        ]
        .concat();
        let status = send(to, &raw).status;
        assert!(matches!(status, 400 | 401), "{odd:?}: {status}");
    }
    let large = ec.token(&header, &claims_with(EC, "x", json!("a".repeat(12 * 1024))));
    assert!(matches!(get(to, "/x", &bearer(&large)).status, 401 | 431));
    assert_eq!(upstream.received().len(), 1, "{:?}", upstream.last());
    assert_eq!(get(to, "/x", &bearer(&good)).status, 200, "and the good one is still good");
}
