use super::*;
use crate::crypto::testing::TestFile;
use crate::model::SystemEntropy;

/// `htpasswd -nbB -C 4` of `correct horse`: as cheap as bcrypt can be.
const BCRYPT: &str = "$2y$04$RbCgvjyEiB1LyHF/v1mOHu4xJMKBvGFWY2Zu0Na/jFDTGf8z84r7G";
/// Made with argon2-cffi (the reference implementation) of `correct horse`, as cheap as argon2 can be.
const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$I27kvYYqMPgXkM2AVhFGJw$f+UHO9+yTYwdySYtPgbPExd7s+2VbgBuH2O8FgdES3g";
/// Made with argon2-cffi (the reference implementation) of `correct horse`.
const ARGON2: &str = "$argon2id$v=19$m=7168,t=5,p=1$wZ+kCcSi53N/A4O+bD1KNQ$2sKHsh4SazQV6nAQ0lV+1jLD/k6ADhYcBt/hC9YIPQQ";

fn read(content: &str) -> Result<(PasswordFile, Vec<String>), String> {
    read_both(content, None)
}

fn read_both(content: &str, groups: Option<&str>) -> Result<(PasswordFile, Vec<String>), String> {
    let (file, group_file) = (TestFile::new(content), groups.map(TestFile::new));
    let group_path = group_file.as_ref().map(TestFile::path);
    PasswordFile::read(&file.path(), group_path.as_deref(), &SystemEntropy).map_err(|problem| problem.to_string())
}

fn problem(content: &str) -> String {
    read(content).map(|_| ()).unwrap_err()
}

#[test]
fn the_right_password_of_a_known_user_is_right() {
    let (file, _) = read(&format!("# people\n\nalice:{BCRYPT}\r\nzoë:{CHEAP}  \n")).unwrap();
    for name in ["alice", "zoë"] {
        assert_eq!(file.check(name, b"correct horse").map(|user| &*user.name), Some(name));
        for wrong in [&b""[..], b"correct horse ", b"Correct horse", b"correct horse\0", b"correct", &[0xff]] {
            assert!(file.check(name, wrong).is_none(), "{wrong:?}");
        }
    }
    for unknown in ["", "bob", "Alice", "alice ", "alice:"] {
        assert!(file.check(unknown, b"correct horse").is_none(), "{unknown:?}");
    }
}

#[test]
fn f48_an_unknown_user_costs_what_a_known_one_does() {
    let work_of = |file: &PasswordFile, name: &str, password: &[u8]| {
        let before = file.work();
        file.check(name, password);
        file.work() - before
    };
    for hash in [BCRYPT, CHEAP] {
        let (file, _) = read(&format!("alice:{hash}\nbob:{hash}\n")).unwrap();
        let known = work_of(&file, "alice", b"wrong");
        assert!(known > 0);
        assert_eq!(work_of(&file, "alice", b"correct horse"), known);
        assert_eq!(work_of(&file, "alice", &[b'x'; 200]), known, "also one that is too long");
        for unknown in ["carol", "dave", "", "a"] {
            assert_eq!(work_of(&file, unknown, b"wrong"), known, "{unknown}");
        }
    }
    // Where users cost differently, so do unknown ones, each the same each time.
    let (file, _) = read(&format!("alice:{BCRYPT}\nbob:{CHEAP}\n")).unwrap();
    let costs = [work_of(&file, "alice", b""), work_of(&file, "bob", b"")];
    let of_unknown: Vec<u64> = (0..40).map(|n| work_of(&file, &format!("unknown-{n}"), b"")).collect();
    assert!(costs.iter().all(|cost| of_unknown.contains(cost)), "{of_unknown:?}");
    assert!(of_unknown.iter().all(|cost| costs.contains(cost)));
    assert_eq!(work_of(&file, "unknown-0", b""), of_unknown[0]);
}

#[test]
fn no_password_is_looked_at_in_part() {
    let long = "x".repeat(72);
    let hash = bcrypt::hash_with_salt(&long, 4, [1; 16]).unwrap().to_string();
    let (file, _) = read(&format!("alice:{hash}\n")).unwrap();
    assert!(file.check("alice", long.as_bytes()).is_some());
    assert!(file.check("alice", format!("{long}y").as_bytes()).is_none());
}

