//! Gate: every command and every option is passed to the program by a test that `docs/options.md` names.
//!
//! The page is made from the command tree by `UPDATE_DOCUMENTS=1 cargo test --test gates`; its last column
//! is written by hand and kept. A test passes an option when its long name, an alias, its letter or its
//! variable stands in the test, or in a function or constant of the same file that the test names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::hold;
use super::source::{read, root};

use pgcopydb::cli::{args, reference, usage, variables};

/// Options that every command has; they are listed once.
const COMMON: [&str; 6] = ["verbose", "debug", "trace", "quiet", "version", "help"];

/// What the page says of itself.
const HEAD: &str = "# Commands and options, and the tests that pass them\n\n\
    Made from the command tree (`tests/gates/options.rs` says how); the last column is written by hand: \
    tests that pass the option to the program and look at its effect. A gate demands one for every \
    command, and for every option once per group of commands that share it.\n";

/// A row of the page: what it is about, and in which words a test may name it.
struct Row {
    /// Cell of the first column.
    cell: String,
    /// Commands that use it.
    commands: Vec<String>,
    /// Words of which one must stand in a test.
    words: Vec<String>,
}

/// Rows by section and key, in the order of the page.
type Page = BTreeMap<String, BTreeMap<String, Row>>;

/// The group whose commands share their options with this one.
fn group(command: &str) -> &str {
    match command {
        "fork" | "copy db" | "check" => "clone",
        _ if command.starts_with("stream sentinel ") => "stream sentinel",
        _ => command.split(' ').next().unwrap_or_default(),
    }
}

/// What the page must hold.
fn wanted() -> Page {
    let root_command = args::command();
    let mut page = Page::new();
    for command in reference::leaves(&root_command) {
        let name = usage::path(command).trim_start_matches("pgcopydb ").to_owned();
        let row = Row {
            cell: format!("`{name}`"),
            commands: Vec::new(),
            words: vec![name.clone(), format!("\"{}\"", name.replace(' ', "\", \""))],
        };
        page.entry("Commands".to_owned()).or_default().insert(name.clone(), row);
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long() else { continue };
            let common = COMMON.contains(&long);
            if argument.is_hide_set() && !common {
                continue;
            }
            let section = if common { "every command" } else { group(&name) };
            let rows = page.entry(format!("Options of {section}")).or_default();
            let row = rows.entry(long.to_owned()).or_insert_with(|| option(argument, long));
            if !common {
                row.commands.push(name.clone());
            }
        }
    }
    page
}

/// The row of an option.
fn option(argument: &clap::Arg, long: &str) -> Row {
    let mut words = vec![format!("--{long}")];
    let aliases = argument.get_all_aliases().unwrap_or_default();
    words.extend(aliases.iter().map(|alias| format!("--{alias}")));
    let letter = argument.get_short().map(|letter| format!("-{letter}"));
    let variable = variables::of_option(long).map(str::to_owned);
    let shown = words.iter().chain(&letter).chain(&variable);
    let cell = shown.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ");
    words.extend(letter.map(|letter| format!("\"{letter}\"")));
    words.extend(variable);
    Row { cell, commands: Vec::new(), words }
}

/// The tests that the page names, by section and first cell's first word.
fn named(text: &str) -> BTreeMap<(String, String), String> {
    let (mut found, mut section) = (BTreeMap::new(), String::new());
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, first, .., last, _] = cells[..]
            && let Some(key) = first.split('`').nth(1)
        {
            let key = key.trim_start_matches('-').to_owned();
            found.insert((section.clone(), key), last.to_owned());
        }
    }
    found
}

/// The page as it should be, with the tests that are named now.
fn render(page: &Page, tests: &BTreeMap<(String, String), String>) -> String {
    let mut text = HEAD.to_owned();
    for (section, rows) in page {
        let with_commands = rows.values().any(|row| !row.commands.is_empty());
        let _ = match with_commands {
            true => write!(text, "\n## {section}\n\n| option | of | tests |\n|---|---|---|\n"),
            false => write!(text, "\n## {section}\n\n| | tests |\n|---|---|\n"),
        };
        let all = rows.values().map(|row| row.commands.len()).max().unwrap_or_default();
        for (key, row) in rows {
            let test = tests.get(&(section.clone(), key.clone())).map_or("", String::as_str);
            let of = match (with_commands, row.commands.len() == all) {
                (false, _) => String::new(),
                (true, true) => " all |".to_owned(),
                (true, false) => format!(" {} |", row.commands.join(", ")),
            };
            let _ = writeln!(text, "| {} |{of} {test} |", row.cell);
        }
    }
    text
}

