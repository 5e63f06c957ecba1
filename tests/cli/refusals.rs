//! Input that is refused: one clear line, exit code 1, no secret.

use std::fs;

use crate::support::{ENDS, clone_with, run, run_with};

#[test]
fn bad_options_are_named_and_exit_1() {
    for (options, said) in [
        (&["--bogus"][..], "unknown option \"--bogus\""),
        (
            &["--skip-ext"],
            "option \"--skip-ext\" is ambiguous: --skip-extensions, --skip-ext-comments",
        ),
        (&["--no-o=x"], "option --no-owner takes no value"),
        (&["--table-jobs"], "option --table-jobs needs a value"),
        (
            &["--table-jobs", "0"],
            "option --table-jobs: expected a number from 1 to 128, found \"0\"",
        ),
        (&["-J", "129"], "option --table-jobs: expected a number from 1 to 128, found \"129\""),
        (&["--split-at", "10 XB"], "found \"10 XB\""),
        (&["--split-max-parts", "0"], "expected a number of at least 1, found \"0\""),
        (&["--copy-format", "csv"], "expected one of auto, binary, text, found \"csv\""),
        (&["--restart=yes"], "option --restart takes no value"),
        (&["extra"], "unexpected argument extra"),
    ] {
        let run = run(&clone_with(options));
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{options:?}");
        let first = run.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("pgcopydb clone: ") && first.contains(said), "{}", run.stderr);
        assert!(run.stderr.contains("\nusage: pgcopydb clone "), "{}", run.stderr);
    }
}

#[test]
fn missing_ends_are_one_clear_line() {
    for (arguments, missing) in [
        (&["clone"][..], "both are missing"),
        (&["fork", "--target", "host=x"], "--source is missing"),
        (&["copy", "db", "--source", "host=x"], "--target is missing"),
        (&["ping"], "both are missing"),
    ] {
        let run = run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        let errors: Vec<&str> =
            run.stderr.lines().filter(|line| line.contains(" ERROR ")).collect();
        let expected = format!("options --source and --target are mandatory: {missing}");
        assert!(errors[0].ends_with(&expected), "{}", run.stderr);
    }
}

