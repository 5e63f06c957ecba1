//! The program: reads the command line, resolves settings, starts logging and the display, runs a
//! command, turns its result into an exit code.
//!
//! ```text
//! argv ─► args ─┐
//!               ├─► settings ─► command ─► outcome ─► report ─► exit code
//! environment ──┘      │           ▲ │
//!                  logging   signals └ events ─► report
//! ```
//!
//! Only this floor reads the command line and the environment and ends the process (A4).

pub mod args;
mod check;
mod clone;
mod compare;
mod connection;
pub mod environment;
pub mod examples;
pub mod exit;
mod follow;
mod generate;
mod list;
pub mod logging;
mod program;
pub mod reference;
mod sentinel;
pub mod settings;
mod shown;
pub mod signals;
mod snapshot;
mod step;
mod stream;
pub mod usage;
pub mod variables;
pub mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;

use args::{
    Cli, Command, CommonArgs, CompareCommand, CopyCommand, SentinelCommand, SentinelGroup,
    StreamCommand,
};
use environment::ProcessEnvironment;
use exit::Exit;
use program::Program;
use usage::Reply;

use crate::base::error::{Error, Result};
use crate::report;

/// Runs the program with this process's command line and environment.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The panic itself is already logged; scripts rely on the exit code of failures.
    std::panic::catch_unwind(|| run(&arguments, ProcessEnvironment::collect()))
        .unwrap_or(Exit::Failure)
        .into()
}

/// Runs the program.
fn run(arguments: &[OsString], environment: ProcessEnvironment) -> Exit {
    let root = args::command();
    let parsed = root.clone().try_get_matches_from(arguments).and_then(|matches| {
        Cli::from_arg_matches(&matches).map(|cli| (cli, args::relevant::unused(&matches)))
    });
    match parsed {
        Err(error) => answer(usage::reply(&error, arguments, &root)),
        Ok((cli, unused)) => dispatch(cli, environment, &root, &unused),
    }
}

/// Refuses an option that a command does not use where going on would do less than was asked for.
///
/// # Errors
/// Class `Config`.
fn refuse_unused(path: &str, unused: &[String]) -> Result<()> {
    if !unused.iter().any(|option| option == "all-databases") {
        return Ok(());
    }
    Err(Error::config(format!(
        "option --all-databases belongs to clone, check and compare: `pgcopydb {path}` is about one \
         database"
    ))
    .hint("`pgcopydb clone --all-databases --follow` copies and follows all, and continues what it began."))
}

