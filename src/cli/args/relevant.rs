//! Which options of a shared set a command uses. The others are accepted, because scripts give them to
//! every command of a group, left out of its usage, and named in a warning.

/// Options that every command of a shared set uses.
const ALWAYS: [&str; 12] = [
    "source",
    "target",
    "dir",
    "verbose",
    "debug",
    "trace",
    "quiet",
    "json",
    "version",
    "help",
    "file",
    "show-settings",
];

/// Options of a step about where it stands.
const RUN: [&str; 4] = ["resume", "restart", "not-consistent", "snapshot"];

/// Options of a step that receives changes.
const RECEIVE: [&str; 6] = [
    "wal2json-numeric-as-string",
    "endpos",
    "confirm",
    "max-replaydb-size",
    "max-changes-size",
    "resume",
];

/// Options that `check` looks at beside those of a schema: what is to be done, not how it continues.
const EXAMINED: [&str; 17] = [
    "all-databases",
    "table-jobs",
    "index-jobs",
    "restore-jobs",
    "large-objects-jobs",
    "split-tables-larger-than",
    "split-max-parts",
    "skip-split-by-ctid",
    "estimate-table-sizes",
    "copy-format",
    "follow",
    "requirements",
    "roles",
    "no-role-passwords",
    "skip-large-objects",
    "skip-vacuum",
    "skip-db-properties",
];

/// Options of commands that receive changes and apply them.
const CHANGES: [&str; 13] = [
    "plugin",
    "wal2json-numeric-as-string",
    "slot-name",
    "create-slot",
    "publication",
    "origin",
    "endpos",
    "replay-no-op-updates",
    "ignore-missing-rows",
    "confirm",
    "target-read-only",
    "max-replaydb-size",
    "max-changes-size",
];

/// Options of commands that apply changes which are here.
const APPLY: [&str; 7] = [
    "plugin",
    "origin",
    "endpos",
    "filters",
    "replay-no-op-updates",
    "ignore-missing-rows",
    "confirm",
];

/// Commands with a shared set of options, and what each uses of it.
const USED: [(&str, &[&[&str]]); 37] = [
    ("copy roles", &[&["no-role-passwords"]]),
    ("copy extensions", &[&RUN, &["requirements", "filters", "table-jobs", "fail-fast"]]),
    ("copy schema", &[&RUN, &SCHEMA, &["index-jobs", "restore-jobs", "requirements", "fail-fast"]]),
    (
        "copy data",
        &[
            &RUN,
            &ROWS,
            &["index-jobs", "large-objects-jobs", "skip-large-objects"],
            &["skip-vacuum", "no-owner", "no-acl", "no-comments"],
        ],
    ),
    ("copy table-data", &[&RUN, &ROWS]),
    (
        "copy blobs",
        &[
            &RUN,
            &["large-objects-jobs", "drop-if-exists", "no-owner", "no-acl"],
            &["no-comments", "fail-fast"],
        ],
    ),
    ("copy sequences", &[&RUN, &["filters"]]),
    ("copy indexes", &[&RUN, &["filters", "index-jobs", "fail-fast", "no-tablespaces"]]),
    ("copy constraints", &[&RUN, &["filters", "index-jobs", "fail-fast", "no-tablespaces"]]),
    ("dump schema", &[&RUN, &["filters", "skip-extensions"]]),
    ("dump roles", &[&["no-role-passwords"]]),
    ("restore schema", &[&RUN, &RESTORE]),
    ("restore pre-data", &[&RUN, &RESTORE]),
    ("restore post-data", &[&RUN, &RESTORE]),
    ("restore roles", &[]),
    ("restore parse-list", &[&RUN, &RESTORE]),
    ("list databases", &[]),
    ("list extensions", &[&["available-versions", "requirements"]]),
    ("list collations", &[]),
    ("list tables", &[&LIST, &["without-pkey", "estimate-table-sizes"]]),
    (
        "list table-parts",
        &[
            &["schema-name", "table-name", "split-tables-larger-than"],
            &["split-max-parts", "estimate-table-sizes", "skip-split-by-ctid"],
        ],
    ),
    ("list sequences", &[&["schema-name", "filters", "list-skipped"]]),
    ("list indexes", &[&LIST]),
    ("list depends", &[&LIST]),
    (
        "list schema",
        &[
            &["filters", "split-tables-larger-than", "split-max-parts"],
            &["estimate-table-sizes", "skip-split-by-ctid"],
        ],
    ),
    ("list progress", &[&["summary"]]),
    ("check", &[&EXAMINED, &SCHEMA]),
    ("follow", &[&CHANGES, &["resume", "restart", "filters"]]),
    ("stream setup", &[&["origin", "endpos"]]),
    ("stream cleanup", &[&["slot-name", "origin", "publication"]]),
    ("stream prefetch", &[&RECEIVE]),
    ("stream receive", &[&RECEIVE, &["to-stdout"]]),
    ("stream prune", &[&["dry-run"]]),
    ("stream catchup", &[&APPLY]),
    ("stream replay", &[&APPLY, &RECEIVE, &["slot-name", "target-read-only"]]),
    ("stream apply", &[&APPLY, &["from-stdin"]]),
    ("stream transform", &[&["endpos", "replay-no-op-updates"]]),
];

/// Options of commands that restore a schema straight from the source.
const SCHEMA: [&str; 9] = [
    "filters",
    "skip-extensions",
    "skip-ext-comments",
    "skip-collations",
    "drop-if-exists",
    "no-owner",
    "no-acl",
    "no-comments",
    "no-tablespaces",
];

/// Options of the `restore` commands.
const RESTORE: [&str; 9] = [
    "restore-jobs",
    "filters",
    "drop-if-exists",
    "no-owner",
    "no-acl",
    "no-comments",
    "no-tablespaces",
    "skip-extensions",
    "skip-ext-comments",
];

/// Options of commands that copy rows.
const ROWS: [&str; 10] = [
    "table-jobs",
    "split-tables-larger-than",
    "split-max-parts",
    "skip-split-by-ctid",
    "estimate-table-sizes",
    "skip-analyze",
    "copy-format",
    "use-copy-binary",
    "filters",
    "fail-fast",
];

/// Options of lists that filters shape.
const LIST: [&str; 4] = ["schema-name", "table-name", "filters", "list-skipped"];

/// Whether a command uses an option; commands that share no set use all of theirs.
pub(super) fn is_used(command: &str, option: &str) -> bool {
    let Some((_, used)) = USED.iter().find(|(name, _)| *name == command) else { return true };
    ALWAYS.contains(&option) || used.iter().any(|group| group.contains(&option))
}

/// The options that were given on the command line and that the command does not use, without dashes.
pub fn unused(matches: &clap::ArgMatches) -> (String, Vec<String>) {
    let (mut path, mut own) = (Vec::new(), matches);
    while let Some((name, inner)) = own.subcommand() {
        path.push(name);
        own = inner;
    }
    let path = path.join(" ");
    // Groups of options are among the identifiers, under the names of their types.
    let given = own
        .ids()
        .map(clap::Id::as_str)
        .filter(|id| !id.contains(char::is_uppercase))
        .filter(|id| own.value_source(id) == Some(clap::parser::ValueSource::CommandLine));
    let names = given.map(|id| id.replace('_', "-"));
    let unused = names.filter(|option| !is_used(&path, option)).collect();
    (path, unused)
}