#[test]
fn malformed_variables_are_errors_even_beside_their_option() {
    for (variable, value, options) in [
        ("PGCOPYDB_TABLE_JOBS", "many", &["--table-jobs", "2"][..]),
        ("PGCOPYDB_SKIP_VACUUM", "maybe", &["--skip-vacuum"]),
        ("PGCOPYDB_SPLIT_TABLES_LARGER_THAN", "10 apples", &["--split-at", "1 GB"]),
        ("PGCOPYDB_SPLIT_MAX_PARTS", "-1", &[]),
        ("PGCOPYDB_LOG_JSON", "2", &[]),
        ("PGCOPYDB_LOG_TIME_FORMAT", "%", &[]),
        ("PGCOPYDB_SOURCE_PGURI", "nonsense=1", &[]),
        ("PGCOPYDB_LOG_FILENAME", "/nonexistent/log", &[]),
    ] {
        let run = run_with(&clone_with(options), &[(variable, value)]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{variable}");
        let said = format!("environment variable {variable}: ");
        assert!(run.stderr.contains(&said), "{variable}: {}", run.stderr);
    }
}

// trap P-11
#[test]
fn a_secret_is_never_repeated() {
    const SECRET: &str = "hunter2";
    let good = format!("postgres://u:{SECRET}@localhost:1/d");
    let cases: [&[&str]; 7] = [
        &["clone", "--source", &format!("postgres://u:{SECRET}@[::1/d"), "--target", "host=x"],
        &["clone", "--source", &format!("passwrod={SECRET}"), "--target", "host=x"],
        &["clone", "--source", &format!("password='{SECRET}"), "--target", "host=x"],
        &["clone", &good],
        &[&good],
        &["clone", &format!("--sorce={good}")],
        &["clone", "--source", &good, "--target", &good, "--show-settings"],
    ];
    for arguments in cases {
        let run = run_with(arguments, &[("PGPASSWORD", SECRET)]);
        let all = run.stdout + &run.stderr;
        assert!(!all.is_empty() && !all.contains(SECRET), "{arguments:?}: {all}");
    }
}

#[test]
fn contradictory_options_are_refused() {
    for (options, said) in [
        (&["--restart", "--resume"][..], "--resume and --restart contradict"),
        (&["--not-consistent", "--snapshot", "x"], "--not-consistent and --snapshot contradict"),
        (&["--use-copy-binary", "--copy-format", "text"], "contradict"),
        (&["--filters", "/nonexistent/filters.ini"], "file \"/nonexistent/filters.ini\""),
    ] {
        let run = run(&clone_with(options));
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{options:?}");
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
}

#[test]
fn bad_input_is_one_clear_line_in_every_group() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (section, pins) = (file("f.ini", "[include-only-tables]\na.b\n"), file("r.json", "[1]"));
    let (empty, work) = (file("empty.list", "; nothing\n"), file("work", "no directory"));
    let source = ["--source", "postgres://u@localhost:1/s"];
    let target = ["--target", "postgres://u@localhost:1/t"];
    let both = [source, target].concat();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        ([&["clone", "--filters", &section][..], &both].concat(), "include-only-tables"),
        ([&["copy", "data", "--filters", "/nonexistent"][..], &both].concat(), "/nonexistent"),
        ([&["copy", "table-data", "--split-at", "1 XB"][..], &both].concat(), "1 XB"),
        ([&["copy", "schema", "--requirements", &pins][..], &both].concat(), "--requirements"),
        ([&["copy", "indexes", "--restart", "--resume"][..], &both].concat(), "contradict"),
        ([&["copy", "blobs", "-C", "-N", "x"][..], &both].concat(), "contradict"),
        ([&["copy", "db"][..], &target].concat(), "--source is missing"),
        (vec!["snapshot"], "--source is mandatory"),
        ([&["snapshot", "--dir", &work][..], &source].concat(), "--dir"),
        ([&["dump", "schema", "--bogus"][..], &source].concat(), "--bogus"),
        (vec!["dump", "schema"], "--source is mandatory"),
        ([&["dump", "roles", "--dir", "/proc/none"][..], &source].concat(), "/proc/none"),
        ([&["restore", "pre-data"][..], &source].concat(), "--target is mandatory"),
        ([&["restore", "post-data", "-j", "0"][..], &target].concat(), "1 to 128"),
        (vec!["restore", "parse-list", &empty], "found no entry"),
        (vec!["restore", "parse-list", "/nonexistent"], "/nonexistent"),
        (vec!["list", "tables"], "--source is mandatory"),
        ([&["list", "tables", "--list-skipped"][..], &source].concat(), "--filters"),
        ([&["list", "depends"][..], &source].concat(), "--list-skipped"),
        ([&["list", "table-parts"][..], &source].concat(), "--table-name"),
        ([&["list", "extensions", "-a", "-r"][..], &source].concat(), "contradict"),
        (vec!["list", "progress", "--dir", "/nonexistent"], "/nonexistent"),
        (vec!["list", "progress", "--summary", "--dir", "/nonexistent"], "/nonexistent"),
        ([&["compare", "data", "--filters", "/nonexistent"][..], &both].concat(), "/nonexistent"),
        ([&["compare", "data", "--table-jobs", "0"][..], &both].concat(), "1 to 128"),
        ([&["compare", "schema"][..], &source].concat(), "--target is missing"),
        ([&["follow", "--endpos", "12"][..], &both].concat(), "option --endpos: "),
        ([&["follow", "--slot-name", "My-Slot"][..], &both].concat(), "My-Slot"),
        ([&["follow", "--max-replaydb-size", "1kB"][..], &both].concat(), "at least 1MB"),
        ([&["follow", "--all-databases"][..], &both].concat(), "`pgcopydb follow` is about one"),
        ([&["copy", "data", "--all-databases"][..], &both].concat(), "belongs to clone"),
        ([&["stream", "replay", "--plugin", "x"][..], &both].concat(), "expected one of pgoutput"),
        (vec!["stream", "cleanup"], "--source is mandatory"),
        (vec!["stream", "prune", "--dir", "/nonexistent"], "/nonexistent"),
        (vec!["stream", "apply", "-", "--dir", "/nonexistent"], "--target is mandatory"),
        ([&["clone", "--dry-run", "--all-databases"][..], &both].concat(), "contradict"),
    ];
    for (arguments, said) in cases {
        let run = run_with(&arguments, &[("TMPDIR", directory.path().to_str().expect("UTF-8"))]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn a_dry_run_is_refused_where_it_would_do_the_work() {
    for command in ["data", "table-data", "schema", "blobs", "indexes"] {
        let run = run(&[&["copy", command, "--dry-run"], &ENDS[..]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{command}");
        assert!(run.stderr.contains("clone --dry-run"), "{}", run.stderr);
    }
}
