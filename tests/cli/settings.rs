//! Options, variables and defaults, and what they add up to.

use std::path::Path;

use serde_json::Value;

use crate::support::{ENDS, clone_with, run, run_with, settings};

#[test]
fn option_wins_over_variable_and_variable_over_default() {
    let variables = [
        ("PGCOPYDB_TABLE_JOBS", "7"),
        ("PGCOPYDB_INDEX_JOBS", "9"),
        ("PGCOPYDB_SKIP_VACUUM", "on"),
        ("PGCOPYDB_SKIP_ANALYZE", "off"),
        ("PGCOPYDB_DROP_IF_EXISTS", "T"),
        ("PGCOPYDB_SKIP_CTID_SPLIT", ""),
        ("TMPDIR", "/var/tmp"),
    ];
    let setting = settings(&["--table-jobs", "3", "--fail-fast"], &variables);
    let expected = [
        ("table-jobs", "3", "option"),
        ("index-jobs", "9", "PGCOPYDB_INDEX_JOBS"),
        ("restore-jobs", "9", "default"),
        ("large-objects-jobs", "4", "default"),
        ("skip-vacuum", "on", "PGCOPYDB_SKIP_VACUUM"),
        ("skip-analyze", "off", "PGCOPYDB_SKIP_ANALYZE"),
        ("drop-if-exists", "on", "PGCOPYDB_DROP_IF_EXISTS"),
        ("skip-split-by-ctid", "off", "default"),
        ("fail-fast", "on", "option"),
        ("split-tables-larger-than", "auto", "default"),
        ("dir", "/var/tmp/pgcopydb", "TMPDIR"),
    ];
    for (name, value, from) in expected {
        assert_eq!(setting(name), (value.to_owned(), from.to_owned()), "{name}");
    }
}

#[test]
fn every_boolean_variable_works() {
    for (variable, name) in [
        ("PGCOPYDB_ESTIMATE_TABLE_SIZES", "estimate-table-sizes"),
        ("PGCOPYDB_DROP_IF_EXISTS", "drop-if-exists"),
        ("PGCOPYDB_FAIL_FAST", "fail-fast"),
        ("PGCOPYDB_SKIP_VACUUM", "skip-vacuum"),
        ("PGCOPYDB_SKIP_ANALYZE", "skip-analyze"),
        ("PGCOPYDB_SKIP_DB_PROPERTIES", "skip-db-properties"),
        ("PGCOPYDB_SKIP_CTID_SPLIT", "skip-split-by-ctid"),
        ("PGCOPYDB_SKIP_TABLESPACES", "no-tablespaces"),
        ("PGCOPYDB_USE_COPY_BINARY", "use-copy-binary"),
    ] {
        for (text, value) in [("yes", "on"), ("N", "off")] {
            let setting = settings(&[], &[(variable, text)]);
            assert_eq!(setting(name), (value.to_owned(), variable.to_owned()));
        }
    }
}

#[test]
fn short_letters_aliases_and_prefixes_mean_the_same_option() {
    for (options, name, value) in [
        (&["-J", "8"][..], "table-jobs", "8"),
        (&["--jobs", "8"], "table-jobs", "8"),
        (&["--table-j=8"], "table-jobs", "8"),
        (&["--jobs", "2", "--table-jobs", "8"], "table-jobs", "8"),
        (&["-I", "8"], "index-jobs", "8"),
        (&["-j8"], "restore-jobs", "8"),
        (&["-b", "8"], "large-objects-jobs", "8"),
        (&["--large-object-jobs", "8"], "large-objects-jobs", "8"),
        (&["-L", "10 GB"], "split-tables-larger-than", "10 GB"),
        (&["--split-at", "0"], "split-tables-larger-than", "0"),
        (&["--split-t", "10GB"], "split-tables-larger-than", "10 GB"),
        (&["-u", "8"], "split-max-parts", "8"),
        (&["-D", "/x"], "dir", "/x"),
        (&["-N", "0-1"], "snapshot", "0-1"),
        (&["--skip-blobs"], "skip-large-objects", "on"),
        (&["--skip-ext-comment"], "skip-ext-comments", "on"),
        (&["--skip-col"], "skip-collations", "on"),
        (&["--no-own", "-x"], "no-owner", "on"),
    ] {
        assert_eq!(settings(options, &[])(name).0, value, "{options:?}");
    }
    let letters = [
        ("-m", "estimate-table-sizes"),
        ("-c", "drop-if-exists"),
        ("-A", "roles"),
        ("-P", "no-role-passwords"),
        ("-O", "no-owner"),
        ("-x", "no-acl"),
        ("-X", "no-comments"),
        ("-y", "no-tablespaces"),
        ("-B", "skip-large-objects"),
        ("-e", "skip-extensions"),
        ("-M", "skip-ext-comments"),
        ("-l", "skip-collations"),
        ("-U", "skip-vacuum"),
        ("-a", "skip-analyze"),
        ("-g", "skip-db-properties"),
        ("-k", "skip-split-by-ctid"),
        ("-n", "use-copy-binary"),
        ("-i", "fail-fast"),
        ("-r", "restart"),
        ("-R", "resume"),
        ("-C", "not-consistent"),
    ];
    for (letter, name) in letters {
        assert_eq!(settings(&[letter], &[])(name), ("on".into(), "option".into()), "{letter}");
    }
}

