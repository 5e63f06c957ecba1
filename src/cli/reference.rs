//! The command reference `docs/cli.md`, made from the command tree: it cannot say anything else
//! than `--help` does. `tests/gates.rs` compares.

use std::fmt::Write as _;

use super::usage;
use super::variables::{MIRRORED, OTHERS};

/// The reference as Markdown.
pub fn markdown(root: &clap::Command) -> String {
    let mut text = String::from(
        "# Command reference\n\n\
         Made from the program itself (`tests/gates.rs` says how): do not edit.\n\n\
         Options go before or after their value with a blank or `=`; unambiguous beginnings of long \
         options are accepted. What an option says wins over its variable, a variable over the \
         default. A malformed variable is an error even when its option is given; an empty one \
         counts as not set.\n\n## Commands\n\n```text\n",
    );
    text.push_str(&usage::tree(root));
    text.push_str("```\n");
    for command in commands(root) {
        let name = usage::path(command);
        let _ = write!(text, "\n## {name}\n\n```text\n{}```\n", usage::usage(command));
    }
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
