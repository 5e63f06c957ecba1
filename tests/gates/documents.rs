//! Gates: the documents say what the program does.
//!
//! The command reference is rewritten by `UPDATE_DOCUMENTS=1 cargo test --test gates`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::hold;
use super::source::{files, read, root, rust_files, rust_files_with_tests, short};

use pgcopydb::cli::exit::Exit;
use pgcopydb::cli::{args, reference, variables};

/// Long options of other programs that messages and pages name.
const FOREIGN_OPTIONS: [&str; 22] = [
    // cargo
    "release",
    // pg_config
    "bindir",
    // pg_dump, pg_dumpall, pg_restore
    "clean",
    "database",
    "dbname",
    "encoding",
    "exclude-schema",
    "file",
    "format",
    "if-exists",
    "list",
    "lock-wait-timeout",
    "no-blobs",
    "no-password",
    "no-privileges",
    "roles-only",
    "schema",
    "schema-only",
    "section",
    "single-transaction",
    "transaction-size",
    "use-list",
];

#[test]
fn command_reference_equals_help() {
    let path = root().join("docs/cli.md");
    let wanted = reference::markdown(&args::command());
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, &wanted).expect("docs/cli.md can be written");
    }
    let found = if path.is_file() { read(&path) } else { String::new() };
    let difference: Vec<String> = (found != wanted)
        .then(|| {
            let line = found.lines().zip(wanted.lines()).take_while(|(a, b)| a == b).count() + 1;
            format!("docs/cli.md:{line} differs; UPDATE_DOCUMENTS=1 cargo test --test gates")
        })
        .into_iter()
        .collect();
    hold("people read about options that do not exist, or miss those that do", &difference);
}

#[test]
fn every_command_has_a_page_with_an_example() {
    let root_command = args::command();
    let directory = root().join("docs/commands");
    let wanted = reference::pages(&root_command);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("docs/commands can be made");
        for (name, page) in &wanted {
            fs::write(directory.join(name), page).expect("a page can be written");
        }
    }
    let mut violations = Vec::new();
    for (name, page) in &wanted {
        let path = directory.join(name);
        let found = if path.is_file() { read(&path) } else { String::new() };
        if found != *page {
            violations.push(format!(
                "docs/commands/{name} differs; UPDATE_DOCUMENTS=1 cargo test --test gates"
            ));
        }
        if !page.contains("```sh\n") {
            violations.push(format!("docs/commands/{name}: no example in src/cli/examples.rs"));
        }
    }
    let stale = files("docs/commands", "md").into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        !wanted.contains_key(&name)
    });
    violations.extend(stale.map(|path| format!("{}: there is no such command", short(&path))));
    hold("people learn commands from their pages", &violations);
}

#[test]
fn every_option_that_is_named_exists() {
    let known = reference::long_options(&args::command());
    let mut violations = Vec::new();
    for file in rust_files("src") {
        for option in file.strings.iter().flat_map(|text| options(text)) {
            if !known.contains(&option) && !FOREIGN_OPTIONS.contains(&option.as_str()) {
                violations.push(format!("{}: --{option}", file.path.display()));
            }
        }
    }
    let own: BTreeSet<String> = tool_strings().iter().flat_map(|text| options(text)).collect();
    for path in pages() {
        for option in options(&read(&path)) {
            let is_known = known.contains(&option) || own.contains(&option);
            if !is_known && !FOREIGN_OPTIONS.contains(&option.as_str()) {
                violations.push(format!("{}: --{option}", short(&path)));
            }
        }
    }
    hold("a hint that names an option which does not exist sends people into a wall", &violations);
}

