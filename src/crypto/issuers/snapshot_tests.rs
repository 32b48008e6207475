use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::crypto::testing::{P256, TestFile, jwks};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const ALLOWED: &[Algorithm] = &[Algorithm::ES256];

fn snapshot(path: PathBuf) -> Snapshot {
    Snapshot { path, issuer: "https://id.example.com".into(), url: "https://id.example.com/keys".to_owned() }
}

fn keys() -> KeySet {
    KeySet::from_jwks(jwks(&[P256.jwk("k1")]).as_bytes(), ALLOWED, false).unwrap()
}

/// A folder, and a snapshot in it that was written at `NOW`.
fn written() -> (tempfile::TempDir, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(folder.path().join("keys.json"));
    snapshot.write(keys().members(), NOW).unwrap();
    (folder, snapshot)
}

fn problem(snapshot: &Snapshot, now: Timestamp) -> String {
    snapshot.read(ALLOWED, now, HOUR).map(|_| ()).unwrap_err()
}

#[test]
fn what_was_written_is_read_until_it_is_too_old() {
    let (_folder, snapshot) = written();
    for age in [Duration::ZERO, HOUR - Duration::from_millis(1)] {
        let (set, fetched_at) = snapshot.read(ALLOWED, NOW.after(age), HOUR).unwrap().unwrap();
        assert_eq!((set.len(), fetched_at), (1, NOW));
        assert_eq!(set.members(), keys().members());
    }
    assert!(problem(&snapshot, NOW.after(HOUR)).contains("`max_age` is 3600s"));
}

#[test]
fn one_from_a_time_that_has_not_come_is_not_believed() {
    let (_folder, snapshot) = written();
    assert!(problem(&snapshot, Timestamp(NOW.0 - 1)).contains("has not come"));
}

#[test]
fn that_of_another_issuer_or_url_is_not_believed() {
    let (_folder, snapshot) = written();
    let other =
        Snapshot { issuer: "https://other.example".into(), url: snapshot.url.clone(), path: snapshot.path.clone() };
    assert!(problem(&other, NOW).contains("is of issuer `https://id.example.com`"), "{}", problem(&other, NOW));
    let other = Snapshot { url: "https://id.example.com/other".to_owned(), ..snapshot };
    assert!(problem(&other, NOW).contains("is of url `https://id.example.com/keys`"), "{}", problem(&other, NOW));
}

#[test]
fn a_damaged_one_is_a_problem_and_none_is_none() {
    let (_folder, snapshot) = written();
    let whole = fs::read_to_string(&snapshot.path).unwrap();
    let without = |name: &str| {
        let mut json: Value = serde_json::from_str(&whole).unwrap();
        json.as_object_mut().unwrap().remove(name);
        json.to_string()
    };
    let mut damaged: Vec<String> = (0..whole.len()).step_by(7).map(|end| whole[..end].to_owned()).collect();
    damaged.extend(["issuer", "url", "fetched_at", "keys"].map(without));
    damaged.push(whole.replace(&NOW.0.to_string(), "\"1\""));
    damaged.push(whole.replace(&NOW.0.to_string(), "-1"));
    damaged.push(format!("{whole}x"));
    damaged.push(format!("{whole}{}", " ".repeat(300 * 1024)));
    damaged.push(whole.replacen('{', "{\"fetched_at\":1,", 1));
    for text in damaged {
        fs::write(&snapshot.path, &text).unwrap();
        let problem = problem(&snapshot, NOW);
        assert!(problem.starts_with(&format!("`{}` ", snapshot.path.display())), "{problem}");
    }
    fs::write(&snapshot.path, &whole).unwrap();
    assert!(snapshot.read(ALLOWED, NOW, HOUR).unwrap().is_some());
    fs::remove_file(&snapshot.path).unwrap();
    assert!(snapshot.read(ALLOWED, NOW, HOUR).unwrap().is_none());
    fs::create_dir(&snapshot.path).unwrap();
    assert!(problem(&snapshot, NOW).contains("is not a file"));
}

#[test]
fn one_that_everybody_could_have_written_is_not_believed() {
    let (_folder, snapshot) = written();
    fs::set_permissions(&snapshot.path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(problem(&snapshot, NOW).contains("written by everybody"));
    fs::set_permissions(&snapshot.path, fs::Permissions::from_mode(0o660)).unwrap();
    assert!(snapshot.read(ALLOWED, NOW, HOUR).unwrap().is_some());
}

#[test]
fn it_is_the_owners_and_replaced_as_a_whole() {
    let (folder, snapshot) = written();
    assert_eq!(fs::metadata(&snapshot.path).unwrap().permissions().mode() & 0o777, 0o600);
    // Whoever has the old one open still has all of it.
    let mut old = File::open(&snapshot.path).unwrap();
    let later = NOW.after(HOUR);
    snapshot.write(keys().members(), later).unwrap();
    let mut text = String::new();
    old.read_to_string(&mut text).unwrap();
    assert!(text.contains(&NOW.0.to_string()));
    assert_eq!(snapshot.read(ALLOWED, later, HOUR).unwrap().unwrap().1, later);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn one_that_cannot_be_written_leaves_the_old_one_and_no_rubbish() {
    let folder = tempfile::tempdir().unwrap();
    // A folder where the file should be: the last step fails.
    let occupied = folder.path().join("keys.json");
    fs::create_dir(&occupied).unwrap();
    assert!(snapshot(occupied).write(keys().members(), NOW).unwrap_err().contains("keys.json"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(snapshot(folder.path().join("none/keys.json")).write(&[], NOW).is_err());
}

#[test]
fn only_what_verifies_is_written() {
    let mut jwk = P256.jwk("k1");
    jwk["x5c"] = json!(["AAAA"]);
    jwk["comment"] = json!("x");
    let set = KeySet::from_jwks(jwks(&[jwk, json!({"kty": "oct", "k": "AAAA"})]).as_bytes(), ALLOWED, false).unwrap();
    assert_eq!(set.members(), [P256.jwk("k1")]);
    // Of a file that may hold secrets, nothing.
    let file = TestFile::new(jwks(&[P256.jwk("k1")]));
    let private = KeySet::from_jwks(&fs::read(file.path()).unwrap(), ALLOWED, true).unwrap();
    assert!(private.members().is_empty());
}
