//! Signatures: of every algorithm cut, lengthened, moved and written otherwise; and what each kind of arithmetic lets
//! through where a verifier does not look.

use portcullis::crypto::base64url;
use portcullis::model::denial::Reason;
use serde_json::{Value, json};

use super::super::keys::Key;
use super::world::{FIXED, key_of};
use super::{ALGORITHMS, Cases, good, good_claims, good_header, input, resigned, signed};

pub(super) fn add(cases: &mut Cases) {
    for algorithm in ALGORITHMS {
        of_any_kind(cases, algorithm);
    }
    for algorithm in ["HS256", "HS384", "HS512"] {
        hmac(cases, algorithm);
    }
    for (algorithm, order) in [("ES256", P256_ORDER), ("ES384", P384_ORDER)] {
        ecdsa(cases, algorithm, &hex(order));
    }
    eddsa(cases);
    fixed(cases);
}

fn of_any_kind(cases: &mut Cases, algorithm: &str) {
    let named = |name: &str| format!("{algorithm}: {name}");
    cases.accepted(named("as it should be"), good(algorithm));
    let mut header = good_header(algorithm);
    header.as_object_mut().expect("an object").remove("kid");
    cases.accepted(named("without kid"), signed(key_of(algorithm), algorithm, &header, &good_claims(algorithm)));

    let token = good(algorithm);
    let mut changed = |name: &str, change: fn(Vec<u8>) -> Vec<u8>| {
        cases.refused(named(name), resigned(&token, change), Reason::TokenSignature);
    };
    changed("no signature", |_| Vec::new());
    changed("one byte", |s| s[..1].to_vec());
    changed("the last byte cut off", |s| s[..s.len() - 1].to_vec());
    changed("the first byte cut off", |s| s[1..].to_vec());
    changed("half of it", |s| s[..s.len() / 2].to_vec());
    changed("a zero before it", |s| [vec![0], s].concat());
    changed("a zero after it", |s| [s, vec![0]].concat());
    changed("twice", |s| [s.clone(), s].concat());
    changed("zeros", |s| vec![0; s.len()]);
    changed("ones", |s| vec![0xff; s.len()]);
    changed("first bit turned", |s| turned(s, 0, 0x80));
    changed("last bit turned", |s| {
        let last = s.len() - 1;
        turned(s, last, 1)
    });
    changed("a bit in the middle turned", |s| {
        let middle = s.len() / 2;
        turned(s, middle, 0x10)
    });
    changed("backwards", |s| s.into_iter().rev().collect());
    changed("a megabyte in a token of eight kilobytes' size", |s| s.iter().copied().cycle().take(4096).collect());

    // The signature of one token under another.
    let mut other = good_claims(algorithm);
    other["sub"] = json!("mallory");
    let signature = token.rsplit_once('.').expect("three segments").1;
    let moved = format!("{}.{signature}", input(&good_header(algorithm), &other));
    cases.refused(named("of another token"), moved, Reason::TokenSignature);
    let half = format!("{}.{signature}", token.split('.').next().expect("a header"));
    cases.refused(named("over the header alone"), half, Reason::TokenMalformed);

    // Another key of the same kind.
    let stranger = match key_of(algorithm) {
        Key::Secret(_) => Key::Secret((2..=65).collect()),
        Key::Ec(_) if algorithm == "ES384" => Key::p384(),
        Key::Ec(_) => Key::p256(),
        Key::Ed(_) => Key::ed25519(),
        Key::Rsa(_) => return,
    };
    let forged = signed(&stranger, algorithm, &good_header(algorithm), &good_claims(algorithm));
    cases.refused(named("of a stranger's key"), forged, Reason::TokenSignature);
}

fn turned(mut signature: Vec<u8>, at: usize, bit: u8) -> Vec<u8> {
    signature[at] ^= bit;
    signature
}

