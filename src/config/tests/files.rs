//! Files, includes and `--set`.

use std::fs;

use super::*;
use crate::model::settings::StoreKind;

/// A directory with files, the first of which is read.
fn load_files(files: &[(&str, &str)], overrides: &[&str]) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let root = format!("{}/", directory.path().display());
    match load(&directory.path().join(files[0].0), &overrides) {
        Ok(loaded) => Ok(loaded),
        Err(found) => Err(found.to_string().replace(&root, "")),
    }
}

const MAIN: &str = "include = 'conf.d/*.toml'\nlistener.main.bind = '127.0.0.1:8080'\n[defaults]\nupstream = 'http://a'\naccept = 'session'\n";

#[test]
fn includes_merge_and_keep_their_places() {
    let files = [
        ("a.toml", MAIN),
        ("conf.d/1.toml", "[route.a]\nmatch = '/a'\n[listener.main.tls.certificates]\nchain = 'x'\nkey = 'y'\n"),
        ("conf.d/2.toml", "include = '../more.toml'\n[route.b]\nmatch = '/b'\n"),
        ("more.toml", "[route.c]\nmatch = '/c'\n"),
    ];
    let loaded = load_files(&files, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.settings.routes.len(), 3);
    assert_eq!(loaded.files.len(), 4);
    assert!(value(&loaded, "route.b.match").1.ends_with("conf.d/2.toml:3"));
    // Relative to the file that names it.
    let tls = loaded.settings.listeners[0].tls.as_ref().expect("TLS");
    assert!(tls.certificates[0].chain.ends_with("conf.d/x"), "{tls:?}");
}

#[test]
fn a_key_set_twice_names_both_places() {
    let files =
        [("a.toml", MAIN), ("conf.d/1.toml", "[route.a]\nmatch = '/a'\n"), ("conf.d/2.toml", "route.a.match = '/b'\n")];
    assert_eq!(
        load_files(&files, &[]).unwrap_err(),
        "error: `route.a.match` is set twice
  |
 --> conf.d/2.toml:1:9
  |
1 | route.a.match = '/b'
  |         ^^^^^
  |
 ::: conf.d/1.toml:2:1
  |
2 | match = '/a'
  | ----- set here first
  |
  = help: keep one of them

1 problem in the configuration"
    );
}

#[test]
fn problems_come_in_order_of_file_then_line() {
    let files = [
        ("a.toml", "include = ['b.toml', 'c.toml']\nlog.level = 'lod'\nlistener.main.bind = 'x'\n"),
        ("b.toml", "[route.a]\nmatch = 'x'\naccept = 'session'\nupstream = 'http://a'\n"),
        ("c.toml", "session.idle_timeout = 'x'\n"),
    ];
    let found = load_files(&files, &["log.access=maybe"]).unwrap_err();
    let places: Vec<&str> = found.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    assert_eq!(places, ["a.toml:2:13", "a.toml:3:22", "b.toml:2:9", "c.toml:1:24", "--set:1:12"], "{found}");
}

#[test]
fn what_cannot_be_read_is_said_without_guessing_further() {
    let said = |files: &[(&str, &str)]| load_files(files, &[]).unwrap_err();
    assert!(said(&[("a.toml", "include = 'none.toml'\n")]).contains("cannot read `none.toml`"));
    assert!(said(&[("a.toml", "include = 'a.toml'\n")]).contains("`a.toml` is included already"));
    let syntax = said(&[("a.toml", MAIN), ("conf.d/1.toml", "[route\n")]);
    assert!(syntax.contains("conf.d/1.toml:1") && syntax.contains("1 problem in"), "{syntax}");
    let missing = load(Path::new("/none/a.toml"), &[]).unwrap_err();
    assert_eq!((missing.problems[0].line, missing.problems[0].column), (1, 1));
    assert!(missing.to_string().contains("cannot read `/none/a.toml`"), "{missing}");
}

#[test]
fn secrets_come_from_files_without_their_last_newline() {
    let text = "listener.main.bind = '127.0.0.1:1'\nadmin = { bind = '127.0.0.1:2', token = { file = 'token' } }\n[route.a]\nmatch = '/'\naccept = 'session'\nupstream = 'http://a'\n";
    let with = |token: &str| load_files(&[("a.toml", text), ("token", token)], &[]);
    let loaded = with("0123456789abcdef\r\n").unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.settings.admin.tcp.expect("a token").token.matches(b"0123456789abcdef"));
    assert_eq!(loaded.files.len(), 2);
    assert!(with("\n").unwrap_err().contains("`admin.token` is empty"));
    assert!(with(&"x".repeat(70_000)).unwrap_err().contains("longer than"));
    assert!(load_files(&[("a.toml", text)], &[]).unwrap_err().contains("cannot read `token`"));
    assert!(load_files(&[("a.toml", text), ("token/x", "")], &[]).unwrap_err().contains("it is not a file"));
}

#[test]
fn set_replaces_one_value() {
    let text = format!("{BASE}{ROUTE}");
    let set = |overrides: &[&str]| read_with(&text, overrides).unwrap_or_else(|problems| panic!("{problems}"));
    let bind = |loaded: &Loaded| loaded.settings.listeners[0].bind.to_string();
    assert_eq!(bind(&set(&["listener.main.bind=127.0.0.1:1"])), "127.0.0.1:1");
    assert_eq!(bind(&set(&["listener.main.bind = \"[::1]:1\""])), "[::1]:1");
    assert_eq!(bind(&set(&["listener.main.bind=127.0.0.1:1", "listener.main.bind=127.0.0.1:2"])), "127.0.0.1:2");
    assert_eq!(set(&["server.workers=2"]).settings.server.workers, Some(2));
    assert_eq!(set(&["route.app.match=[\"/a\", \"/b\"]"]).settings.routes[0].matches.len(), 2);
    assert_eq!(set(&["limit.a={ rate = \"1/s\" }"]).settings.limits.len(), 1);
    assert_eq!(set(&["store.url=memory:x"]).settings.store.prefix, "pc:");
    let StoreKind::Memory { file } = set(&["store.url=memory:x"]).settings.store.kind else { panic!("memory") };
    assert_eq!(file.as_deref(), Some(Path::new("x")), "relative to the working directory");
}

#[test]
fn what_cannot_be_set_is_said() {
    let text = format!("{BASE}{ROUTE}");
    for (set, said, column) in [
        ("log.level", "`--set` wants PATH=VALUE", 1),
        ("=x", "`--set` wants PATH=VALUE", 1),
        ("include=x", "`include` cannot be set", 1),
        ("log.levl=x", "`log` has no key `levl`", 1),
        ("log.level=loud", "`loud` is no log level", 11),
        ("listener.main.bind.port=1", "`bind` is not a table, so nothing in it can be set", 1),
        ("server.workers=[1]", "expected a whole number or a string, found a list", 16),
    ] {
        let found = read_with(&text, &[set]).err().unwrap_or_else(|| panic!("good? {set}"));
        let first = &found.problems[0];
        assert_eq!((first.file.as_str(), first.line, first.message.as_str()), ("--set", 1, said), "{set}");
        assert_eq!(first.column, if set == "log.levl=x" { first.column } else { column }, "{set}");
    }
}
