//! A token never decides how, by which key, or as what it is verified.

use portcullis::crypto::base64url;
use portcullis::model::denial::Reason;
use serde_json::{Value, json};

use super::super::keys::Key;
use super::world::{ED25519, NOW, P256, P384, jwk, key_of};
use super::{ALGORITHMS, Cases, good, good_claims, good_header, input, signed};
use crate::gate::keys::RSA;

pub(super) fn add(cases: &mut Cases) {
    none(cases);
    names(cases);
    families(cases);
    public_key_as_secret(cases);
    keys_brought_along(cases);
    key_ids(cases);
    extensions(cases);
    types(cases);
    issuers(cases);
}

/// Every spelling of `none`, with and without a signature, where one algorithm is allowed and where all are.
fn none(cases: &mut Cases) {
    for letters in 0..16_u8 {
        let upper = |at: usize, c: char| if letters >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
        let name: String = "none".chars().enumerate().map(|(at, c)| upper(at, c)).collect();
        for issuer in ["ES256", "all"] {
            let (header, claims) = (json!({"alg": name, "typ": "at+jwt"}), good_claims(issuer));
            let unsigned = format!("{}.", input(&header, &claims));
            cases.refused(format!("{name} at {issuer}, no signature"), unsigned, Reason::TokenAlgorithm);
            let right = signed(&P256, "ES256", &header, &claims);
            cases.refused(format!("{name} at {issuer}, a right signature"), right, Reason::TokenAlgorithm);
        }
    }
    for name in ["", " ", "none ", " none", "none\0", "ｎｏｎｅ", "nоne", "null", "undefined", "false", "0"] {
        let unsigned = format!("{}.AA", input(&json!({"alg": name}), &good_claims("ES256")));
        cases.refused(format!("{name:?} for none"), unsigned, Reason::TokenAlgorithm);
    }
}

/// Names of algorithms that are none, or none of ours, over a signature that is right.
fn names(cases: &mut Cases) {
    for name in [
        "es256",
        "Es256",
        "ES256 ",
        " ES256",
        "ES256\0",
        "ES256\n",
        "ES-256",
        "ＥＳ256",
        "ES256K",
        "ES512",
        "ESP256",
        "SHA256withECDSA",
        "1.2.840.10045.4.3.2",
        "Ed25519",
        "Ed448",
        "EDDSA",
        "HS1",
        "RS1",
        "MD5",
        "dir",
        "A256KW",
        "A128GCM",
        "RSA-OAEP",
        "RSA1_5",
        "ECDH-ES",
        "PBES2-HS256+A128KW",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        "ES256,HS256",
        "ES256;HS256",
        "*",
    ] {
        for issuer in ["ES256", "all"] {
            let token = signed(&P256, "ES256", &json!({"alg": name}), &good_claims(issuer));
            cases.refused(format!("alg {name:?} at {issuer}"), token, Reason::TokenAlgorithm);
        }
    }
    for alg in [json!(null), json!(1), json!(true), json!(["ES256"]), json!({"alg": "ES256"})] {
        let token = signed(&P256, "ES256", &json!({"alg": alg, "kid": "ES256"}), &good_claims("ES256"));
        cases.refused(format!("alg {alg}"), token, Reason::TokenMalformed);
    }
    let token = signed(&P256, "ES256", &json!({"kid": "ES256"}), &good_claims("ES256"));
    cases.refused("no alg", token, Reason::TokenMalformed);
}

/// The signature of one algorithm under the name of each other, at its own issuer and where all are allowed.
fn families(cases: &mut Cases) {
    for made in ALGORITHMS {
        let key = key_of(made);
        let kid = match key {
            Key::Secret(_) => "secret",
            Key::Rsa(_) => "rsa",
            Key::Ed(_) => "ed25519",
            Key::Ec(_) if made == "ES384" => "p384",
            Key::Ec(_) => "p256",
        };
        for said in ALGORITHMS {
            if said == made {
                let token = signed(key, made, &json!({"alg": said, "kid": kid}), &good_claims("all"));
                cases.accepted(format!("{made}: where all are allowed"), token);
                continue;
            }
            let here = signed(key, made, &json!({"alg": said, "kid": made}), &good_claims(made));
            cases.refused(format!("{made}: under the name of {said}"), here, Reason::TokenAlgorithm);

            let with_kid = signed(key, made, &json!({"alg": said, "kid": kid}), &good_claims("all"));
            let same_key = std::ptr::eq(key, key_of(said));
            let reason = if same_key { Reason::TokenSignature } else { Reason::TokenAlgorithm };
            cases.refused(format!("{made}: under the name of {said} where all are allowed"), with_kid, reason);

            let without = signed(key, made, &json!({"alg": said}), &good_claims("all"));
            let name = format!("{made}: under the name of {said} where all are allowed, without kid");
            cases.refused(name, without, Reason::TokenSignature);
        }
    }
}

