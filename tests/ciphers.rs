//! What may encrypt, and what is taken for encrypted.

use std::path::Path;

use serde_json::json;

use crate::harness::http::get;
use crate::harness::portcullis::{Portcullis, bearer};
use crate::harness::upstream::Upstream;

/// Ciphers that anybody can alter the text of, and the padding that tells when they have.
#[test]
fn f40_nothing_encrypts_without_authentication() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).expect("Cargo.lock");
    let packages: Vec<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(packages.contains(&"aws-lc-rs"), "{} packages", packages.len());
    for name in ["aes", "cbc", "cfb-mode", "ctr", "des", "ecb", "ige", "ofb", "openssl", "pcbc", "rc4"] {
        assert!(!packages.contains(&name), "{name} is a dependency");
    }
    let mut sources = Vec::new();
    crate::layers::sources(&root.join("src"), &mut sources);
    for file in sources {
        let text = std::fs::read_to_string(&file).expect("a source");
        for module in ["aws_lc_rs::cipher", "aws_lc_sys", "cipher::{", "PaddedBlock"] {
            assert!(!text.contains(module), "{} uses {module}: aws_lc_rs::aead is what is wanted", file.display());
        }
    }
}

/// A token that is encrypted is nothing that anybody here would decrypt, whatever its padding.
#[test]
fn f40_no_padding_is_told_from_another() {
    let upstream = Upstream::start();
    let portcullis = Portcullis::start(&format!(
        "[route]\napp = {{ match = \"/{{*rest}}\", accept = \"jwt\", upstream = \"{}\" }}",
        upstream.url()
    ));
    let encode = portcullis::crypto::base64url::encode;
    let mut answers = Vec::new();
    for last in 0..=16_u8 {
        let header = json!({"alg": "dir", "enc": "A128CBC-HS256"}).to_string();
        let text = [[7; 31].as_slice(), &[last]].concat();
        let token =
            format!("{}..{}.{}.{}", encode(header.as_bytes()), encode(&[0; 16]), encode(&text), encode(&[0; 16]));
        let answer = get(portcullis.address(), "/", &bearer(&token));
        answers.push((answer.status, answer.value("www-authenticate").map(str::to_owned)));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert!(upstream.received().is_empty());
}
