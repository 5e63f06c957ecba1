//! What the program says about itself: help, version, completions, man pages.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::run;

#[test]
fn help_goes_to_standard_error_and_the_tree_to_standard_output() {
    for arguments in [&["--help"][..], &["clone", "--help"], &["copy", "-h"], &["copy", "db", "-h"]]
    {
        let run = run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{arguments:?}");
        let path = arguments[..arguments.len() - 1]
            .iter()
            .fold("pgcopydb".to_owned(), |path, word| path + " " + word);
        assert!(run.stderr.starts_with(&format!("{path}: ")), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("\nusage: {path} ")), "{}", run.stderr);
    }
    let tree = run(&["help"]);
    assert_eq!((tree.code, tree.stderr.as_str()), (Some(0), ""));
    assert!(tree.stdout.contains("\n    clone "), "{}", tree.stdout);
    assert!(tree.stdout.contains("\n  + copy "), "{}", tree.stdout);
    assert!(tree.stdout.contains("\npgcopydb copy\n    db "), "{}", tree.stdout);
}

#[test]
fn version_has_three_lines_or_five_keys() {
    let text = run(&["version"]);
    assert_eq!(text.code, Some(0));
    let lines: Vec<&str> = text.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", text.stdout);
    assert_eq!(lines[0], format!("pgcopydb version {}", env!("CARGO_PKG_VERSION")));
    for same in [&["--version"][..], &["-V"], &["clone", "--version"], &["version", "--unknown"]] {
        let run = run(same);
        assert_eq!((run.code, &run.stdout), (Some(0), &text.stdout), "{same:?}");
    }
    for arguments in [&["version", "--json"][..], &["--json", "version"], &["version", "-J"]] {
        let document: Value = serde_json::from_str(&run(arguments).stdout).expect("valid JSON");
        let mut keys: Vec<&String> = document.as_object().expect("an object").keys().collect();
        keys.sort();
        let known = ["pg_major", "pg_version", "pg_version_num", "pg_version_str", "pgcopydb"];
        assert_eq!(keys, known, "{arguments:?}");
        assert!(document["pg_version_num"].is_u64());
    }
}

#[test]
fn groups_and_unknown_words_list_what_there_is() {
    for (arguments, first_line) in [
        (&[][..], "pgcopydb: expected a command"),
        (&["copy"], "pgcopydb copy: expected a command"),
        (&["clome"], "pgcopydb: clome: unknown command"),
        (&["copy", "tabel"], "pgcopydb copy: tabel: unknown command"),
        (&["list"], "pgcopydb list: expected a command"),
        (&["dump"], "pgcopydb dump: expected a command"),
        (&["restore", "all"], "pgcopydb restore: all: unknown command"),
        (&["help", "copy", "tabel"], "pgcopydb copy: tabel: unknown command"),
    ] {
        let run = run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(run.stderr.lines().next(), Some(first_line));
        assert!(run.stderr.contains("\nAvailable commands:\n"), "{}", run.stderr);
    }
}

#[test]
fn every_shell_has_a_completion_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = run(&["completions", shell]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        for word in ["table-data", "post-data", "--large-objects-jobs", "pgcopydb"] {
            let word = word.trim_start_matches("--");
            assert!(run.stdout.contains(word), "{shell}: {word}");
        }
    }
    let unknown = run(&["completions", "tcsh"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
}

#[test]
fn bash_accepts_the_completion_script() {
    let script = run(&["completions", "bash"]).stdout;
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), script).expect("the script");
    let bash = Command::new("bash").arg("-n").arg(file.path()).output().expect("bash");
    assert!(bash.status.success(), "{}", String::from_utf8_lossy(&bash.stderr));
}

#[test]
fn every_command_has_a_man_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("a/man1");
    let run = run(&["man", inner.to_str().expect("UTF-8")]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    for name in ["pgcopydb.1", "pgcopydb-clone.1", "pgcopydb-copy-table-data.1", "pgcopydb-list.1"]
    {
        let page =
            fs::read_to_string(inner.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".TH"), "{name}");
    }
}