/// Runs the command that was asked for.
fn dispatch(
    cli: Cli,
    environment: ProcessEnvironment,
    root: &clap::Command,
    (path, unused): &(String, Vec<String>),
) -> Exit {
    let Cli { common, json, command } = cli;
    let start = |own: &[&CommonArgs]| {
        let all: Vec<&CommonArgs> = std::iter::once(&common).chain(own.iter().copied()).collect();
        let program = Program::start(&all, json, environment)?;
        refuse_unused(path, unused)?;
        for option in unused {
            tracing::warn!("option --{option} has no effect in `pgcopydb {path}`");
        }
        Ok(program)
    };
    let result = match command {
        None => return answer(Reply::Wrong(usage::expected_command(&[], root))),
        Some(Command::Help(help)) => return print_help(&help.path, root),
        Some(Command::Completions(args)) => return print(&generate::completions(args.shell, root)),
        Some(Command::Man(args)) => generate::man(&args.directory, root).map(|()| Exit::Success),
        Some(Command::Version(version)) => {
            let json = json || version.json;
            return print(&if json { version::json() } else { version::text() });
        }
        Some(Command::Follow(args)) => {
            start(&[&args.common]).and_then(|program| follow::run(&args, &program))
        }
        Some(Command::Stream(group)) => match group.command {
            None => return answer(Reply::Wrong(usage::expected_command(&["stream"], root))),
            Some(StreamCommand::Sentinel(SentinelGroup { command: None, .. })) => {
                let path = ["stream", "sentinel"];
                return answer(Reply::Wrong(usage::expected_command(&path, root)));
            }
            Some(StreamCommand::Sentinel(SentinelGroup {
                command: Some(SentinelCommand::Set(set)),
                ..
            })) if set.command.is_none() => {
                let path = ["stream", "sentinel", "set"];
                return answer(Reply::Wrong(usage::expected_command(&path, root)));
            }
            Some(command) => {
                let own: Vec<&CommonArgs> =
                    std::iter::once(&group.common).chain(command.common()).collect();
                start(&own).and_then(|program| stream::run(&command, &program))
            }
        },
        Some(Command::Clone(args) | Command::Fork(args)) => {
            start(&[&args.common]).and_then(|program| clone::run(&args, &program))
        }
        Some(Command::Copy(group)) => match group.command {
            None => return answer(Reply::Wrong(usage::expected_command(&["copy"], root))),
            Some(CopyCommand::Db(args)) => start(&[&group.common, &args.common])
                .and_then(|program| clone::run(&args, &program)),
            Some(command) => start(&[&group.common, &command.args().common]).and_then(|program| {
                // The options are those of a clone, and so is their explanation.
                if command.args().run.show_settings {
                    return clone::run(command.args(), &program);
                }
                step::run(settings::resolve_copy(&command, &program.environment)?, &program)
            }),
        },
        Some(Command::Dump(group)) => match group.command {
            None => return answer(Reply::Wrong(usage::expected_command(&["dump"], root))),
            Some(command) => start(&[&group.common, command.common()]).and_then(|program| {
                step::run(settings::resolve_dump(&command, &program.environment)?, &program)
            }),
        },
        Some(Command::Restore(group)) => match group.command {
            None => return answer(Reply::Wrong(usage::expected_command(&["restore"], root))),
            Some(command) => start(&[&group.common, command.common()]).and_then(|program| {
                step::run(settings::resolve_restore(&command, &program.environment)?, &program)
            }),
        },
        Some(Command::Snapshot(args)) => {
            start(&[&args.common]).and_then(|program| snapshot::run(&args, &program))
        }
        Some(Command::List(group)) => match group.command {
            None => return answer(Reply::Wrong(usage::expected_command(&["list"], root))),
            Some(command) => start(&[&group.common, &command.args().common])
                .and_then(|program| list::run(&command, &program)),
        },
        Some(Command::Compare(group)) => match group.command {
            None => return answer(Reply::Wrong(usage::expected_command(&["compare"], root))),
            Some(CompareCommand::Schema(args)) => start(&[&group.common, &args.common])
                .and_then(|program| compare::schema(&args, &program)),
            Some(CompareCommand::Data(args)) => start(&[&group.common, &args.compare.common])
                .and_then(|program| compare::data(&args, &program)),
        },
        Some(Command::Check(args)) => {
            start(&[&args.common]).and_then(|program| check::run(&args, &program))
        }
        Some(Command::Ping(args)) => {
            // It sends no SQL worth a level of its own: -vv is DEBUG, -vvv is TRACE.
            let more = u8::from(common.verbose.saturating_add(args.common.verbose) >= 2);
            let more = CommonArgs { verbose: more, ..CommonArgs::default() };
            start(&[&args.common, &more]).and_then(|program| program::ping(&args, &program))
        }
    };
    result.unwrap_or_else(|error| {
        program::show_error(&error);
        Exit::of_error(&error)
    })
}

/// Prints the command tree, or the usage of the command that `path` names.
fn print_help(path: &[String], root: &clap::Command) -> Exit {
    if path.is_empty() {
        return print(&usage::tree(root));
    }
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let command = usage::find(root, &words);
    match usage::path(command).split(' ').count() == words.len() + 1 {
        true => print(&usage::usage(command)),
        false => answer(Reply::Wrong(usage::unknown_command(&words, root))),
    }
}

/// Writes an answer where it belongs.
fn answer(reply: Reply) -> Exit {
    match reply {
        Reply::Usage(text) => {
            report::Terminal::stderr().write_line(&text);
            Exit::Success
        }
        Reply::Version => print(&version::text()),
        Reply::Wrong(text) => {
            report::Terminal::stderr().write_line(&text);
            Exit::BadArguments
        }
    }
}

/// Writes a result to standard output; a closed pipe is the reader's choice, not an error.
fn print(text: &str) -> Exit {
    match report::print(text) {
        Ok(()) => Exit::Success,
        Err(error) => {
            program::show_error(&error);
            Exit::Failure
        }
    }
}
