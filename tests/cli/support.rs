//! What the other modules run the program with.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// How a run ended, as text.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command line with an environment of its own: nothing of the developer's leaks in.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgcopydb"));
    command.args(arguments).env_clear().env("PATH", "/nonexistent").stdin(Stdio::null());
    command
}

/// Runs a command line.
pub(crate) fn run(arguments: &[&str]) -> Run {
    run_with(arguments, &[])
}

/// Runs a command line with variables.
pub(crate) fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = program(arguments);
    finished(command.envs(variables.iter().copied()).output().expect("the program starts"))
}

/// The text of an output.
pub(crate) fn finished(output: Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A source and a target that nobody answers at; good enough for whatever fails before connecting.
pub(crate) const ENDS: [&str; 4] =
    ["--source", "postgres://u@localhost:1/s", "--target", "host=localhost"];

/// `clone` with both ends and these options.
pub(crate) fn clone_with<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&["clone"], &ENDS[..], options].concat()
}

/// The resolved settings of a command line: value and origin by name.
pub(crate) fn settings(
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
