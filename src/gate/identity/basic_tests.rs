use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::crypto::digest::sha256_fields;
use crate::gate::credential::Presented;
use crate::gate::fixtures::{self, HeldClock};
use crate::gate::identity::Identities;
use crate::model::{Clock, SystemEntropy};

/// `alice` with the password `correct horse`, as cheap as bcrypt can be.
const ALICE: &str = "alice:$2y$04$RbCgvjyEiB1LyHF/v1mOHu4xJMKBvGFWY2Zu0Na/jFDTGf8z84r7G\n";
const WORK: u64 = 1 << 4;

fn passwords() -> Passwords {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("htpasswd"), ALICE).unwrap();
    let settings = BasicSettings {
        file: folder.path().join("htpasswd"),
        group_file: None,
        realm: "portcullis".into(),
        roles: vec!["b".into(), "a".into()],
        scopes: vec![],
        cache: Duration::from_secs(30),
    };
    Passwords::open(&settings, &SystemEntropy).unwrap()
}

struct Bench {
    clock: Arc<HeldClock>,
    passwords: Arc<Passwords>,
    identities: Identities,
}

impl Bench {
    fn new() -> Self {
        let (clock, passwords) = (HeldClock::at(Timestamp(1_000_000)), Arc::new(passwords()));
        let mut shared = Arc::into_inner(fixtures::shared(clock.clone())).unwrap();
        shared.passwords = Some(passwords.clone());
        let store = fixtures::store(clock.clone());
        let identities = Identities::new(&fixtures::settings(vec![]), Arc::new(shared), store);
        Self { clock, passwords, identities }
    }

    async fn login(&self, login: &str) -> Result<Arc<Verified>, Reason> {
        let (text, client) = (STANDARD.encode(login), fixtures::client("192.0.2.1"));
        let resolved = self.identities.resolve(Presented::Basic(&text), &client, self.clock.now()).await;
        resolved.map_err(|denial| denial.reason)
    }
}

#[tokio::test]
async fn a_password_is_hashed_once_for_all_who_ask_and_again_after_its_time() {
    let bench = Bench::new();
    let all = join_all((0..20).map(|_| bench.login("alice:correct horse"))).await;
    for one in all {
        let verified = one.unwrap();
        assert_eq!((&*verified.principal.issuer, &*verified.principal.subject), ("basic", "alice"));
        assert_eq!(verified.roles, [Arc::from("a"), Arc::from("b")]);
    }
    assert_eq!(bench.passwords.work(), WORK);
    bench.clock.advance(Duration::from_secs(29));
    assert!(bench.login("alice:correct horse").await.is_ok());
    assert_eq!(bench.passwords.work(), WORK);
    bench.clock.advance(Duration::from_secs(1));
    assert!(bench.login("alice:correct horse").await.is_ok());
    assert_eq!(bench.passwords.work(), 2 * WORK);
}

#[tokio::test]
async fn f48_a_wrong_password_and_an_unknown_user_cost_the_same_once_a_moment() {
    let bench = Bench::new();
    for (login, work) in
        [("alice:wrong", WORK), ("alice:wrong", WORK), ("bob:wrong", 2 * WORK), ("bob:wrong", 2 * WORK)]
    {
        assert_eq!(bench.login(login).await.unwrap_err(), Reason::PasswordWrong, "{login}");
        assert_eq!(bench.passwords.work(), work, "{login}");
    }
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.login("alice:wrong").await.unwrap_err(), Reason::PasswordWrong);
    assert_eq!(bench.passwords.work(), 3 * WORK);
    assert!(bench.login("alice:correct horse").await.is_ok(), "another's guess locks nobody out");
}

#[test]
fn nobody_can_try_out_what_the_cache_holds() {
    let (one, other) = (passwords(), passwords());
    let fields: [&[u8]; 3] = [b"basic", &[0; 8], b"YWxpY2U6Y29ycmVjdCBob3JzZQ=="];
    assert_eq!(one.key(&fields), one.key(&fields));
    assert_ne!(one.key(&fields), other.key(&fields), "each process has a key of its own");
    assert_ne!(one.key(&fields), sha256_fields(&fields));
}

#[tokio::test]
async fn the_key_of_the_cache_is_the_keyed_one() {
    let bench = Bench::new();
    let key = bench.identities.key(Presented::Basic("x"));
    assert_eq!(key, bench.passwords.key(&[b"basic", &0_u64.to_be_bytes(), b"x"]));
}

fn parsed(bytes: &[u8]) -> Option<(String, String)> {
    let login = Login::parse(&STANDARD.encode(bytes)).ok()?;
    login.parts().map(|(name, password)| (name.to_owned(), password.to_owned()))
}

#[test]
fn the_first_colon_ends_the_name() {
    let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
    assert_eq!(parsed(b"alice:secret"), pair("alice", "secret"));
    assert_eq!(parsed(b"alice:a:b:"), pair("alice", "a:b:"));
    assert_eq!(parsed(b"alice:"), pair("alice", ""));
    assert_eq!(parsed("zoë:pässwörd".as_bytes()), pair("zoë", "pässwörd"));
    for bad in [&b""[..], b"alice", b":secret", b"a\0b:c", b"a:b\nc", b"a:\x7f", b"a:\xff", "a:\u{85}".as_bytes()] {
        assert_eq!(parsed(bad), None, "{bad:?}");
    }
}

#[test]
fn only_one_text_means_one_login() {
    assert!(Login::parse("YTpi").is_ok() && Login::parse("YTpiYw==").is_ok());
    for bad in ["YTpiYw", "YTpiYw=", "YTpiYx==", "YTpi=", "YTp_", " YTpi", "YTpi\n", "YTpi YTpi"] {
        assert_eq!(Login::parse(bad).err().map(|d| d.reason), Some(Reason::CredentialMalformed), "{bad:?}");
    }
}

#[test]
fn f61_more_than_a_kibibyte_is_not_decoded() {
    let of = |length: usize| STANDARD.encode(format!("a:{}", "x".repeat(length)));
    assert!(Login::parse(&of(766)).is_ok());
    assert!(Login::parse(&of(767)).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}", bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
        let _ = Login::parse(&text);
        let _ = Login::parse(&STANDARD.encode(&bytes));
    }
}