#[test]
fn every_variable_is_documented() {
    let known: BTreeSet<&str> = variables::MIRRORED
        .iter()
        .map(|variable| variable.name)
        .chain(variables::OTHERS.iter().map(|variable| variable.name))
        .collect();
    let own = tool_strings().join("\n");
    let mut violations = Vec::new();
    let texts = rust_files("src")
        .into_iter()
        .map(|file| (file.path.display().to_string(), file.strings.join("\n")))
        .chain(pages().into_iter().map(|path| (short(&path), read(&path))));
    for (place, text) in texts {
        for word in
            text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        {
            if word.starts_with("PGCOPYDB_") && !known.contains(word) && !own.contains(word) {
                violations.push(format!("{place}: {word}"));
            }
        }
    }
    hold("a variable that nobody can look up changes runs behind people's backs", &violations);
}

#[test]
fn every_error_class_and_exit_code_is_documented() {
    let page = read(&root().join("docs/errors.md"));
    let row = |cell: &str| page.lines().any(|line| line.starts_with(&format!("| {cell} |")));
    let mut violations: Vec<String> = variants("src/base/error/class.rs", "pub enum Class {")
        .into_iter()
        .map(|class| format!("`{class}`"))
        .chain(
            variants("src/base/error/mod.rs", "pub enum ErrorKind {")
                .into_iter()
                .map(|kind| format!("`{kind}`")),
        )
        .chain(Exit::ALL.iter().map(|exit| exit.code().to_string()))
        .filter(|cell| !row(cell))
        .map(|cell| format!("docs/errors.md: no row for {cell}"))
        .collect();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cell = line.split('|').nth(1).unwrap_or_default().trim();
        let stale =
            cell.parse().is_ok_and(|code: u8| !Exit::ALL.iter().any(|exit| exit.code() == code));
        if stale {
            violations.push(format!("docs/errors.md: there is no exit code {cell}"));
        }
    }
    hold(
        "scripts act on exit codes: one that is not written down cannot be relied upon",
        &violations,
    );
}

/// Texts of the developers' own tools, whose options and variables the pages may name.
fn tool_strings() -> Vec<String> {
    rust_files_with_tests("tests/testbed").into_iter().flat_map(|file| file.strings).collect()
}

/// Pages about the program as it is; decisions and traps speak of what may come.
fn pages() -> Vec<std::path::PathBuf> {
    let mut pages = files("docs", "md");
    pages.extend(Some(root().join("README.md")).filter(|path| path.is_file()));
    let speaks_of_today = |path: &std::path::PathBuf| {
        !path.starts_with(root().join("docs/decisions")) && !path.ends_with(Path::new("traps.md"))
    };
    pages.into_iter().filter(speaks_of_today).collect()
}

/// Long options in a text, without dashes.
fn options(text: &str) -> Vec<String> {
    text.match_indices("--")
        .filter(|(start, _)| {
            !text[..*start].ends_with(|before: char| before.is_alphanumeric() || before == '-')
        })
        .map(|(start, _)| {
            let rest = text[start + 2..].trim_start_matches('-');
            let end = rest
                .find(|character: char| {
                    !character.is_ascii_lowercase()
                        && !character.is_ascii_digit()
                        && character != '-'
                })
                .unwrap_or(rest.len());
            rest[..end].trim_end_matches('-').to_owned()
        })
        .filter(|option| option.len() > 1)
        .collect()
}

/// Names of an enum's variants, read from its source.
fn variants(path: &str, head: &str) -> Vec<String> {
    let text = read(&root().join(path));
    let body =
        text.split(head).nth(1).and_then(|rest| rest.split("\n}").next()).unwrap_or_default();
    let names: Vec<String> = body
        .lines()
        .filter(|line| line.starts_with("    ") && !line.starts_with("     "))
        .filter_map(|line| {
            let name: String = line.trim().chars().take_while(|c| c.is_alphanumeric()).collect();
            name.chars().next().filter(char::is_ascii_uppercase).map(|_| name)
        })
        .collect();
    assert!(names.len() > 3, "the variants in {path} cannot be read");
    names
}

#[test]
fn options_are_told_from_dashes() {
    assert_eq!(
        options("use --table-jobs=4 or --jobs, -- not ---x nor a--b"),
        ["table-jobs", "jobs"]
    );
}