#[test]
fn every_command_and_option_is_passed_by_a_test() {
    let path = root().join("docs/options.md");
    let found = if path.is_file() { read(&path) } else { String::new() };
    let (page, tests) = (wanted(), named(&found));
    let text = render(&page, &tests);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, &text).expect("docs/options.md can be written");
    } else if found != text {
        hold(
            "people look up what is tested",
            &["docs/options.md differs; UPDATE_DOCUMENTS=1 cargo test --test gates".to_owned()],
        );
    }
    let mut violations = Vec::new();
    for (section, rows) in &page {
        for (key, row) in rows {
            let cell = tests.get(&(section.clone(), key.clone())).map_or("", String::as_str);
            violations.extend(missing(cell, row).map(|why| format!("{section}: {key}: {why}")));
        }
    }
    hold("an option that no test passes may do nothing, and nobody would know", &violations);
}

/// What is wrong with the tests that a cell names.
fn missing(cell: &str, row: &Row) -> Option<String> {
    let tests: Vec<(&str, &str)> =
        cell.split('`').filter_map(|word| word.split_once(".rs::")).collect();
    if tests.is_empty() {
        return Some("no test is named".to_owned());
    }
    let mut passed = false;
    for (stem, name) in tests {
        let path = root().join(format!("{stem}.rs"));
        if !path.is_file() {
            return Some(format!("there is no file {stem}.rs"));
        }
        let text = read(&path);
        let Some(reach) = reach(&text, name) else {
            return Some(format!("{stem}.rs has no test {name}"));
        };
        passed |= row.words.iter().any(|word| holds(&reach, word));
    }
    (!passed).then(|| format!("no test that is named passes any of {}", row.words.join(", ")))
}

/// Whether a word stands in a text, not as the beginning of a longer one.
fn holds(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(start, _)| {
        let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let after = text[start + word.len()..].chars().next();
        !after.is_some_and(goes_on) && !text[..start].ends_with(goes_on)
    })
}

/// A test with the functions and constants of its file that it names; `None` when there is no such test.
fn reach(text: &str, test: &str) -> Option<String> {
    /// How far names are followed: a test, its helper, the helper's constant.
    const STEPS: usize = 3;
    let items = items(text);
    let mut reached = vec![test];
    items.get(test)?;
    for _ in 0..STEPS {
        let bodies: Vec<&str> = reached.iter().map(|name| items[name]).collect();
        let more: Vec<&str> = (items.keys())
            .filter(|name| !reached.contains(name))
            .filter(|name| bodies.iter().any(|body| holds(body, name)))
            .copied()
            .collect();
        reached.extend(more);
    }
    Some(reached.iter().map(|name| items[name]).collect())
}

/// Functions and constants of a file by name: from their first line to the next item.
fn items(text: &str) -> BTreeMap<&str, &str> {
    let mut starts: Vec<(usize, &str)> = Vec::new();
    for (keyword, end) in [("fn ", "(<"), ("const ", ":")] {
        for (start, _) in text.match_indices(keyword) {
            let before = text[..start].chars().next_back();
            let name = &text[start + keyword.len()..];
            let name = &name[..name.find(|c| end.contains(c)).unwrap_or_default()];
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            if is_name && before.is_none_or(char::is_whitespace) {
                starts.push((start, name));
            }
        }
    }
    starts.sort_unstable();
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    starts.iter().zip(ends).map(|((start, name), end)| (*name, &text[*start..end])).collect()
}

#[test]
fn what_a_test_reaches_is_told_from_what_it_does_not() {
    let text = "const A: &str = \"--one\";\nfn helper() { run(A) }\n\
                fn a_test() { helper() }\nfn other() { run(\"--two\") }\n";
    let reach = reach(text, "a_test").expect("a test");
    assert!(holds(&reach, "--one") && !holds(&reach, "--two") && !holds(&reach, "--on"));
    assert!(super::options::reach(text, "nothing").is_none());
}