/// CVE-2015-9235 and its many successors.
fn public_key_as_secret(cases: &mut Cases) {
    for (name, kid, key) in
        [("RS256", "rsa", &*RSA), ("ES256", "p256", &*P256), ("ES384", "p384", &*P384), ("EdDSA", "ed25519", &*ED25519)]
    {
        let pem = key.public_pem();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let wrapped: Vec<&str> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        let openssl = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", wrapped.join("\n"));
        let jwk = jwk(key, kid);
        let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &body).expect("base64");
        let raw = jwk.get("n").or(jwk.get("x")).and_then(Value::as_str).expect("a number");
        let forms = [
            ("PEM", pem.clone().into_bytes()),
            ("PEM without a last line feed", pem.trim_end().as_bytes().to_vec()),
            ("PEM as OpenSSL wraps it", openssl.clone().into_bytes()),
            ("PEM as OpenSSL wraps it, without a last line feed", openssl.trim_end().as_bytes().to_vec()),
            ("PEM of Windows", openssl.replace('\n', "\r\n").into_bytes()),
            ("PEM in one line", body.clone().into_bytes()),
            ("DER", der),
            ("JWK", jwk.to_string().into_bytes()),
            ("JWK, indented", serde_json::to_vec_pretty(&jwk).expect("JSON")),
            ("number as text", raw.as_bytes().to_vec()),
            ("number", base64url::decode(raw).expect("base64url")),
            ("kid", kid.as_bytes().to_vec()),
        ];
        let mut tried = Vec::new();
        for (form, secret) in forms {
            // A short key has the same text in one line and in several.
            if tried.contains(&secret) {
                continue;
            }
            tried.push(secret.clone());
            let forger = Key::Secret(secret);
            for hs in ["HS256", "HS384", "HS512"] {
                let title = |place: &str| format!("{name}: {hs} with its public key as {form}, {place}");
                let here = signed(&forger, hs, &json!({"alg": hs, "kid": name}), &good_claims(name));
                cases.refused(title("at its issuer"), here, Reason::TokenAlgorithm);
                if hs == "HS256" {
                    let with_kid = signed(&forger, hs, &json!({"alg": hs, "kid": kid}), &good_claims("all"));
                    cases.refused(title("where all are allowed"), with_kid, Reason::TokenAlgorithm);
                    let without = signed(&forger, hs, &json!({"alg": hs}), &good_claims("all"));
                    cases.refused(title("without kid"), without, Reason::TokenSignature);
                }
            }
        }
    }
}

