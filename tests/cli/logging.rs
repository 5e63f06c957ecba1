//! Log lines: form, level, file.

use std::fs;

use serde_json::Value;

use crate::support::{run, run_with};

#[test]
fn log_lines_carry_time_pid_and_level() {
    let run = run(&["clone"]);
    for line in run.stderr.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields[0].len(), "2026-01-31".len(), "{line}");
        assert_eq!(fields[1].len(), "23:59:59.999".len(), "{line}");
        assert!(fields[2].parse::<u32>().is_ok(), "{line}");
        let level = &line[line.find(fields[3]).expect("a level")..];
        assert!(level.starts_with("INFO   ") || level.starts_with("ERROR  "), "{line}");
    }
    let first = run.stderr.lines().next().unwrap_or_default();
    let announced = format!("running pgcopydb {} from \"", env!("CARGO_PKG_VERSION"));
    assert!(first.contains(&announced), "{first}");
    assert!(!run.stderr.contains('\x1b'));
}

#[test]
fn time_format_and_program_path_can_be_chosen() {
    let variables = [("PGCOPYDB_LOG_TIME_FORMAT", "at"), ("PGCOPYDB_DEBUG_BIN_PATH", "/opt/p")];
    let run = run_with(&["clone"], &variables);
    let first = run.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("at.") && first.ends_with(" from \"/opt/p\""), "{first}");
}

#[test]
fn verbosity_counts_options_before_and_after_the_command() {
    let quiet = run(&["clone", "--quiet"]);
    assert!(!quiet.stderr.contains("INFO") && quiet.stderr.contains("ERROR"), "{}", quiet.stderr);
    // At DEBUG every line names its place in the source.
    for arguments in [&["-vv", "clone", "-v"][..], &["clone", "--debug"], &["-z", "clone"]] {
        let run = run(arguments);
        assert!(run.stderr.contains("cli/program.rs:"), "{arguments:?}: {}", run.stderr);
    }
    assert!(!run(&["clone", "-vv"]).stderr.contains("cli/program.rs:"));
}

#[test]
fn json_lines_have_the_known_keys() {
    let run = run_with(&["clone"], &[("PGCOPYDB_LOG_JSON", "on")]);
    assert!(run.stderr.lines().count() >= 2);
    for line in run.stderr.lines() {
        let object: Value = serde_json::from_str(line).expect("valid JSON");
        for key in ["timestamp", "error_severity", "file_name", "message"] {
            assert!(object[key].is_string(), "{key}: {line}");
        }
        for key in ["pid", "error_level", "file_line_num"] {
            assert!(object[key].is_u64(), "{key}: {line}");
        }
        let expected = if object["error_severity"] == "ERROR" { 7 } else { 5 };
        assert_eq!(object["error_level"], expected);
    }
}

#[test]
fn log_file_is_emptied_and_written_in_its_own_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    fs::write(&path, "old").expect("writable");
    let name = path.to_str().expect("UTF-8");
    run_with(&["clone", "--quiet"], &[("PGCOPYDB_LOG_FILENAME", name)]);
    let text = fs::read_to_string(&path).expect("readable");
    assert!(!text.contains("old") && text.contains(" ERROR report/error.rs:"), "{text}");
    let variables = [("PGCOPYDB_LOG_FILENAME", name), ("PGCOPYDB_LOG_JSON_FILE", "yes")];
    run_with(&["clone"], &variables);
    for line in fs::read_to_string(&path).expect("readable").lines() {
        serde_json::from_str::<Value>(line).expect("valid JSON");
    }
}
