//! One token, one text: whatever else might mean the same bytes is refused.

use portcullis::crypto::base64url;
use portcullis::model::denial::Reason;

use super::world::P256;
use super::{Cases, good, good_claims, good_header};

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn add(cases: &mut Cases) {
    segments(cases);
    characters(cases);
    spare_bits(cases);
}

fn segments(cases: &mut Cases) {
    let token = good("ES256");
    let [h, c, s] = parts(&token);
    for (name, text) in [
        ("nothing", String::new()),
        ("one dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("three dots", "...".to_owned()),
        ("four dots", "....".to_owned()),
        ("the header alone", h.clone()),
        ("header and claims", format!("{h}.{c}")),
        ("no header", format!(".{c}.{s}")),
        ("no claims", format!("{h}..{s}")),
        ("claims and signature", format!("{c}.{s}")),
        ("only a signature", format!("..{s}")),
        ("a dot after it", format!("{token}.")),
        ("a dot before it", format!(".{token}")),
        ("two dots within", format!("{h}..{c}.{s}")),
        ("a fourth segment", format!("{token}.AA")),
        ("the signature twice", format!("{token}.{s}")),
        ("the claims twice", format!("{h}.{c}.{c}.{s}")),
        ("five segments", format!("{h}.{c}.{s}.{c}.{s}")),
        (
            "an encrypted token",
            "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        ),
        ("two tokens", format!("{token}.{token}")),
        ("two tokens and a comma", format!("{token},{token}")),
        ("header and claims exchanged", format!("{c}.{h}.{s}")),
        ("JSON serialization", format!("{{\"protected\":\"{h}\",\"payload\":\"{c}\",\"signature\":\"{s}\"}}")),
        ("header not encoded", format!("{{\"alg\":\"ES256\"}}.{c}.{s}")),
        ("not an object", format!("W10.{c}.{s}")),
        ("header that is null", format!("bnVsbA.{c}.{s}")),
        ("header that is a number", format!("MQ.{c}.{s}")),
        ("header that is a text", format!("IkVTMjU2Ig.{c}.{s}")),
    ] {
        cases.refused(format!("segments: {name}"), text, Reason::TokenMalformed);
    }
}

fn characters(cases: &mut Cases) {
    let token = good("ES256");
    let [h, c, s] = parts(&token);
    for odd in [
        "=", "==", "===", " ", "\t", "\n", "\r\n", "\u{b}", "\u{c}", "\0", "\u{a0}", "\u{200b}", "\u{feff}", "+", "/",
        ",", "~", "!", "%3D", "\"", "é",
    ] {
        for (place, text) in [
            ("after the header", format!("{h}{odd}.{c}.{s}")),
            ("after the claims", format!("{h}.{c}{odd}.{s}")),
            ("after the signature", format!("{h}.{c}.{s}{odd}")),
            ("before the header", format!("{odd}{h}.{c}.{s}")),
            ("before the claims", format!("{h}.{odd}{c}.{s}")),
            ("before the signature", format!("{h}.{c}.{odd}{s}")),
            ("within the signature", format!("{h}.{c}.{}{odd}{}", &s[..10], &s[10..])),
        ] {
            cases.refused(format!("{odd:?} {place}"), text, Reason::TokenMalformed);
        }
    }
    // The other alphabet, of a signature that has such a character.
    let standard = (0..).map(|_| good("ES256")).find(|token| {
        let signature = token.rsplit('.').next().expect("a signature");
        signature.contains('-') && signature.contains('_')
    });
    let [h, c, s] = parts(&standard.expect("there is one"));
    cases.refused(
        "the alphabet of plain base64",
        format!("{h}.{c}.{}", s.replace('-', "+").replace('_', "/")),
        Reason::TokenMalformed,
    );
    cases.refused(
        "the alphabet of plain base64, half",
        format!("{h}.{c}.{}", s.replace('-', "+")),
        Reason::TokenMalformed,
    );
    for (name, text) in [
        ("quoted", format!("\"{token}\"")),
        ("with its scheme", format!("Bearer {token}")),
        ("in angle brackets", format!("<{token}>")),
        ("its dots escaped", token.replace('.', "%2E")),
        ("its dots full width", token.replace('.', "．")),
        ("in capitals", token.to_uppercase().replace('.', ".-")),
    ] {
        cases.refused(format!("a token {name}"), text, Reason::TokenMalformed);
    }
}

/// Bits that are left over where the number of bytes is no multiple of three.
fn spare_bits(cases: &mut Cases) {
    for (algorithm, spare) in [("ES256", 4), ("HS256", 2), ("RS256", 4), ("EdDSA", 4), ("HS512", 4)] {
        let token = good(algorithm);
        for bits in 1..1 << spare {
            let name = format!("{algorithm}: {bits} in the bits left over of the signature");
            cases.refused(name, with_spare_bits(&token, bits), Reason::TokenMalformed);
        }
    }
    // The same in header and claims, and the signature is right over that very text.
    for (what, at) in [("header", 0), ("claims", 1)] {
        for bits in 1..4 {
            let (mut header, mut claims) = (good_header("ES256").to_string(), good_claims("ES256").to_string());
            let text = if at == 0 { &mut header } else { &mut claims };
            while text.len() % 3 != 2 {
                text.push(' ');
            }
            let mut segments = [base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes())];
            segments[at] = with_spare_bits(&segments[at], bits);
            let token = rightly_signed(&segments.join("."));
            cases.refused(format!("{bits} in the bits left over of the {what}"), token, Reason::TokenMalformed);
        }
    }
    // A right signature over padded segments.
    let pad = |text: &str| format!("{text}{}", &"=="[..(4 - text.len() % 4) % 4]);
    let (header, claims) = (good_header("ES256").to_string() + " ", good_claims("ES256").to_string() + "  ");
    for (name, header, claims) in [
        ("padded header", pad(&base64url::encode(header.as_bytes())), base64url::encode(claims.as_bytes())),
        ("padded claims", base64url::encode(header.as_bytes()), pad(&base64url::encode((claims + " ").as_bytes()))),
    ] {
        if header.contains('=') || claims.contains('=') {
            cases.refused(name, rightly_signed(&format!("{header}.{claims}")), Reason::TokenMalformed);
        }
    }
}

fn with_spare_bits(text: &str, bits: usize) -> String {
    let (front, last) = text.split_at(text.len() - 1);
    let at = ALPHABET.find(last).expect("a character of base64url");
    format!("{front}{}", &ALPHABET[at ^ bits..][..1])
}

/// A token whose signature is right over exactly this text.
fn rightly_signed(input: &str) -> String {
    format!("{input}.{}", base64url::encode(&P256.sign("ES256", input.as_bytes())))
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("three segments")
}
