//! The command reference, `docs/cli.md` and one page per command under `docs/commands/`, made from the
//! command tree: it cannot say anything else than `--help` does. `tests/gates.rs` compares.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::variables::{MIRRORED, OTHERS};
use super::{examples, usage};

/// What stands above everything that is made from the program.
const MADE: &str = "Made from the program itself (`tests/gates.rs` says how): do not edit.";

/// The reference as Markdown.
pub fn markdown(root: &clap::Command) -> String {
    let mut text = format!(
        "# Command reference\n\n{MADE}\n\n\
         Options go before or after their value with a blank or `=`; unambiguous beginnings of long \
         options are accepted. What an option says wins over its variable, a variable over the \
         default. A malformed variable is an error even when its option is given; an empty one \
         counts as not set.\n\n## Commands\n\n```text\n",
    );
    text.push_str(&usage::tree(root));
    text.push_str("```\n\n| command | |\n|---|---|\n");
    for command in leaves(root) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let name = usage::path(command);
        let _ = writeln!(text, "| [{name}](commands/{}) | {about} |", file_name(command));
    }
    let _ = write!(text, "\n## pgcopydb\n\n```text\n{}```\n", usage::usage(root));
    text.push_str("\n## Environment\n\n| variable | option |\n|---|---|\n");
    for variable in MIRRORED {
        let _ = writeln!(text, "| `{}` | `--{}` |", variable.name, variable.option);
    }
    text.push_str("\n| variable | effect |\n|---|---|\n");
    for variable in OTHERS {
        let _ = writeln!(text, "| `{}` | {} |", variable.name, variable.meaning);
    }
    text.push_str(
        "\nThe variables of libpq (`PGHOST`, `PGUSER`, `PGSSLMODE`, …) fill what a connection string \
         leaves open, as in every PostgreSQL client.\n",
    );
    text
}

/// The pages of the commands as Markdown, by file name.
pub fn pages(root: &clap::Command) -> BTreeMap<String, String> {
    leaves(root).into_iter().map(|command| (file_name(command), page(command))).collect()
}

/// The page of a command.
fn page(command: &clap::Command) -> String {
    let name = usage::path(command);
    let mut text = format!("# {name}\n\n{MADE}\n");
    if let Some(example) = name.split_once(' ').and_then(|(_, words)| examples::of(words)) {
        let lines = example.lines.join("\n");
        let _ = write!(text, "\n{}\n\n```sh\n{lines}\n```\n", example.meaning);
    }
    let _ = write!(
        text,
        "\n```text\n{}```\n\nAll commands: [cli.md](../cli.md).\n",
        usage::usage(command)
    );
    text
}

/// File name of a command's page.
fn file_name(command: &clap::Command) -> String {
    let name = usage::path(command);
    format!("{}.md", name.trim_start_matches("pgcopydb ").replace(' ', "-"))
}

/// The commands that do something.
pub fn leaves(root: &clap::Command) -> Vec<&clap::Command> {
    commands(root).into_iter().filter(|command| !command.has_subcommands()).collect()
}

/// A command and all below it.
fn commands(root: &clap::Command) -> Vec<&clap::Command> {
    let mut found = vec![root];
    for command in root.get_subcommands() {
        found.extend(commands(command));
    }
    found
}

/// Every long option of every command, aliases included, without dashes.
pub fn long_options(root: &clap::Command) -> std::collections::BTreeSet<String> {
    commands(root)
        .into_iter()
        .flat_map(clap::Command::get_arguments)
        .flat_map(|argument| {
            let aliases = argument.get_all_aliases().unwrap_or_default();
            argument.get_long().into_iter().chain(aliases).map(str::to_owned)
        })
        .collect()
}
