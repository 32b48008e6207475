//! Hostile files: nothing panics, nothing that a name says reaches a terminal, nothing of a key is shown.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::RootCertStore;
use rustls_pki_types::ServerName;

use super::*;
use crate::crypto::dev_authority::{DevAlgorithm, DevAuthority, DevSubject, DevTerms};
use crate::model::SystemEntropy;

fn terms() -> DevTerms<'static> {
    let validity = Duration::from_secs(90 * 86_400);
    DevTerms { now: SystemClock.now(), validity, algorithm: DevAlgorithm::P256, entropy: &SystemEntropy }
}

fn expected<'a>() -> Expected<'a> {
    Expected { now: SystemClock.now(), trusted: None, host: None, within: None }
}

fn problems_of(text: &[u8], expected: &Expected<'_>) -> Vec<&'static str> {
    let (_, problems) = look(&read::items(text).unwrap(), &[], expected);
    problems.into_iter().map(|problem| problem.problem).collect()
}

/// A root, an intermediate, an end entity for `localhost` and its key, all PEM.
fn world() -> [String; 4] {
    let (root, root_pair) = DevAuthority::root("root", true, terms()).unwrap();
    let (middle, middle_pair) = root.intermediate("middle", terms()).unwrap();
    let subject =
        DevSubject { common_name: "a".into(), dns: vec!["localhost".into()], server: true, ..DevSubject::default() };
    let end = middle.issue(&subject, terms()).unwrap();
    [root_pair.certificate_pem, middle_pair.certificate_pem, end.certificate_pem, end.key_pem.expose().clone()]
}

#[test]
fn each_problem_has_its_name() {
    let [root, middle, end, key] = world();
    let none: [&str; 0] = [];
    let all = |parts: &[&String]| parts.iter().map(|part| part.as_str()).collect::<String>();
    for (parts, wrong) in [
        (vec![&end, &middle], vec![]),
        (vec![&end, &middle, &key], vec![]),
        (vec![&root, &middle], vec![]),
        (vec![&middle, &end], vec!["order", "order"]),
        (vec![&end, &root], vec!["missing_intermediate", "superfluous_root"]),
        (vec![&end, &middle, &root], vec!["superfluous_root"]),
        (vec![&middle, &end, &key], vec!["order", "order", "order"]),
        (vec![&root, &key], vec!["key_mismatch", "leaf_is_ca"]),
    ] {
        assert_eq!(problems_of(all(&parts).as_bytes(), &expected()), wrong, "{}", all(&parts));
    }
    let good = all(&[&end, &middle]);
    let mut roots = RootCertStore::empty();
    let Some(Item::Certificate(der)) = read::items(root.as_bytes()).unwrap().pop() else { panic!("a certificate") };
    roots.add(der).unwrap();
    let trusted = Some((&roots, "ca.pem"));
    assert_eq!(problems_of(good.as_bytes(), &Expected { trusted, ..expected() }), none);
    assert_eq!(problems_of(end.as_bytes(), &Expected { trusted, ..expected() }), ["untrusted"]);
    let [_, other_middle, other_end, _] = world();
    let stranger = all(&[&other_end, &other_middle]);
    assert_eq!(problems_of(stranger.as_bytes(), &Expected { trusted, ..expected() }), ["untrusted"]);
    // The intermediate of another CA has the same name.
    assert_eq!(problems_of(all(&[&end, &other_middle]).as_bytes(), &expected()), ["wrong_issuer"]);
    for (host, wrong) in [("localhost", vec![]), ("other", vec!["host"])] {
        let name = ServerName::try_from(host).unwrap();
        assert_eq!(problems_of(good.as_bytes(), &Expected { host: Some((&name, host)), ..expected() }), wrong);
    }
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let now = SystemClock.now();
    assert_eq!(problems_of(end.as_bytes(), &Expected { now: now.after(days(91)), ..expected() }), ["expired"]);
    assert_eq!(problems_of(end.as_bytes(), &Expected { now: now.before(days(1)), ..expected() }), ["not_yet_valid"]);
    assert_eq!(problems_of(end.as_bytes(), &Expected { within: Some(days(91)), ..expected() }), ["expires_soon"]);
    assert_eq!(problems_of(end.as_bytes(), &Expected { within: Some(days(89)), ..expected() }), none);
}

#[test]
fn f63_a_name_that_moves_a_cursor_is_a_problem_and_is_escaped() {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "a\u{1b}[2J\u{202e}\u{9b}b");
    params.subject_alt_names = vec![SanType::URI("spiffe://a/\u{1b}]0;x".try_into().unwrap())];
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let (views, problems) = look(&read::items(made.pem().as_bytes()).unwrap(), &[], &expected());
    assert!(problems.iter().any(|problem| problem.problem == "unclean_name"), "{problems:?}");
    let Some(View::Certificate(view)) = views.first() else { panic!("a certificate") };
    for text in [&view.subject, &view.names.uris[0]] {
        let shown = names::shown(text);
        assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{shown:?}");
        assert!(shown.contains("\\u{1b}"), "{shown}");
    }
}

#[test]
fn nothing_of_a_private_key_is_told() {
    let [_, _, end, key] = world();
    let (views, _) = look(&read::items(format!("{end}{key}").as_bytes()).unwrap(), &[], &expected());
    let told = serde_json::to_string(&views).unwrap();
    let Some(Item::Key(der)) = read::items(key.as_bytes()).unwrap().pop() else { panic!("a key") };
    // PKCS#8 of P-256: the private scalar.
    let secret: String = der.secret_der()[36..68].iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(told.contains("ECDSA, P-256") && !told.contains(&secret) && !told.contains(&secret[..16]), "{told}");
}

#[test]
fn bytes_that_are_changed_cut_or_made_up_never_panic() {
    let [root, middle, end, key] = world();
    let (authority, _) = DevAuthority::root("root", false, terms()).unwrap();
    let list = authority.revocation_list(&[vec![1], vec![2, 3]], None, terms()).unwrap();
    let request = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let request = request.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let items = read::items(format!("{root}{middle}{end}{key}{list}{request}").as_bytes()).unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let mut read_anyway = 0;
    for item in &items {
        let der = match item {
            Item::Certificate(der) => der.to_vec(),
            Item::List(der) => der.to_vec(),
            Item::Request(der) => der.clone(),
            Item::Key(key) => key.secret_der().to_vec(),
            Item::EncryptedKey => continue,
        };
        let rebuilt = |bytes: Vec<u8>| match item {
            Item::Certificate(_) => Item::Certificate(bytes.into()),
            Item::List(_) => Item::List(bytes.into()),
            Item::Request(_) => Item::Request(bytes),
            _ => Item::Key(rustls_pki_types::PrivatePkcs8KeyDer::from(bytes).into()),
        };
        let mut variants: Vec<Vec<u8>> = (0..der.len()).step_by(3).map(|end| der[..end].to_vec()).collect();
        for _ in 0..600 {
            let mut bytes = der.clone();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                bytes[at] = u8::try_from(next(256)).unwrap();
            }
            variants.push(bytes);
        }
        for bytes in variants {
            let _ = read::items(&bytes);
            let (views, problems) = look(&[rebuilt(bytes), Item::Certificate(der.clone().into())], &[], &expected());
            read_anyway += usize::from(problems.is_empty());
            serde_json::to_string(&views).unwrap();
        }
    }
    assert!(read_anyway > 0, "some changes must leave something to look at");
}
