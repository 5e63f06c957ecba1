//! The program as people meet it: run as a process, without any server.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// How a run ended, as text.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A command line with an environment of its own: nothing of the developer's leaks in.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgcopydb"));
    command.args(arguments).env_clear().env("PATH", "/nonexistent").stdin(Stdio::null());
    command
}

/// Runs a command line.
fn run(arguments: &[&str]) -> Run {
    run_with(arguments, &[])
}

/// Runs a command line with variables.
fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = program(arguments);
    finished(command.envs(variables.iter().copied()).output().expect("the program starts"))
}

/// The text of an output.
fn finished(output: Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A source and a target that nobody answers at; good enough for whatever fails before connecting.
const ENDS: [&str; 4] = ["--source", "postgres://u@localhost:1/s", "--target", "host=localhost"];

/// `clone` with both ends and these options.
fn clone_with<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&["clone"], &ENDS[..], options].concat()
}

/// The resolved settings of a command line: value and origin by name.
fn settings(
    options: &[&str],
    variables: &[(&str, &str)],
) -> impl Fn(&str) -> (String, String) + use<> {
    let arguments = clone_with(&[options, &["--show-settings", "--json"]].concat());
    let run = run_with(&arguments, variables);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).expect("valid JSON");
    move |name| {
        let entries = document.as_array().expect("an array");
        let entry = entries.iter().find(|entry| entry["setting"] == name).expect("a setting");
        let text = |key: &str| entry[key].as_str().expect("text").to_owned();
        (text("value"), text("from"))
    }
}

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

#[test]
fn ping_names_each_end_that_refuses_and_exits_12() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            refuse(&listener);
        }
    });
    let end = format!("host=127.0.0.1 port={port} user=u dbname=d password=x sslmode=disable");
    let run = run(&["ping", "--quiet", "--source", &end, "--target", &end]);
    server.join().expect("both ends connected");
    assert_eq!((run.code, run.stdout.as_str()), (Some(12), ""), "{}", run.stderr);
    for side in ["source: ", "target: "] {
        let named = run
            .stderr
            .lines()
            .any(|line| line.contains(side) && line.contains("FATAL 28P01: wrong in every way"));
        assert!(named, "{}", run.stderr);
    }
}

/// Accepts a connection, reads its startup message, answers with FATAL 28P01.
fn refuse(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut startup).expect("a startup message");
    let fields = b"SFATAL\0VFATAL\0C28P01\0Mwrong in every way\0\0";
    let length = u32::try_from(fields.len() + 4).expect("a short message");
    let message = [b"E".as_slice(), &length.to_be_bytes(), fields].concat();
    stream.write_all(&message).expect("writable");
}

// trap X-12
#[test]
fn hangups_are_ignored_and_the_second_interrupt_ends_the_run() {
    // An end that accepts connections and never says anything keeps the program waiting.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let end = format!("host=127.0.0.1 port={port} user=u dbname=d connect_timeout=60");
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().to_str().expect("UTF-8");
    let arguments = ["clone", "--source", &end, "--target", &end, "--dir", directory, "-d"];
    let mut child = program(&arguments).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut wait_for = |text: &str| {
        let found = lines.by_ref().any(|line| line.expect("UTF-8").contains(text));
        assert!(found, "the program ended without saying \"{text}\"");
    };
    wait_for("listening to signals");
    for (signal, said) in [
        ("HUP", "ignored a signal, the run goes on signal=SIGHUP"),
        ("INT", "stopping: no new work starts"),
        ("TERM", "stopping fast: "),
    ] {
        send(signal, child.id());
        wait_for(said);
    }
    assert_eq!(child.wait().expect("an exit code").code(), Some(12));
}

/// Sends a signal to a process that this test has started.
fn send(signal: &str, pid: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(status.expect("a shell").success());
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
        ([&["follow", "--all-databases"][..], &both].concat(), "belongs to clone"),
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
fn a_dry_run_is_refused_where_it_would_do_the_work() {
    for command in ["data", "table-data", "schema", "blobs", "indexes"] {
        let run = run(&[&["copy", command, "--dry-run"], &ENDS[..]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{command}");
        assert!(run.stderr.contains("clone --dry-run"), "{}", run.stderr);
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

#[test]
fn the_sentinel_is_written_and_read_without_a_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("work");
    let directory = directory.to_str().expect("UTF-8");
    let sentinel = |words: &str| {
        let words: Vec<&str> = words.split(' ').chain(["--dir", directory]).collect();
        let run = run(&words);
        assert_eq!(run.code, Some(0), "{words:?}: {}", run.stderr);
        run.stdout
    };
    let missing = run(&["stream", "sentinel", "get", "--dir", directory]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));
    assert!(!Path::new(directory).exists(), "reading made a directory");
    assert_eq!(sentinel("stream sentinel setup 0/1000 A/2000"), "");
    let all = "startpos       0/1000\nendpos         A/2000\napply          disabled\n\
               write_lsn      0/0\nflush_lsn      0/0\nreplay_lsn     0/0\n";
    assert_eq!(sentinel("stream sentinel get"), all);
    let json: Value = serde_json::from_str(&sentinel("stream sentinel get -J")).expect("JSON");
    let wanted = serde_json::json!({
        "startpos": "0/1000", "endpos": "A/2000", "apply": false,
        "write_lsn": "0/0", "flush_lsn": "0/0", "replay_lsn": "0/0",
    });
    assert_eq!(json, wanted);
    assert_eq!(sentinel("stream sentinel set startpos 0/1100"), "");
    assert_eq!(sentinel("stream sentinel get --startpos"), "0/1100\n");
    assert_eq!(sentinel("stream sentinel set endpos B/30"), "B/30\n");
    assert_eq!(sentinel("stream sentinel get -e"), "B/30\n");
    sentinel("stream sentinel set apply");
    assert_eq!(sentinel("stream sentinel get -a"), "enabled\n");
    sentinel("stream sentinel set prefetch");
    assert_eq!(sentinel("stream sentinel get --apply"), "disabled\n");
    sentinel("stream sentinel set endpos 0/0");
    assert_eq!(sentinel("stream sentinel get --endpos"), "0/0\n");
    for (words, said) in [
        ("stream sentinel set endpos 12", "argument LSN: expected"),
        ("stream sentinel set endpos 0/1 --current", "cannot"),
        ("stream sentinel get --apply --endpos", "cannot"),
        ("stream sentinel set endpos --current", "--source"),
        ("stream sentinel set startpos 0/123456789", "expected"),
        ("stream sentinel setup 0/1", "argument ENDLSN is missing"),
    ] {
        let words: Vec<&str> = words.split(' ').chain(["--dir", directory]).collect();
        let run = run(&words);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{words:?}");
        assert!(run.stderr.contains(said), "{words:?}: {}", run.stderr);
    }
}
