//! Gate: modules import downwards only.
//!
//! The floors are read from the table in `src/lib.rs`, so the page that people read is what holds.

use std::collections::{BTreeMap, BTreeSet};

use super::hold;
use super::source::{RustFile, read, root, rust_files};

/// What a module must not use although its floor would allow it: module, forbidden, exceptions.
const FORBIDDEN: [(&str, &str, &[&str]); 11] = [
    ("plan", "connect", &[]),
    ("plan", "local", &[]),
    ("plan", "ledger", &[]),
    ("plan", "catalog", &["catalog::model"]),
    ("filter", "connect", &["connect::conninfo"]),
    ("filter", "local", &[]),
    ("filter", "ledger", &[]),
    ("filter", "catalog", &["catalog::model"]),
    ("config", "connect", &["connect::conninfo"]),
    ("job", "local", &["local::child", "local::workdir"]),
    ("job", "filter", &[]),
];

/// Cycles known and accepted, by the module they are in, each with its reason.
const KNOWN_CYCLES: [&str; 1] = [
    // `schema` prepares and `pass` decides when; both work on the state of one pass.
    "command::clone",
];

/// A use of one module by another.
struct Use {
    /// Module of the file, as path segments below `src`.
    from: Vec<String>,
    /// What is used, as path segments below `src`.
    to: Vec<String>,
    /// File, for the message.
    file: String,
}

#[test]
fn modules_import_downwards_only() {
    let floors = floors();
    let modules: BTreeSet<String> = top_modules();
    let mut violations: Vec<String> = modules
        .iter()
        .filter(|module| *module != "report" && !floors.contains_key(*module))
        .map(|module| format!("src/lib.rs: module {module} has no floor in the table"))
        .collect();
    for Use { from, to, file } in uses() {
        let (Some(from), Some(to)) = (from.first(), to.first()) else { continue };
        if from == to || !modules.contains(to) {
            continue;
        }
        let allowed = match (from.as_str(), to.as_str()) {
            ("report", to) => to == "base",
            (from, "report") => from == "cli",
            (from, to) => floors.get(to) < floors.get(from),
        };
        if !allowed {
            violations.push(format!("{file}: {from} must not use crate::{to}"));
        }
    }
    hold(
        "a module that looks up ties the floors together: nothing below can be understood, tested or \
         replaced alone any more (A3, src/lib.rs)",
        &violations,
    );
}

#[test]
fn pure_modules_stay_pure_and_jobs_ignore_each_other() {
    let mut violations = Vec::new();
    for Use { from, to, file } in uses() {
        let path = to.join("::");
        let is_below = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}::"));
        for (module, forbidden, exceptions) in FORBIDDEN {
            let excepted = exceptions.iter().any(|exception| is_below(exception));
            if from[0] == module && is_below(forbidden) && !excepted {
                violations.push(format!("{file}: {module} must not use crate::{path}"));
            }
        }
        let siblings = from.len() > 1 && to.len() > 1 && from[0] == "job" && to[0] == "job";
        if siblings && from[1] != to[1] && is_module(&["job", &to[1]]) {
            violations.push(format!("{file}: job {} must not use job {}", from[1], to[1]));
        }
    }
    for file in rust_files("src/plan").into_iter().chain(rust_files("src/filter")) {
        for word in ["async fn", ".await", "tokio::", "std::fs", "Instant::now", "SystemTime::now"]
        {
            if file.code.contains(word) {
                violations.push(format!("{}: {word} in a pure module", file.path.display()));
            }
        }
    }
    hold(
        "a plan that asks a server or the clock cannot be printed, compared or tested by value, and \
         a resumed run plans something else than the first one did (A5, A6)",
        &violations,
    );
}

#[test]
fn sibling_modules_form_no_cycle() {
    let mut edges: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for Use { from, to, .. } in uses() {
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) else { continue };
        let target: Vec<&str> = to[..=shared].iter().map(String::as_str).collect();
        if is_module(&target) {
            let graph = edges.entry(from[..shared].to_vec()).or_default();
            graph.entry(a.clone()).or_default().insert(b.clone());
        }
    }
    let cycles: BTreeMap<String, Vec<String>> = edges
        .iter()
        .filter_map(|(parent, graph)| Some((parent.join("::"), find_cycle(graph)?)))
        .collect();
    let mut violations: Vec<String> = cycles
        .iter()
        .filter(|(parent, _)| !KNOWN_CYCLES.contains(&parent.as_str()))
        .map(|(parent, cycle)| format!("crate::{parent}: {}", cycle.join(" -> ")))
        .collect();
    for known in KNOWN_CYCLES.iter().filter(|known| !cycles.contains_key(**known)) {
        violations
            .push(format!("crate::{known} has no cycle any more: strike it off KNOWN_CYCLES"));
    }
    hold(
        "modules in a cycle are one module in several files: none can be read or changed alone (A3)",
        &violations,
    );
}

