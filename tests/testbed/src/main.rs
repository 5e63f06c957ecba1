//! Command line of the testbed: `cargo demo`, `cargo verify` and helpers for people.
#![expect(clippy::print_stdout, reason = "a program for people prints")]

use std::process::ExitCode;

use anyhow::{Result, bail};

mod commands;

/// What the program answers to `--help`.
const HELP: &str = "\
testbed COMMAND

  demo [--scale N] [--keep]     move two databases between two servers and check every row
                                N: size of the pgbench database, 15 MB each (default 20)
                                --keep: leave the servers running until Ctrl-C
  verify [--slow]               everything continuous integration runs; --slow: the long tests too
  servers [--pagila] [--pgbench N]
                                start a source and a target server, run until Ctrl-C
  bench [--scenario A,B] [--only A,B] [--runs N] [--scale F] [--target 15|16|18] [--no-check]
        [--ours-arguments TEXT]
                                ours, its rows alone (data), psql, dump and $PGCOPYDB_PEER
                                scenarios: ints mixed wide indexed many empty compare
        [--native-options TEXT] [--minutes N]
                                following changes beside native logical replication and
                                pg_recvlogical: drain drain-large drain-insert drain-tables
                                drain-far, and without others: lag soak
";

/// Runs the command named by the arguments; 1 on failure.
fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nFAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Chooses the command.
fn run(mut arguments: Vec<String>) -> Result<()> {
    if arguments.is_empty() || arguments.iter().any(|word| word == "--help" || word == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    let command = arguments.remove(0);
    match command.as_str() {
        "demo" => commands::demo::run(arguments),
        "verify" => commands::verify::run(arguments),
        "bench" => commands::bench::run(arguments),
        "servers" => commands::servers::run(arguments),
        _ => bail!("no command {command:?}; see --help"),
    }
}