fn hmac(cases: &mut Cases, algorithm: &str) {
    let (header, claims) = (good_header(algorithm), good_claims(algorithm));
    let named = |name: &str| format!("{algorithm}: {name}");
    for (name, secret) in [
        ("an empty secret", Vec::new()),
        ("a secret cut by a byte", (1..=63).collect()),
        ("a secret one longer", (1..=65).collect()),
        ("the secret in base64url", base64url::encode(&(1..=64).collect::<Vec<u8>>()).into_bytes()),
        ("`secret`", b"secret".to_vec()),
        ("the issuer's name", b"https://all.example".to_vec()),
    ] {
        let forged = signed(&Key::Secret(secret), algorithm, &header, &claims);
        cases.refused(named(name), forged, Reason::TokenSignature);
    }
    for other in ["HS256", "HS384", "HS512"].into_iter().filter(|other| *other != algorithm) {
        let forged = signed(key_of(algorithm), other, &header, &claims);
        cases.refused(named(&format!("a tag of {other}")), forged, Reason::TokenSignature);
    }
    let hexadecimal =
        resigned(&good(algorithm), |tag| tag.iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect());
    cases.refused(named("the tag in hexadecimal"), hexadecimal, Reason::TokenSignature);
}

const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_ORDER: &str =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

fn ecdsa(cases: &mut Cases, algorithm: &str, order: &[u8]) {
    let size = order.len();
    let named = |name: &str| format!("{algorithm}: {name}");
    let number = |value: u8| [vec![0; size - 1], vec![value]].concat();
    let (zero, one, two) = (number(0), number(1), number(2));
    let (below, above) = (minus(order, &one), minus(order, &minus(&zero, &one)));
    let most = vec![0xff; size];
    let token = good(algorithm);
    let (input, signature) = token.rsplit_once('.').expect("three segments");
    let signature = base64url::decode(signature).expect("base64url");
    let (r, s) = signature.split_at(size);
    let with = |r: &[u8], s: &[u8]| format!("{input}.{}", base64url::encode(&[r, s].concat()));

    // It verifies, by the nature of ECDSA; that it is the same token to a revocation is shown elsewhere.
    cases.accepted(named("n - s"), with(r, &minus(order, s)));
    for (name, r, s) in [
        ("r = 0, s = 1", &zero[..], &one[..]),
        ("r = 1, s = 0", &one, &zero),
        ("r = 1, s = 1", &one, &one),
        ("r = 1, s = 2", &one, &two),
        ("r = 0", &zero, s),
        ("s = 0", r, &zero),
        ("r = 1", &one, s),
        ("s = 1", r, &one),
        ("r = n", order, s),
        ("s = n", r, order),
        ("r = n, s = n", order, order),
        ("r = n, s = 0", order, &zero),
        ("r = 0, s = n", &zero, order),
        ("r = n - 1", &below, s),
        ("s = n - 1", r, &below),
        ("r = n + 1", &above, s),
        ("s = n + 1", r, &above),
        ("r = n + 1, s = 1", &above, &one),
        ("r = n - 1, s = n - 1", &below, &below),
        ("r all ones", &most, s),
        ("s all ones", r, &most),
        ("n - r", &minus(order, r), s),
        ("n - r, n - s", &minus(order, r), &minus(order, s)),
        ("r and s exchanged", s, r),
        ("r twice", r, r),
        ("s twice", s, s),
        ("r with a zero before", &[&[0], r].concat(), s),
        ("both with a zero before", &[&[0], r].concat(), &[&[0], s].concat()),
        ("the format of a point before", &[&[4], r].concat(), s),
        ("r backwards", &r.iter().rev().copied().collect::<Vec<u8>>(), s),
        (
            "both backwards",
            &r.iter().rev().copied().collect::<Vec<u8>>(),
            &s.iter().rev().copied().collect::<Vec<u8>>(),
        ),
    ] {
        cases.refused(named(name), with(r, s), Reason::TokenSignature);
    }
    let encoded = der(r, s);
    let long = [&[0x30, 0x81, encoded[1]], &encoded[2..]].concat();
    let endless = [&[0x30, 0x80], &encoded[2..], &[0, 0]].concat();
    let negative = [&[0x30, 6, 2, 1, 0xff, 2, 1], &[1][..]].concat();
    for (name, bytes) in [
        ("DER", encoded.clone()),
        ("DER with a long length", long),
        ("BER without a length", endless),
        ("DER and a byte", [encoded.clone(), vec![0]].concat()),
        ("DER of a negative number", negative),
        ("DER of two zeros", vec![0x30, 6, 2, 1, 0, 2, 1, 0]),
    ] {
        cases.refused(named(name), resigned(&token, |_| bytes), Reason::TokenSignature);
    }
}