/// Floors by module name, out of the table in `src/lib.rs`.
fn floors() -> BTreeMap<String, u32> {
    let mut floors = BTreeMap::new();
    for line in read(&root().join("src/lib.rs")).lines() {
        let cells: Vec<&str> = line.trim_start_matches("//!").split('|').map(str::trim).collect();
        let Some(floor) = cells.get(1).and_then(|cell| cell.parse().ok()) else { continue };
        for name in cells.get(2).unwrap_or(&"").split("[`").skip(1) {
            floors.insert(name.split('`').next().unwrap_or_default().to_owned(), floor);
        }
    }
    assert!(floors.len() >= 10, "the table of floors in src/lib.rs cannot be read: {floors:?}");
    floors
}

/// Modules that `src/lib.rs` declares.
fn top_modules() -> BTreeSet<String> {
    let text = read(&root().join("src/lib.rs"));
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// Whether a path below `src` is a module with a file.
fn is_module(path: &[&str]) -> bool {
    let base = root().join("src").join(path.join("/"));
    base.with_extension("rs").is_file() || base.join("mod.rs").is_file()
}

/// All uses in the crate's library.
fn uses() -> Vec<Use> {
    let files: Vec<RustFile> = rust_files("src");
    let inner = files.iter().filter(|file| {
        let name = file.path.to_string_lossy();
        name != "src/lib.rs" && name != "src/main.rs"
    });
    inner.flat_map(uses_of).collect()
}

/// Uses in one file: paths that begin with `crate::` or `super::`.
fn uses_of(file: &RustFile) -> Vec<Use> {
    let from = module_of(file);
    let mut uses = Vec::new();
    let mut add = |to: Vec<String>| {
        uses.push(Use { from: from.clone(), to, file: file.path.display().to_string() });
    };
    for (start, _) in file.code.match_indices("crate::") {
        if is_word_start(&file.code, start) {
            paths(&file.code[start + "crate::".len()..]).into_iter().for_each(&mut add);
        }
    }
    for (start, _) in file.code.match_indices("super::") {
        if !is_word_start(&file.code, start) {
            continue;
        }
        let mut rest = &file.code[start..];
        let mut base = from.clone();
        while let Some(next) = rest.strip_prefix("super::") {
            base.pop();
            rest = next;
        }
        for path in paths(rest) {
            add(base.iter().cloned().chain(path).collect());
        }
    }
    uses
}

/// Whether nothing in front of `start` continues the word or path.
fn is_word_start(code: &str, start: usize) -> bool {
    !code[..start]
        .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
}

/// Module of a file as path segments.
fn module_of(file: &RustFile) -> Vec<String> {
    let path = file.path.with_extension("");
    let mut segments: Vec<String> =
        path.iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
    if segments.last().is_some_and(|last| last == "mod") {
        segments.pop();
    }
    segments
}

/// The paths at the start of `text`: one, or all of a group in braces.
fn paths(text: &str) -> Vec<Vec<String>> {
    if let Some(group) = text.strip_prefix('{') {
        return split_group(group).into_iter().flat_map(|part| paths(part.trim())).collect();
    }
    let end = text
        .find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    let (head, rest) = text.split_at(end);
    if head.is_empty() {
        return Vec::new();
    }
    let mut tails = rest.strip_prefix("::").map(paths).unwrap_or_default();
    if tails.is_empty() {
        tails.push(Vec::new());
    }
    tails.into_iter().map(|tail| [vec![head.to_owned()], tail].concat()).collect()
}

/// The parts of a group after its opening brace, split at commas of its own level.
fn split_group(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&text[start..index]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts
}

/// A cycle in a graph, as the names along it.
fn find_cycle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    graph.keys().find_map(|start| {
        let mut trail = vec![start.clone()];
        let mut seen = BTreeSet::new();
        walk(graph, start, &mut trail, &mut seen).then_some(trail)
    })
}

/// Extends `trail` until it comes back to `start`.
fn walk(
    graph: &BTreeMap<String, BTreeSet<String>>,
    start: &str,
    trail: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    let here = trail[trail.len() - 1].clone();
    for next in graph.get(&here).into_iter().flatten() {
        if next == start {
            trail.push(next.clone());
            return true;
        }
        if seen.insert(next.clone()) {
            trail.push(next.clone());
            if walk(graph, start, trail, seen) {
                return true;
            }
            trail.pop();
        }
    }
    false
}

#[test]
fn groups_of_paths_are_expanded() {
    let found: Vec<String> = paths("{base::error::{Error, Result}, plan}; x")
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(found, ["base::error::Error", "base::error::Result", "plan"]);
}

#[test]
fn cycles_are_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry((*from).into()).or_default().insert((*to).into());
        }
        graph
    };
    assert_eq!(find_cycle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert!(find_cycle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])).is_some());
}
