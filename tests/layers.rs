//! A module imports only from lower layers; siblings on a layer do not import each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rooms and their layers; `lib.rs` lists the modules in the same order.
const LAYERS: &[(&str, u8)] = &[
    ("model", 0),
    ("config", 1),
    ("crypto", 1),
    ("store", 1),
    ("telemetry", 1),
    ("edge", 2),
    ("gate", 2),
    ("upstream", 3),
    ("admin", 4),
    ("proxy", 4),
    ("app", 5),
    ("cli", 6),
];

#[test]
fn every_import_points_down() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 20, "only {} sources found", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let room = room_of(&file);
        if room == "lib" || room == "main" {
            continue;
        }
        let Some(layer) = layers.get(room.as_str()) else {
            wrong.push(format!("{}: `{room}` has no layer; add it to LAYERS", file.display()));
            continue;
        };
        let text = std::fs::read_to_string(&file).expect("a source can be read");
        for (line, imported) in imports(&text) {
            let allowed = imported == room || layers.get(imported.as_str()).is_some_and(|below| below < layer);
            if !allowed {
                wrong.push(format!("{}:{line}: `{room}` imports `{imported}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn lib_lists_exactly_the_rooms_of_the_table() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    let mut listed: Vec<_> =
        text.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect();
    let mut table: Vec<_> = LAYERS.iter().map(|(room, _)| (*room).to_owned()).collect();
    listed.sort();
    table.sort();
    assert_eq!(listed, table);
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::gate::Permit;\nuse crate::{model::Denial, store::{Store, memory}, telemetry};\n// crate::cli is only talked of\nlet x = crate::edge::Drain::new();\n";
    let found: Vec<_> = imports(text).into_iter().map(|(line, room)| format!("{line} {room}")).collect();
    assert_eq!(found, ["1 gate", "2 model", "2 store", "2 telemetry", "4 edge"]);
}

pub(crate) fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn room_of(file: &Path) -> String {
    let below_src = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
    let first = below_src.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Line and room of every `crate::room`, groups taken apart.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code: String = text
        .lines()
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push((line, ident(rest))),
            Some(group) => {
                let (mut depth, mut at_start) = (0, true);
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => at_start = true,
                        c if at_start && depth == 0 && c.is_alphanumeric() => {
                            found.push((line, ident(&group[i..])));
                            at_start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn ident(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
