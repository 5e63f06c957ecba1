//! Gates: files that nothing else would miss.

use std::fs;

use super::hold;
use super::source::{files, read, root, rust_files, short};

#[test]
fn every_query_file_is_used_and_explained() {
    let included: String = rust_files("src").iter().flat_map(|file| file.strings.clone()).collect();
    let mut violations = Vec::new();
    for path in files("src", "sql") {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.trim_end_matches(".sql");
        let is_used = included.contains(&name)
            || rust_files("src").iter().any(|file| file.strings.iter().any(|text| text == stem));
        if !is_used {
            violations.push(format!("{}: no code includes it", short(&path)));
        }
        let text = read(&path);
        let header: String = text
            .lines()
            .take_while(|line| line.starts_with("--"))
            .collect::<String>()
            .to_lowercase();
        for part in ["columns", "docs:"] {
            let alternative = if part == "docs:" { "source:" } else { part };
            if !header.contains(part) && !header.contains(alternative) {
                violations.push(format!("{}: the header says nothing about {part}", short(&path)));
            }
        }
        if !header.contains("since:") && !header.contains("minimum server version") {
            violations
                .push(format!("{}: the header names no minimum server version", short(&path)));
        }
    }
    hold(
        "a query that nobody runs rots unseen, and one without its columns and minimum version is \
         changed by guessing",
        &violations,
    );
}

#[test]
fn every_fuzz_target_has_a_corpus() {
    let mut violations = Vec::new();
    for target in files("fuzz/fuzz_targets", "rs") {
        let name = target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let corpus = root().join("fuzz/corpus").join(&name);
        let count = fs::read_dir(&corpus).into_iter().flatten().flatten().count();
        if count == 0 {
            violations.push(format!("{}: {} is empty", short(&target), short(&corpus)));
        }
    }
    hold(
        "a target without seeds spends its time on inputs that the first check refuses",
        &violations,
    );
}
