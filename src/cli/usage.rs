//! Usage texts, the command tree, and what a wrong command line says.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Text for a stream and what it means for the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Usage asked for: standard error, success.
    Usage(String),
    /// Version asked for: standard output, success.
    Version,
    /// A wrong command line: standard error, exit code 1.
    Wrong(String),
}

/// The answer to a command line that clap did not accept, or that asked for usage or version.
pub fn reply(error: &clap::Error, arguments: &[OsString], root: &clap::Command) -> Reply {
    let command = find(root, &words(arguments));
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Reply::Usage(usage(command))
        }
        ErrorKind::DisplayVersion => Reply::Version,
        // `version` prints the version whatever follows it.
        _ if command.get_name() == "version" => Reply::Version,
        ErrorKind::InvalidSubcommand => {
            let word = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let word = harmless(&word);
            Reply::Wrong(format!("{}: {word}: unknown command\n\n{}", path(command), list(command)))
        }
        _ => Reply::Wrong(wrong(error, command)),
    }
}

/// The text for a command group that was called without a sub-command.
pub fn expected_command(words: &[&str], root: &clap::Command) -> String {
    let command = find(root, words);
    format!("{}: expected a command\n\n{}", path(command), list(command))
}

/// The text for words that lead to no command.
pub fn unknown_command(words: &[&str], root: &clap::Command) -> String {
    let command = find(root, words);
    let known = path(command).split(' ').count() - 1;
    let word = harmless(words.get(known).copied().unwrap_or_default());
    format!("{}: {word}: unknown command\n\n{}", path(command), list(command))
}

/// The usage of a command: what it is, how it is called, its sub-commands, its options.
pub fn usage(command: &clap::Command) -> String {
    let (name, about) = (path(command), about(command));
    if command.has_subcommands() {
        let (list, options) = (list(command), options(command));
        format!("{name}: {about}\nusage: {name} [options] <command>\n\n{list}\n{options}")
    } else {
        let (synopsis, options) = (synopsis(command), options(command));
        format!("{name}: {about}\nusage: {synopsis}\n\n{options}")
    }
}

/// The whole command tree with one-line descriptions.
pub fn tree(root: &clap::Command) -> String {
    let mut text = String::new();
    for group in groups(root) {
        let _ = write!(text, "{}\n{}\n", path(group), entries(group, 2));
    }
    text.trim_end().to_owned() + "\n"
}

/// The command that `words` lead to, as far as they lead.
pub fn find<'a>(root: &'a clap::Command, words: &[&str]) -> &'a clap::Command {
    let mut command = root;
    for word in words {
        match command.find_subcommand(word) {
            Some(next) => command = next,
            None => break,
        }
    }
    command
}