#[test]
fn every_other_hash_is_refused_with_its_place_and_the_command_that_makes_a_good_one() {
    for (hash, said) in [
        ("$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", "an MD5 hash (apr1)"),
        ("{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=", "a SHA-1 hash without salt"),
        ("{SSHA}dGVzdA==", "a SHA hash of one round"),
        ("$1$salt$qJH7.N4xYta3aEG/dfqo/0", "an MD5 hash (crypt)"),
        ("$5$salt$abc", "a SHA-256 hash (crypt)"),
        ("$6$salt$abc", "a SHA-512 hash (crypt)"),
        ("$2x$10$abc", "a hash of a broken bcrypt"),
        ("$argon2d$v=19$m=8,t=1,p=1$acVBtzmbAYcaAiwJE2DThQ$1796S4toeCsj/JzWuCTMKM", "an argon2d hash"),
        ("$scrypt$x", "a hash of another scheme"),
        ("rl.3StKT.4T8M", "a password in clear text or an old crypt hash"),
        ("hunter2hunter2", "a password in clear text or an old crypt hash"),
        ("", "a password in clear text or an old crypt hash"),
        ("$2y$10$short", "a bcrypt hash that is malformed"),
        (&BCRYPT.replace("$04$", "$15$"), "a bcrypt hash of cost 15"),
        (&BCRYPT.replace("$04$", "$31$"), "a bcrypt hash of cost 31"),
        (&BCRYPT.replace("$04$", "$03$"), "a bcrypt hash of cost 3"),
        (&format!("{BCRYPT}:x"), "a bcrypt hash that is malformed"),
        ("$argon2id$v=19$m=19456,t=2,p=1", "an argon2 hash that is malformed"),
        (&ARGON2.replace("v=19$", ""), "an argon2 hash that is malformed"),
        (&ARGON2.replace("v=19", "v=16"), "an argon2 hash that is malformed"),
        (&ARGON2.replace("m=7168", "m=65537"), "which takes too much"),
        (&ARGON2.replace("m=7168", "m=4294967295"), "which takes too much"),
        (&ARGON2.replace("t=5", "t=4294967295"), "which takes too much"),
        (&ARGON2.replace("t=5", "t=37"), "which takes too much"),
        (&ARGON2.replace("p=1", "p=17"), "which takes too much"),
        (&ARGON2.replace("p=1", "p=1,keyid=AAAA"), "an argon2 hash that is malformed"),
    ] {
        let text = problem(&format!("alice:{BCRYPT}\nbob:{hash}\n"));
        assert!(text.contains(said) && text.contains("file:2: user `bob` has"), "{hash}: {text}");
        assert!(text.contains("htpasswd -B -C 12 ") && text.ends_with(" bob"), "{text}");
        assert!(hash.len() < 8 || !text.contains(hash), "{text}");
    }
}

#[test]
fn cheap_hashes_are_warned_of() {
    let (_, warnings) = read(&format!("alice:{BCRYPT}\nbob:{ARGON2}\n")).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("file:1: user `alice` has a bcrypt hash of cost 4, at least 10 is wanted"));
    let cheap = ARGON2.replace("m=7168,t=5", "m=7168,t=4");
    let (_, warnings) = read(&format!("bob:{cheap}\n")).unwrap();
    assert!(warnings[0].contains("weaker than m=19456,t=2"), "{warnings:?}");
}

#[test]
fn what_is_no_file_of_users_is_refused_and_never_shown() {
    for (content, said) in [
        ("", "holds no user"),
        ("# nobody\n\n", "holds no user"),
        ("hunter2hunter2\n", "file:1: `user:hash` is wanted"),
        (&*format!(":{BCRYPT}\n"), "file:1: a user's name has 1 to 255 bytes"),
        (&format!("{}:{BCRYPT}\n", "a".repeat(256)), "a user's name has 1 to 255 bytes"),
        (&format!("a\tb:{BCRYPT}\n"), "control characters"),
        (&format!("a:{BCRYPT}\nb:{BCRYPT}\na:{BCRYPT}\n"), "file:3: user `a` stands there twice"),
    ] {
        let text = problem(content);
        assert!(text.contains(said) && !text.contains("hunter2"), "{content:?}: {text}");
    }
    let latin1 = TestFile::new(b"\xe9:x\n");
    let found = PasswordFile::read(&latin1.path(), None, &SystemEntropy).map(|_| ()).unwrap_err();
    assert!(found.to_string().contains("not valid UTF-8"));
    let missing = PasswordFile::read(Path::new("/nowhere/htpasswd"), None, &SystemEntropy).map(|_| ()).unwrap_err();
    assert!(missing.to_string().contains("`/nowhere/htpasswd` cannot be read"));
    let large = format!("a:{BCRYPT}\n{}", "#".repeat(LARGEST as usize));
    assert!(problem(&large).contains("is larger than 4 MiB"));
}

#[test]
fn groups_are_read_as_apache_reads_them() {
    let users = format!("alice:{BCRYPT}\nbob:{BCRYPT}\n");
    let groups = "# groups\nstaff: bob alice\nadmins:alice\nstaff: alice\nempty:\nothers: carol\n";
    let (file, warnings) = read_both(&users, Some(groups)).unwrap();
    let of = |name: &str| -> Vec<String> {
        file.users.get(name).unwrap().groups.iter().map(|group| group.to_string()).collect()
    };
    assert_eq!((of("alice"), of("bob")), (vec!["admins".to_owned(), "staff".to_owned()], vec!["staff".to_owned()]));
    assert!(warnings.iter().any(|warning| warning.contains("file:6: there is no user `carol`")), "{warnings:?}");
    for bad in ["staff alice", ": alice", "a b: alice", "a,b: alice"] {
        assert!(read_both(&users, Some(bad)).map(|_| ()).unwrap_err().contains("file:1: "), "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\PC{0,20}[:$]){0,6}\\PC{0,20}", hash in "\\$(2y|argon2id)\\$\\PC{0,60}") {
        let _ = read(&text);
        let _ = read(&format!("a:{hash}\n"));
    }
}
