//! An example of every command, for the pages under `docs/commands/`. A test parses each of them.

/// How a command is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// The command, without the program's name.
    pub command: &'static str,
    /// When to use it, and what it leaves behind: whole sentences.
    pub meaning: &'static str,
    /// Command lines as they are typed; the ends come from PGCOPYDB_SOURCE_PGURI and
    /// PGCOPYDB_TARGET_PGURI where they are not named.
    pub lines: &'static [&'static str],
}

/// Declares an example.
const fn example(
    command: &'static str,
    meaning: &'static str,
    lines: &'static [&'static str],
) -> Example {
    Example { command, meaning, lines }
}

/// The examples, in the order of the command tree.
pub const EXAMPLES: &[Example] = &[
    example(
        "clone",
        "Copies a database: schema, rows, indexes, constraints, sequences, large objects. Interrupted, \
         the same command continues. The first line looks at both ends before anything is done.",
        &[
            "pgcopydb check",
            "pgcopydb clone --table-jobs 8 --index-jobs 4 --dir /var/tmp/move",
            "pgcopydb clone --filters only-sales.ini --drop-if-exists --no-owner",
        ],
    ),
    example("fork", "Another name of `clone`.", &["pgcopydb fork --dir /var/tmp/move"]),
    example(
        "follow",
        "Applies the source's changes to a target that a clone has filled, until it is told to stop \
         or reaches the end position.",
        &["pgcopydb follow --dir /var/tmp/move"],
    ),
    example(
        "snapshot",
        "Holds a snapshot for the steps of a manual migration: each command that runs in the same work \
         directory meanwhile reads the source as of that one moment. The identifier is printed.",
        &["pgcopydb snapshot --dir /var/tmp/move"],
    ),
    example("copy db", "Another name of `clone`.", &["pgcopydb copy db --dir /var/tmp/move"]),
    example(
        "copy roles",
        "Creates on the target the roles that it lacks, with their memberships and settings. Roles \
         that are there stay as they are.",
        &["pgcopydb copy roles --no-role-passwords"],
    ),
    example(
        "copy extensions",
        "Creates on the target the extensions that it lacks, and copies the rows of their \
         configuration tables that are the user's. Often done as a superuser before an ordinary role \
         does the rest with --skip-extensions.",
        &["pgcopydb copy extensions", "pgcopydb clone --skip-extensions"],
    ),
    example(
        "copy schema",
        "Makes the schema on the target, indexes, constraints and triggers included, without rows.",
        &["pgcopydb copy schema --no-owner"],
    ),
    example(
        "copy data",
        "Fills a schema that exists: rows, large objects, indexes and constraints that are missing, \
         statistics, sequences. Tables are truncated first. Foreign keys that stand in the way are \
         dropped and added again.",
        &["pgcopydb copy data --table-jobs 8"],
    ),
    example(
        "copy table-data",
        "Copies the rows of all tables into a schema that exists, and nothing else. Tables are \
         truncated first.",
        &["pgcopydb copy table-data --split-tables-larger-than '10 GB'"],
    ),
    example(
        "copy blobs",
        "Copies large objects under their identifiers, with owners, privileges and comments.",
        &["pgcopydb copy blobs --large-objects-jobs 4"],
    ),
    example(
        "copy sequences",
        "Sets the target's sequences to where the source's stand now: typically the last step of a \
         cutover. One that is further on the target stays and is reported. It may be repeated.",
        &["pgcopydb copy sequences"],
    ),
    example(
        "copy indexes",
        "Builds all indexes side by side, and adds the constraints that stand on them. Those that are \
         there stay.",
        &["pgcopydb copy indexes --index-jobs 8"],
    ),
    example(
        "copy constraints",
        "Adds primary key, unique and exclusion constraints, with the indexes they need and no others.",
        &["pgcopydb copy constraints"],
    ),
    example(
        "dump schema",
        "Leaves the source's schema in the work directory, with the catalog that the restores need. \
         The target, when it is given, decides which pg_dump is taken.",
        &["pgcopydb dump schema --dir /var/tmp/move --filters only-sales.ini"],
    ),
    example(
        "dump roles",
        "Leaves the source server's roles in the work directory, as schema/roles.sql.",
        &["pgcopydb dump roles --dir /var/tmp/move --no-role-passwords"],
    ),
    example(
        "restore schema",
        "Makes everything but rows from what `dump schema` left; the source is not needed.",
        &["pgcopydb restore schema --dir /var/tmp/move --no-owner"],
    ),
    example(
        "restore pre-data",
        "Makes what rows need from what `dump schema` left: the first half of the schema. The target \
         then holds a ledger, schema pgcopydb, which `restore post-data` removes.",
        &["pgcopydb restore pre-data --dir /var/tmp/move"],
    ),
    example(
        "restore post-data",
        "Makes what is left once rows are there: indexes and constraints that are missing, foreign \
         keys, triggers, policies, contents of materialized views.",
        &["pgcopydb restore post-data --dir /var/tmp/move --restore-jobs 4"],
    ),
    example(
        "restore roles",
        "Creates on the target the roles that `dump roles` left and that it lacks.",
        &["pgcopydb restore roles --dir /var/tmp/move"],
    ),
    example(
        "restore parse-list",
        "With a file: shows what is understood of a list of pg_restore. Without: leaves the edited lists \
         of both sections in the work directory, to see what a restore would do.",
        &[
            "pgcopydb restore parse-list /var/tmp/move/schema/pre-filtered.list",
            "pgcopydb restore parse-list --dir /var/tmp/move",
        ],
    ),
    example("list databases", "Shows the server's databases.", &["pgcopydb list databases"]),
    example(
        "list extensions",
        "Shows the extensions that the source uses. The second line writes the file that \
         `clone --requirements` reads.",
        &[
            "pgcopydb list extensions",
            "pgcopydb list extensions --requirements --json",
            "pgcopydb list extensions --available-versions",
        ],
    ),
    example(
        "list collations",
        "Shows which collations are used and by what: those of the operating system must exist on the \
         target.",
        &["pgcopydb list collations"],
    ),
    example(
        "list tables",
        "Shows what a filter file keeps, and what it leaves out.",
        &[
            "pgcopydb list tables --filters only-sales.ini",
            "pgcopydb list tables --filters only-sales.ini --list-skipped",
            "pgcopydb list tables --without-pkey",
        ],
    ),
    example(
        "list table-parts",
        "Shows how a table would be split.",
        &["pgcopydb list table-parts --schema-name public --table-name orders --split-at '10 GB'"],
    ),
    example(
        "list sequences",
        "Shows the sequences, with the table that owns each and the default that reads it.",
        &["pgcopydb list sequences"],
    ),
    example(
        "list indexes",
        "Shows the indexes of one table, or of all.",
        &["pgcopydb list indexes --schema-name public --table-name orders"],
    ),
    example(
        "list depends",
        "Shows what hangs on the tables that a filter file leaves out: views, constraints, functions.",
        &["pgcopydb list depends --filters only-sales.ini --list-skipped"],
    ),
    example(
        "list schema",
        "Leaves everything that is migrated in the work directory as schema.json, and prints it.",
        &["pgcopydb list schema --json --dir /var/tmp/move"],
    ),
    example(
        "list progress",
        "Shows how far the run in a work directory is, from any other terminal; afterwards, its \
         summary.",
        &[
            "pgcopydb list progress --dir /var/tmp/move",
            "pgcopydb list progress --dir /var/tmp/move --json",
            "pgcopydb list progress --dir /var/tmp/move --summary",
        ],
    ),
    example(
        "compare schema",
        "Shows where the schemas of both ends differ; exit code 8 when they do.",
        &["pgcopydb compare schema"],
    ),
    example(
        "compare data",
        "Shows which tables differ in their rows; exit code 8 when any does.",
        &["pgcopydb compare data --jobs 8"],
    ),
    example(
        "check",
        "Looks at both ends and lists what would stop a migration, with what resolves it. Changes \
         nothing.",
        &["pgcopydb check"],
    ),
    example("ping", "Connects to both ends, and says which versions answered.", &["pgcopydb ping"]),
    example(
        "stream setup",
        "Prepares the target for changes, after `snapshot --follow` has made the slot.",
        &["pgcopydb stream setup --dir /var/tmp/move"],
    ),
    example(
        "stream cleanup",
        "Removes the slot, the publication and the origin of a migration that has ended.",
        &["pgcopydb stream cleanup --dir /var/tmp/move"],
    ),
    example(
        "stream prune",
        "Removes files of received changes that have been applied.",
        &["pgcopydb stream prune --dir /var/tmp/move"],
    ),
    example(
        "stream prefetch",
        "Receives changes and keeps them, without applying them.",
        &["pgcopydb stream prefetch --dir /var/tmp/move"],
    ),
    example(
        "stream catchup",
        "Applies the changes that were received.",
        &["pgcopydb stream catchup --dir /var/tmp/move"],
    ),
    example(
        "stream replay",
        "Receives and applies changes.",
        &["pgcopydb stream replay --dir /var/tmp/move"],
    ),
    example(
        "stream receive",
        "Receives changes; for tests and for looking at what arrives.",
        &["pgcopydb stream receive --dir /var/tmp/move"],
    ),
    example(
        "stream transform",
        "Shows received changes as SQL.",
        &["pgcopydb stream transform --dir /var/tmp/move"],
    ),
    example(
        "stream apply",
        "Applies received changes.",
        &["pgcopydb stream apply --dir /var/tmp/move"],
    ),
    example(
        "stream sentinel setup",
        "Sets where changes begin and end.",
        &["pgcopydb stream sentinel setup 0/1000000 0/2000000 --dir /var/tmp/move"],
    ),
    example(
        "stream sentinel get",
        "Shows the positions of a migration.",
        &["pgcopydb stream sentinel get --dir /var/tmp/move"],
    ),
    example(
        "stream sentinel set startpos",
        "Sets where changes begin.",
        &["pgcopydb stream sentinel set startpos 0/1000000 --dir /var/tmp/move"],
    ),
    example(
        "stream sentinel set endpos",
        "Sets where changes end: the cutover.",
        &["pgcopydb stream sentinel set endpos 0/2000000 --dir /var/tmp/move"],
    ),
    example(
        "stream sentinel set apply",
        "Lets changes be applied.",
        &["pgcopydb stream sentinel set apply --dir /var/tmp/move"],
    ),
    example(
        "stream sentinel set prefetch",
        "Lets changes be received only.",
        &["pgcopydb stream sentinel set prefetch --dir /var/tmp/move"],
    ),
    example("version", "Prints the version.", &["pgcopydb version --json"]),
    example(
        "completions",
        "Prints the completion script of a shell.",
        &["pgcopydb completions bash"],
    ),
    example("man", "Writes a man page per command.", &["pgcopydb man /usr/local/share/man/man1"]),
    example(
        "help",
        "Prints the tree of commands, or the usage of one.",
        &["pgcopydb help copy table-data"],
    ),
];

/// The example of a command.
pub fn of(command: &str) -> Option<&'static Example> {
    EXAMPLES.iter().find(|example| example.command == command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{args, usage};

    /// The words of a command line, quotes taken off.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (index, piece) in line.split('\'').enumerate() {
            match index % 2 {
                0 => words.extend(piece.split_whitespace().map(str::to_owned)),
                _ => words.push(piece.to_owned()),
            }
        }
        words
    }

    #[test]
    fn every_example_of_a_command_there_is_parses() {
        let root = args::command();
        for example in EXAMPLES {
            let path: Vec<&str> = example.command.split(' ').collect();
            let found = usage::find(&root, &path);
            if usage::path(found) != format!("pgcopydb {}", example.command) {
                continue;
            }
            for line in example.lines {
                let parsed = root.clone().try_get_matches_from(words(line));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }
}