/// The full name of a command ("pgcopydb copy db").
pub fn path(command: &clap::Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

/// The words of a command line that may name commands. No option in front of a command takes a
/// value, so every word without a dash counts.
fn words(arguments: &[OsString]) -> Vec<&str> {
    arguments
        .iter()
        .skip(1)
        .filter_map(|argument| argument.to_str())
        .filter(|argument| !argument.starts_with('-'))
        .collect()
}

/// A command and all groups below it.
fn groups(root: &clap::Command) -> Vec<&clap::Command> {
    let mut found = vec![root];
    for command in root.get_subcommands().filter(|command| command.has_subcommands()) {
        found.extend(groups(command));
    }
    found
}

/// The sub-commands of a group under a heading.
fn list(command: &clap::Command) -> String {
    if !command.has_subcommands() {
        return String::new();
    }
    format!("Available commands:\n  {}\n{}", path(command), entries(command, 2))
}

/// One line per sub-command; groups are marked with `+`.
fn entries(command: &clap::Command, indent: usize) -> String {
    let width =
        command.get_subcommands().map(|child| child.get_name().len()).max().unwrap_or_default();
    let mut text = String::new();
    for child in command.get_subcommands() {
        let mark = if child.has_subcommands() { '+' } else { ' ' };
        let _ =
            writeln!(text, "{:indent$}{mark} {:width$}  {}", "", child.get_name(), about(child));
    }
    text
}

/// The one-line description of a command.
fn about(command: &clap::Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// The option lines of a command, without its sub-commands.
fn options(command: &clap::Command) -> String {
    // Only the list of sub-commands comes without being asked for: cut it off.
    let text = command.clone().render_help().to_string();
    let start = if command.has_subcommands() { text.find("Common options:") } else { Some(0) };
    tidy(start.and_then(|start| text.get(start..)).unwrap_or_default())
}

/// How a command is called, on one line.
fn synopsis(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").trim_end().to_owned()
}

/// Removes blanks at line ends and ends the text with exactly one newline.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// What a wrong option says: one line that names it, a hint, the short usage.
fn wrong(error: &clap::Error, command: &clap::Command) -> String {
    let name = path(command);
    let argument = context(error, ContextKind::InvalidArg).unwrap_or_default();
    // clap names an option with its value name: "--table-jobs <N>".
    let option = argument.split([' ', '=']).next().unwrap_or_default();
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    let candidates = candidates(command, option);
    let sentence = match error.kind() {
        ErrorKind::UnknownArgument if candidates.len() > 1 => {
            format!("option \"{option}\" is ambiguous: {}", candidates.join(", "))
        }
        ErrorKind::UnknownArgument if option.starts_with('-') => {
            format!("unknown option \"{option}\"")
        }
        ErrorKind::UnknownArgument => format!("unexpected argument {}", harmless(&argument)),
        ErrorKind::InvalidValue if value.is_empty() => format!("option {option} needs a value"),
        ErrorKind::InvalidValue => {
            let expected = context(error, ContextKind::ValidValue).unwrap_or_default();
            format!("option {option}: expected one of {expected}, found \"{value}\"")
        }
        ErrorKind::MissingRequiredArgument => format!("argument {} is missing", plain(&argument)),
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error)
                .map_or_else(|| format!("bad value \"{value}\""), ToString::to_string);
            match option.starts_with('-') {
                true => format!("option {option}: {reason}"),
                false => format!("argument {}: {reason}", plain(option)),
            }
        }
        ErrorKind::TooManyValues => format!("option {option} takes no value"),
        _ => error.kind().to_string(),
    };
    let mut text = format!("{name}: {sentence}\n");
    if let Some(near) = context(error, ContextKind::SuggestedArg).filter(|_| candidates.is_empty())
    {
        let _ = writeln!(text, "hint: the nearest option is {near}");
    }
    let _ = writeln!(text, "usage: {}", synopsis(command));
    let _ = writeln!(text, "hint: `{name} --help` lists the options");
    text
}

/// The name of a positional argument without clap's brackets.
fn plain(argument: &str) -> String {
    argument.replace(['<', '>', '[', ']'], "")
}

/// The long options that begin with what was given.
fn candidates(command: &clap::Command, given: &str) -> Vec<String> {
    let Some(beginning) = given.strip_prefix("--").filter(|text| !text.is_empty()) else {
        return Vec::new();
    };
    let fits = |argument: &clap::Arg| {
        let aliases = argument.get_all_aliases().unwrap_or_default();
        let mut names = argument.get_long().into_iter().chain(aliases);
        names.find(|name| name.starts_with(beginning)).map(|name| format!("--{name}"))
    };
    command.get_arguments().filter_map(fits).collect()
}

/// An argument as it may be shown: a connection string in the wrong place may hold a password.
fn harmless(argument: &str) -> String {
    const SHOWN_BYTES_MAX: usize = 32;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if argument.len() <= SHOWN_BYTES_MAX && argument.bytes().all(plain) {
        argument.to_owned()
    } else {
        "(not shown, it may hold a secret)".to_owned()
    }
}

/// A piece of clap's knowledge about an error, as text.
fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}
