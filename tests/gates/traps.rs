//! Gate: what `docs/traps.md` says is tested has a test, and tests name traps that exist.
//!
//! Every test that the page names as `path::name` must exist. A row of that page is `| id | … |`; it claims a test when one of its cells is `tested`, or begins
//! with that word. A test names its traps in a line `// trap V-1` (or `// trap V-1, V-2: why`)
//! directly above its attribute, or above the assertion that is about it.

use std::collections::BTreeSet;

use super::hold;
use super::source::{files, read, root, short};

/// Folders whose tests count.
const FOLDERS: [&str; 4] = ["src", "proto", "tests", "fuzz"];

/// How many traps each kind has; the specification's own count.
const KINDS: [(char, u32); 7] =
    [('S', 25), ('V', 33), ('T', 27), ('D', 43), ('P', 15), ('C', 60), ('X', 29)];

#[test]
fn tests_and_the_page_of_traps_agree() {
    let (named, mut violations) = named();
    let page = root().join("docs/traps.md");
    if page.is_file() {
        for line in read(&page).lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let Some(id) = cells.get(1).filter(|id| is_trap(id)) else { continue };
            for test in cells.iter().flat_map(|cell| named_tests(cell)) {
                violations
                    .extend(missing_test(test).map(|why| format!("docs/traps.md: {id}: {why}")));
            }
            let claims =
                cells.iter().skip(2).any(|cell| *cell == "tested" || cell.starts_with("tested "));
            if claims && !named.contains(*id) {
                violations.push(format!("docs/traps.md: {id} is called tested, no test names it"));
            }
        }
    }
    hold(
        "a page that claims tests which do not exist lets a known trap come back unnoticed",
        &violations,
    );
}

/// Tests that a cell names: words in backquotes of the form `path::name`.
fn named_tests(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split('`').filter_map(|word| word.split_once(".rs::"))
}

/// Why a named test does not exist.
fn missing_test((stem, name): (&str, &str)) -> Option<String> {
    let path = root().join(format!("{stem}.rs"));
    if !path.is_file() {
        return Some(format!("there is no file {stem}.rs"));
    }
    let text = read(&path);
    let name = name.rsplit("::").next().unwrap_or(name);
    let exists = text.contains(&format!("fn {name}("));
    (!exists).then(|| format!("{stem}.rs has no test {name}"))
}

/// Traps named by tests, and lines that name them wrongly.
fn named() -> (BTreeSet<String>, Vec<String>) {
    let (mut named, mut violations) = (BTreeSet::new(), Vec::new());
    for path in FOLDERS.iter().flat_map(|folder| files(folder, "rs")) {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(ids) = line.strip_prefix("// trap ") else { continue };
            let place = format!("{}:{}", short(&path), index + 1);
            if !text.contains("#[test]") && !text.contains("#[tokio::test") {
                violations.push(format!("{place}: no test in this file"));
            }
            let ids = ids.split(':').next().unwrap_or_default();
            for id in ids.split([',', ' ']).filter(|id| !id.is_empty()) {
                if !is_trap(id) {
                    violations.push(format!("{place}: there is no trap \"{id}\""));
                }
                named.insert(id.to_owned());
            }
        }
    }
    (named, violations)
}

/// Whether this is the name of a trap.
fn is_trap(id: &str) -> bool {
    let Some((kind, number)) = id.split_once('-') else { return false };
    let number: u32 = number.parse().unwrap_or(0);
    KINDS.iter().any(|(name, count)| *kind == name.to_string() && (1..=*count).contains(&number))
}

#[test]
fn names_of_traps_are_told_from_other_words() {
    assert!(is_trap("S-1") && is_trap("D-43") && is_trap("X-29"));
    assert!(!is_trap("S-26") && !is_trap("V-0") && !is_trap("A-4") && !is_trap("V1"));
}
