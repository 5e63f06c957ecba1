//! Gates: the wire crate does no I/O; only `cli` and `report` touch the process around them.

use std::process::Command;

use super::hold;
use super::source::{root, rust_files};

/// Crates that bring sockets or a runtime.
const FORBIDDEN_CRATES: [&str; 8] =
    ["tokio", "mio", "socket2", "async-std", "smol", "polling", "hyper", "rustls"];

/// Words that only `cli` and `report` may use, and why.
const FORBIDDEN_WORDS: [&str; 9] = [
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "std::env::",
    "std::process::exit",
    "process::exit(",
    "io::stdout",
    "io::stderr",
];

/// Constants of the compiler that look like the environment but are not.
const HARMLESS: &str = "std::env::consts";

#[test]
fn wire_crate_depends_on_no_runtime_and_no_socket() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "pgcopydb-proto", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo tree can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(tree.starts_with("pgcopydb-proto "), "{tree}");
    let violations: Vec<String> = tree
        .lines()
        .filter(|line| FORBIDDEN_CRATES.contains(&line.split(' ').next().unwrap_or_default()))
        .map(|line| format!("pgcopydb-proto depends on {line}"))
        .collect();
    hold(
        "a wire crate that can do I/O can no longer be fuzzed, replayed and tested byte by byte (A1)",
        &violations,
    );
}

#[test]
fn wire_crate_does_no_io() {
    let mut violations = Vec::new();
    for file in rust_files("proto/src") {
        for word in [
            "std::net",
            "std::fs",
            "std::io::Read",
            "std::io::Write",
            "Instant::now",
            "SystemTime",
            "std::thread",
        ] {
            if file.code.contains(word) {
                violations.push(format!("{}: {word}", file.path.display()));
            }
        }
    }
    hold("time and bytes must arrive as arguments, or a test cannot choose them (A1)", &violations);
}

#[test]
fn only_cli_and_report_touch_the_process() {
    let mut violations = Vec::new();
    for file in rust_files("src").into_iter().chain(rust_files("proto/src")) {
        let path = file.path.to_string_lossy().into_owned();
        if ["src/cli/", "src/report/", "src/main.rs"].iter().any(|own| path.starts_with(own)) {
            continue;
        }
        let code = file.code.replace(HARMLESS, "");
        for word in FORBIDDEN_WORDS.iter().filter(|word| has_word(&code, word)) {
            violations.push(format!("{path}: {word}"));
        }
    }
    hold(
        "what reads the environment or prints by itself cannot be tested in one process, and its \
         output tears the display or ends up in a pipe that expects data (A4)",
        &violations,
    );
}

/// Whether `word` occurs with nothing in front that would make it another word.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(start, _)| {
        !code[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
}
