//! What can be said of the Dockerfile where no Docker engine is: its build steps are recipes of the Makefile, which the
//! other checks run, and what it names is there. That the image builds and runs is not shown here.

use std::path::Path;

use crate::harness::process::run;

const DOCKERFILE: &str = include_str!("../Dockerfile");
const MAKEFILE: &str = include_str!("../Makefile");
const MANIFEST: &str = include_str!("../Cargo.toml");

/// Instructions in order: their names, and what follows.
fn instructions() -> Vec<(&'static str, &'static str)> {
    let lines = DOCKERFILE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect()
}

fn all(name: &str) -> Vec<&'static str> {
    instructions().into_iter().filter(|(n, _)| *n == name).map(|(_, rest)| rest).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_instruction_is_unknown_to_these_tests() {
    let known = ["FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"];
    for (name, rest) in instructions() {
        assert!(known.contains(&name) && !rest.ends_with('\\'), "`{name} {rest}`");
    }
}

#[test]
fn every_step_of_the_build_is_a_recipe_of_the_makefile() {
    let steps = all("RUN");
    assert!(!steps.is_empty());
    for step in steps {
        let target = step.strip_prefix("make ").unwrap_or_else(|| panic!("`RUN {step}` is no recipe"));
        assert!(MAKEFILE.lines().any(|line| line.starts_with(&format!("{target}:"))), "`make {target}` is none");
    }
    assert_eq!(all("RUN"), ["make release"], "what is copied out of the build is what this makes");
}

#[test]
fn what_it_copies_is_there_and_is_all_that_the_build_reads() {
    let mut copied = Vec::new();
    for copy in all("COPY") {
        let words: Vec<&str> = copy.split_whitespace().collect();
        let (to, from) = words.split_last().expect("two words");
        assert!(!to.is_empty());
        match from {
            ["--from=build", built] => {
                let made = built.strip_prefix("/build/").expect("a path in the build");
                let is_output = made == "target/release/portcullis";
                assert!(is_output || copied.contains(&made), "`{made}` is neither made nor copied into the build");
            }
            sources => copied.extend(sources.iter().copied()),
        }
    }
    for source in &copied {
        assert!(repository().join(source).exists(), "there is no `{source}`");
    }
    // Cargo wants every target that the manifest names, and the compiler every file that a source includes.
    let paths = MANIFEST.lines().filter_map(|line| line.strip_prefix("path = "));
    let named = paths.map(|path| path.trim_matches('"')).chain(["Cargo.toml", "Cargo.lock", "Makefile", "src"]);
    for path in named {
        let top = path.split('/').next().unwrap_or_default();
        assert!(copied.contains(&top), "`{path}` is not copied");
    }
    for (file, included) in includes(&repository().join("src")) {
        let outside = file.parent().expect("a folder").join(&included).canonicalize().expect("it is there");
        let relative =
            outside.strip_prefix(repository().canonicalize().unwrap()).expect("within the repository").to_owned();
        let top = relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        assert!(copied.contains(&top.as_str()), "{} includes `{included}`, which is not copied", file.display());
    }
}

/// Files that sources include (but not those of unit tests' own macros).
fn includes(folder: &Path) -> Vec<(std::path::PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(includes(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            for part in
                text.split("include_").skip(1).filter(|p| p.starts_with("str!(\"") || p.starts_with("bytes!(\""))
            {
                found.push((path.clone(), part.split('"').nth(1).unwrap_or_default().to_owned()));
            }
        }
    }
    found
}

#[test]
fn it_builds_with_the_version_of_rust_that_the_manifest_names() {
    let version = MANIFEST.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version");
    assert!(all("FROM")[0].starts_with(&format!("rust:{}-", version.trim_matches('"'))), "{version}");
}

#[test]
fn it_runs_as_nobody_in_an_image_without_a_shell() {
    let last = instructions().into_iter().rposition(|(name, _)| name == "FROM").expect("a base");
    let (_, base) = instructions()[last];
    assert!(base.contains("distroless") && base.contains("nonroot"), "{base}");
    let users: Vec<_> = instructions().into_iter().skip(last).filter(|(name, _)| *name == "USER").collect();
    let [(_, user)] = users[..] else { panic!("one USER: {users:?}") };
    assert!(
        user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id >= 1000)),
        "Kubernetes checks numbers: {user}"
    );
}

#[test]
fn it_names_no_secret() {
    let text = DOCKERFILE.to_ascii_lowercase();
    for word in ["password", "secret", "token", "env ", "arg ", ".key", ".pem", "id_rsa", "begin private"] {
        let named = text.lines().any(|line| !line.starts_with('#') && line.contains(word));
        assert!(!named, "`{word}`");
    }
}

#[test]
fn the_verbs_that_it_calls_exist() {
    let listed =
        |text: &str| -> Vec<String> { serde_json::from_str(&text[text.find('[').expect("a list")..]).expect("JSON") };
    assert_eq!(listed(all("ENTRYPOINT")[0]), ["/usr/local/bin/portcullis"]);
    let health = listed(all("HEALTHCHECK")[0]);
    assert_eq!(health[0], "/usr/local/bin/portcullis");
    for verb in [&health[1..], &listed(all("CMD")[0])] {
        let mut arguments: Vec<&str> = verb.iter().map(String::as_str).collect();
        arguments.push("--help");
        run(repository(), &arguments).ok();
    }
}