#[test]
fn settings_are_shown_as_a_table_without_connecting() {
    let run = run(&clone_with(&["--show-settings", "--dir", "/nonexistent/dir"]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.starts_with("Setting "), "{}", run.stdout);
    assert!(run.stdout.contains("\ntable-jobs "), "{}", run.stdout);
    assert!(!Path::new("/nonexistent/dir").exists());
}

#[test]
fn options_that_a_command_shares_but_does_not_use_are_named() {
    let run = run(&["list", "progress", "--filters", "x", "--dir", "/nonexistent", "--resume"]);
    for option in ["filters", "resume"] {
        let said = format!("option --{option} has no effect in `pgcopydb list progress`");
        assert!(run.stderr.contains(&said), "{}", run.stderr);
    }
    assert!(!run.stderr.contains("--dir has"), "{}", run.stderr);
    let usage = self::run(&["list", "progress", "--help"]).stderr;
    assert!(usage.contains("--summary") && !usage.contains("--filters"), "{usage}");
    let usage = self::run(&["copy", "table-data", "--help"]).stderr;
    assert!(usage.contains("--table-jobs") && !usage.contains("--index-jobs"), "{usage}");
}

#[test]
fn every_letter_of_the_list_restore_and_dump_commands_is_taken() {
    // Values that fail before anything connects: a filter file that does not exist.
    for arguments in [
        &[
            "list",
            "tables",
            "-S",
            "host=x",
            "-s",
            "a",
            "-t",
            "b",
            "-x",
            "-P",
            "-L",
            "1kB",
            "-u",
            "2",
            "-m",
            "-k",
            "-f",
            "-R",
            "-I",
            "-N",
            "x",
            "-J",
            "-F",
            "/nonexistent",
        ][..],
        &["list", "progress", "-y", "-D", "/nonexistent"],
        &[
            "restore",
            "schema",
            "-T",
            "host=x",
            "-j",
            "2",
            "-c",
            "-O",
            "-x",
            "-X",
            "-e",
            "-E",
            "-r",
            "-N",
            "x",
            "--no-tablespaces",
            "--filter",
            "/nonexistent",
        ],
        &["restore", "roles", "-T", "host=x", "-R", "-C", "-F", "/nonexistent"],
        &[
            "dump",
            "roles",
            "-S",
            "host=x",
            "-T",
            "host=y",
            "-P",
            "-e",
            "-r",
            "-N",
            "x",
            "-F",
            "/nonexistent",
        ],
        &["copy", "large-objects", "-S", "host=x", "-T", "host=y", "-b", "2", "-Q", "/nonexistent"],
    ] {
        let run = run(arguments);
        assert_eq!(run.code, Some(1), "{arguments:?}");
        assert!(run.stderr.contains("/nonexistent"), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.contains("usage:"), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn copy_commands_explain_their_settings_like_clone() {
    let arguments =
        [&["copy", "table-data", "--show-settings", "--json", "-J", "7"], &ENDS[..]].concat();
    let run = run_with(&arguments, &[("PGCOPYDB_FAIL_FAST", "on")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).expect("valid JSON");
    let value = |name: &str| {
        let entries = document.as_array().expect("an array");
        entries.iter().find(|entry| entry["setting"] == name).map(|entry| entry["value"].clone())
    };
    assert_eq!(value("table-jobs"), Some("7".into()));
    assert_eq!(value("fail-fast"), Some("on".into()));
}