fn keys_brought_along(cases: &mut Cases) {
    let mallory = Key::p256();
    let certificate = portcullis::crypto::base64url::encode(mallory.public_pem().as_bytes());
    for (name, members) in [
        ("jwk", json!({"jwk": jwk(&mallory, "ES256")})),
        ("jwk of another kid", json!({"jwk": jwk(&mallory, "mallory")})),
        ("jwk that is a secret", json!({"jwk": {"kty": "oct", "k": "AAAA"}})),
        ("jwk that is no object", json!({"jwk": "ES256"})),
        ("jku", json!({"jku": "https://mallory.example/keys"})),
        ("jku of this machine", json!({"jku": "http://127.0.0.1:1/keys"})),
        ("jku of a cloud", json!({"jku": "http://169.254.169.254/latest/meta-data/"})),
        ("jku that is a file", json!({"jku": "file:///etc/passwd"})),
        ("jku of the issuer, with a path", json!({"jku": "https://es256.example/../mallory"})),
        ("x5u", json!({"x5u": "https://mallory.example/certificate"})),
        ("x5c", json!({"x5c": [certificate]})),
        ("x5c that is empty", json!({"x5c": []})),
        ("x5t", json!({"x5t": "AAAAAAAAAAAAAAAAAAAAAAAAAAA"})),
        ("x5t#S256", json!({"x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})),
        ("all of them", json!({"jwk": jwk(&mallory, "k"), "jku": "https://m.example", "x5u": "https://m.example"})),
    ] {
        for (with_kid, kid) in
            [("with kid", json!({"alg": "ES256", "kid": "ES256"})), ("without kid", json!({"alg": "ES256"}))]
        {
            let mut header = kid;
            header.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
            let forged = signed(&mallory, "ES256", &header, &good_claims("ES256"));
            cases.refused(format!("{name} brought along, {with_kid}"), forged, Reason::TokenSignature);
            // It is not looked at, so it does no harm either.
            let right = signed(&P256, "ES256", &header, &good_claims("ES256"));
            cases.accepted(format!("{name} brought along by the issuer itself, {with_kid}"), right);
        }
    }
}

fn key_ids(cases: &mut Cases) {
    let long = "k".repeat(4000);
    for kid in [
        "",
        " ",
        "es256",
        "ES256 ",
        " ES256",
        "ES256\0",
        "ES256\0x",
        "ES256\n",
        "ES256/",
        "./ES256",
        "../ES256",
        "x/../ES256",
        "%45S256",
        "ＥＳ256",
        "../../../../../../dev/null",
        "/dev/null",
        "/etc/passwd",
        "/proc/self/environ",
        "C:\\Windows\\win.ini",
        "file:///dev/null",
        "http://127.0.0.1/",
        "https://mallory.example/keys",
        "data:application/json,{}",
        "' OR '1'='1",
        "x' UNION SELECT 'AA'; --",
        "\"; cat /etc/passwd; \"",
        "|/bin/true",
        "$(id)",
        "`id`",
        "${jndi:ldap://mallory.example/a}",
        "{{7*7}}",
        "*",
        ".*",
        "ES256|x",
        "ES256,x",
        "[\"ES256\"]",
        "__proto__",
        "constructor",
        "null",
        "0",
        "\u{202e}652SE",
        "\u{feff}ES256",
        &long,
    ] {
        let token = signed(&P256, "ES256", &json!({"alg": "ES256", "kid": kid}), &good_claims("ES256"));
        let shown: String = kid.chars().take(40).collect();
        cases.refused(format!("kid {shown:?}"), token, Reason::TokenKeyUnknown);
    }
    for kid in [json!(null), json!(0), json!(true), json!(["ES256"]), json!({"kid": "ES256"}), json!([])] {
        let token = signed(&P256, "ES256", &json!({"alg": "ES256", "kid": kid}), &good_claims("ES256"));
        cases.refused(format!("kid {kid}"), token, Reason::TokenMalformed);
    }
    // The name of another key of the same issuer.
    for (kid, reason) in
        [("p384", Reason::TokenAlgorithm), ("rsa", Reason::TokenAlgorithm), ("secret", Reason::TokenAlgorithm)]
    {
        let token = signed(&P256, "ES256", &json!({"alg": "ES256", "kid": kid}), &good_claims("all"));
        cases.refused(format!("kid of the key {kid}"), token, reason);
    }
}

fn extensions(cases: &mut Cases) {
    for (name, members) in [
        ("crit of a claim", json!({"crit": ["exp"], "exp": NOW})),
        ("crit of alg", json!({"crit": ["alg"]})),
        ("crit that is empty", json!({"crit": []})),
        ("crit of nothing that is there", json!({"crit": ["x"]})),
        ("crit of a URL", json!({"crit": ["http://example.com/x"], "http://example.com/x": true})),
        ("crit twice the same", json!({"crit": ["b64", "b64"], "b64": true})),
        ("crit that is null", json!({"crit": null})),
        ("crit that is a text", json!({"crit": "b64"})),
        ("crit that is a number", json!({"crit": 0})),
        ("crit that is false", json!({"crit": false})),
        ("crit that is an object", json!({"crit": {"b64": false}})),
        ("crit of a number", json!({"crit": [1]})),
        ("b64 false, critical", json!({"crit": ["b64"], "b64": false})),
        ("b64 true, critical", json!({"crit": ["b64"], "b64": true})),
        ("b64 false", json!({"b64": false})),
        ("b64 true", json!({"b64": true})),
        ("b64 as a text", json!({"b64": "false"})),
        ("b64 null", json!({"b64": null})),
    ] {
        let mut header = good_header("ES256");
        header.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        cases.refused(name, signed(&P256, "ES256", &header, &good_claims("ES256")), Reason::TokenCritical);
    }
    // Claims that are not in base64url, as `b64: false` has them: nobody reads them so.
    let header = json!({"alg": "ES256", "b64": false, "crit": ["b64"]});
    let claims = good_claims("ES256").to_string();
    let input = format!("{}.{claims}", base64url::encode(header.to_string().as_bytes()));
    let signature = P256.token_of("ES256", "", "");
    let signature = signature.rsplit('.').next().expect("a signature");
    cases.refused("claims in clear", format!("{input}.{signature}").replace(".example", ""), Reason::TokenMalformed);
    let nested = good("ES256");
    for (name, claims) in [
        ("a token within a token", nested.clone()),
        ("a token within a token, as a JSON text", format!("\"{nested}\"")),
    ] {
        let mut header = good_header("ES256");
        header["cty"] = json!("JWT");
        cases.refused(name, P256.token_of("ES256", &header.to_string(), &claims), Reason::TokenMalformed);
    }
    let mut header = good_header("ES256");
    header["zip"] = json!("DEF");
    // `{}` as DEFLATE has it.
    let input =
        format!("{}.{}", base64url::encode(header.to_string().as_bytes()), base64url::encode(&[0xab, 0xae, 5, 0]));
    cases.refused("compressed claims", format!("{input}.{signature}"), Reason::TokenMalformed);
}

fn types(cases: &mut Cases) {
    let with = |typ: Value| {
        signed(&P256, "ES256", &json!({"alg": "ES256", "kid": "ES256", "typ": typ}), &good_claims("ES256"))
    };
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "APPLICATION/AT+JWT", "application/jwt", "JOSE"]
    {
        cases.accepted(format!("typ {typ:?}"), with(json!(typ)));
    }
    for typ in [
        "id_token",
        "ID_TOKEN",
        "id_token+jwt",
        "ID",
        "logout+jwt",
        "Logout+JWT",
        "application/logout+jwt",
        "logout_token",
        "refresh",
        "Refresh_Token",
        "dpop+jwt",
        "DPoP+JWT",
        "application/dpop+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "introspection+jwt",
        "oauth-authz-req+jwt",
        "client-authentication+jwt",
        "kb+jwt",
        "vc+sd-jwt",
        "dc+sd-jwt",
        "entity-statement+jwt",
        "passport+jwt",
        "portcullis-assertion+jwt",
        "Portcullis-Assertion+JWT",
        "application/portcullis-assertion+jwt",
        "at+jwt+x",
        "at+jwt ",
        " at+jwt",
        "x/at+jwt",
        "application/application/at+jwt",
        "JWE",
        "JOSE+JSON",
    ] {
        cases.refused(format!("typ {typ:?}"), with(json!(typ)), Reason::TokenType);
    }
    for typ in [json!(null), json!(1), json!(false), json!(["at+jwt"]), json!({"typ": "at+jwt"})] {
        cases.refused(format!("typ {typ}"), with(typ), Reason::TokenMalformed);
    }
}

/// The key of one issuer in the name of another.
fn issuers(cases: &mut Cases) {
    for (made, iss) in [("ES256", "HS256"), ("RS256", "PS256"), ("HS256", "HS512"), ("ES384", "ES256")] {
        let token = signed(key_of(made), made, &good_header(made), &good_claims(iss));
        cases.refused(format!("issuer {iss}, a token of {made}"), token, Reason::TokenAlgorithm);
    }
    for (made, iss) in [("ES256", "fixed"), ("RS256", "fixed")] {
        let token = signed(key_of(made), made, &json!({"alg": made}), &good_claims(iss));
        cases.refused(format!("issuer {iss}, a token of {made}"), token, Reason::TokenSignature);
    }
}