/// `a - b`, of the same length, the borrow dropped.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference = vec![0; a.len()];
    for at in (0..a.len()).rev() {
        let value = i16::from(a[at]) - i16::from(b[at]) - borrow;
        borrow = i16::from(value < 0);
        difference[at] = (value & 0xff) as u8;
    }
    difference
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |value: &[u8]| {
        let mut value: Vec<u8> = value.iter().copied().skip_while(|byte| *byte == 0).collect();
        if value[0] >= 0x80 {
            value.insert(0, 0);
        }
        [vec![2, value.len() as u8], value].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, body.len() as u8], body].concat()
}

/// The order of Ed25519's group, little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// Points of small order (RFC 8032 does not say whether they count), canonical and not.
pub(super) const SMALL: [&str; 10] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn eddsa(cases: &mut Cases) {
    let token = good("EdDSA");
    let (order, zero) = (hex(L), [0; 32]);
    let signature = base64url::decode(token.rsplit('.').next().expect("a signature")).expect("base64url");
    let (r, s) = signature.split_at(32);
    let mut with = |name: &str, r: &[u8], s: &[u8]| {
        let token = resigned(&token, |_| [r, s].concat());
        cases.refused(format!("EdDSA: {name}"), token, Reason::TokenSignature);
    };
    with("S + L", r, &plus(s, &order));
    with("S + 2 L", r, &plus(&plus(s, &order), &order));
    with("S = 0", r, &zero);
    with("S = L", r, &order);
    with("S with its highest bit", r, &turned(s.to_vec(), 31, 0x80));
    with("S with bit 253", r, &turned(s.to_vec(), 31, 0x20));
    with("R with its sign turned", &turned(r.to_vec(), 31, 0x80), s);
    with("R and S exchanged", s, r);
    with("R twice", r, r);
    with("R that is no point", &hex("0200000000000000000000000000000000000000000000000000000000000000"), s);
    with("R = p", &hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), s);
    for (at, point) in SMALL.iter().enumerate() {
        let point = hex(point);
        if point != zero {
            with(&format!("R of small order {at}, S = 0"), &point, &zero);
        }
        with(&format!("R of small order {at}"), &point, s);
    }
}

/// `a + b`, little-endian.
fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let sum = a.iter().zip(b).map(|(a, b)| {
        let value = u16::from(*a) + u16::from(*b) + carry;
        carry = value >> 8;
        value as u8
    });
    sum.collect()
}

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

fn fixed(cases: &mut Cases) {
    let fixed: Value = serde_json::from_str(FIXED).expect("JSON");
    for row in fixed["tokens"].as_array().expect("tokens") {
        let text = |name: &str| row[name].as_str().expect("a text");
        let name = text("name");
        // The same names stand for keys of this run elsewhere.
        let (algorithm, rest) = name.split_once(": ").expect("an algorithm");
        let name = format!("{algorithm}: fixed: {rest}");
        match &row["reason"] {
            Value::Null => cases.accepted(name, text("token")),
            reason => {
                assert_eq!(reason, "TokenSignature", "{name}");
                cases.refused(name, text("token"), Reason::TokenSignature);
            }
        }
    }
}
