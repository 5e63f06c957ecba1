//! `cargo verify`: everything continuous integration runs, in the order of what fails fastest.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use testbed::{Installation, Major};

use super::{Arguments, cargo};

/// Runs all checks; stops at the first that fails.
///
/// # Errors
/// Naming the check and the command to repeat it.
pub(crate) fn run(words: Vec<String>) -> Result<()> {
    let mut arguments = Arguments::new(words);
    let slow = arguments.flag("--slow");
    arguments.end()?;
    let begun = Instant::now();
    components()?;
    let mut times = Vec::new();
    let mut check = |title: &str, command: &mut Command| -> Result<()> {
        let begun = Instant::now();
        println!("\n== {title}: {}", typed(command));
        std::io::stdout().flush().context("print")?;
        let status = command.stdin(Stdio::null()).status().context("start cargo")?;
        if !status.success() {
            bail!("{title} ({status}); to repeat: {}", typed(command));
        }
        times.push((title.to_owned(), begun.elapsed()));
        Ok(())
    };
    check("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    check("lints", &mut cargo(&clippy))?;
    check("build", &mut cargo(&["build", "--locked", "--workspace"]))?;
    // Private items are documented too, and public ones may link to them.
    let mut doc =
        cargo(&["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"]);
    check(
        "documentation",
        doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"),
    )?;
    servers();
    let mut test = cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    if slow {
        test.env("PGCOPYDB_SLOW", "1");
    }
    check("tests", &mut test)?;
    println!("\n== verified in {:.0} s", begun.elapsed().as_secs_f64());
    for (title, time) in times {
        println!("   {title:<14} {:>7.1} s", time.as_secs_f64());
    }
    Ok(())
}

/// Makes sure that the formatter and the linter are there: a minimal toolchain comes without.
fn components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let mut probe = cargo(&[subcommand, "--version"]);
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if probe.status().is_ok_and(|status| status.success()) {
            continue;
        }
        println!("== {component} is missing: rustup component add {component}");
        let status = Command::new("rustup").args(["component", "add", component]).status();
        let added = status.is_ok_and(|status| status.success());
        ensure!(added, "cargo {subcommand} does not run and rustup could not add {component}");
    }
    Ok(())
}

/// Finds or installs PostgreSQL before the tests do, whose messages cargo would keep back.
fn servers() {
    println!("\n== PostgreSQL");
    for major in Major::ALL {
        match Installation::find(major) {
            Ok(found) => println!("   {} in {}", found.version, found.bindir.display()),
            // The tests that need it will say so.
            Err(error) => println!("   {major}: {error:#}"),
        }
    }
}

/// A command as a person would type it, with what is set for it.
fn typed(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}='{}' ", name.to_string_lossy(), value?.to_string_lossy()))
    });
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    format!("{}cargo {}", set.collect::<String>(), words.join(" "))
}
