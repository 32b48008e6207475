use crate::harness::process::{folder, run};

#[test]
fn version_and_help_are_answers_and_bad_usage_is_not() {
    let (_guard, here) = folder("");
    assert_eq!(run(&here, &["--version"]).ok(), format!("portcullis {}\n", env!("CARGO_PKG_VERSION")));
    assert!(run(&here, &["--help"]).ok().contains("tokens"));
    run(&here, &[]).failed(2, &["Usage"]);
    run(&here, &["fly"]).failed(2, &["unrecognized subcommand 'fly'"]);
    run(&here, &["keys", "create"]).failed(2, &["--subject"]);
    run(&here, &["keys", "create", "--subject", "x", "--expires-in", "soon"])
        .failed(2, &["`90s`, `15m`, `12h` or `30d`"]);
}

#[test]
fn completions_are_made_for_every_shell() {
    let (_guard, here) = folder("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&here, &["completions", shell]).ok().contains("portcullis"), "{shell}");
    }
}

#[test]
fn the_schema_is_json() {
    let (_guard, here) = folder("");
    let schema = run(&here, &["schema"]).json();
    assert!(schema.pointer("/properties/listener").is_some(), "{schema:#}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (_guard, here) = folder("");
    let mut child = crate::harness::process::portcullis(&here)
        .args(["completions", "zsh"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}
