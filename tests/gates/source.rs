//! The source tree as text: code without comments, and the string literals apart.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file, taken apart.
pub(super) struct RustFile {
    /// Path below the repository.
    pub(super) path: PathBuf,
    /// Code without comments, contents of string literals and test modules.
    pub(super) code: String,
    /// String literals outside of test modules.
    pub(super) strings: Vec<String>,
}

/// The repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` with this extension, sorted; none when the folder does not exist.
pub(super) fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text of a file.
pub(super) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A path below the repository, for messages.
pub(super) fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// All Rust files below `folder`, files of tests left out.
pub(super) fn rust_files(folder: &str) -> Vec<RustFile> {
    files(folder, "rs").iter().filter(|path| !is_test_file(path)).map(|path| parse(path)).collect()
}

/// All Rust files below `folder`.
pub(super) fn rust_files_with_tests(folder: &str) -> Vec<RustFile> {
    files(folder, "rs").iter().map(|path| parse(path)).collect()
}

/// Takes a file apart.
fn parse(path: &Path) -> RustFile {
    let (code, strings) = take_apart(without_tests(&read(path)));
    RustFile { path: PathBuf::from(short(path)), code, strings }
}

/// Whether a file holds tests only, by its name.
fn is_test_file(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem == "tests"
        || stem.ends_with("_tests")
        || path.components().any(|part| part.as_os_str() == "tests")
}

/// The text up to the test module, which stands last by convention.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\n").map_or(text, |end| &text[..end])
}

/// Separates code from string literals and drops comments.
fn take_apart(text: &str) -> (String, Vec<String>) {
    let (mut code, mut strings) = (String::new(), Vec::new());
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let mut index = 0;
    while index < characters.len() {
        match (at(index), at(index + 1)) {
            ('/', '/') => {
                while index < characters.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            ('r', '"') | ('r', '#') if !at(index.wrapping_sub(1)).is_alphanumeric() => {
                let hashes = (index + 1..).take_while(|position| at(*position) == '#').count();
                if at(index + 1 + hashes) != '"' {
                    code.push('r');
                    index += 1;
                    continue;
                }
                let start = index + 2 + hashes;
                let is_end = |position: usize| {
                    at(position) == '"' && (1..=hashes).all(|offset| at(position + offset) == '#')
                };
                let end = (start..characters.len()).find(|position| is_end(*position));
                let end = end.unwrap_or(characters.len());
                strings.push(characters[start..end].iter().collect());
                code.push_str("\"\"");
                index = end + 1 + hashes;
            }
            ('"', _) => {
                let mut literal = String::new();
                index += 1;
                while index < characters.len() && at(index) != '"' {
                    if at(index) == '\\' {
                        index += 1;
                    }
                    literal.push(at(index));
                    index += 1;
                }
                strings.push(literal);
                code.push_str("\"\"");
                index += 1;
            }
            ('\'', '\\') => {
                // '\n', '\'', '\u{1b}': up to the closing quote.
                index += 3;
                while index < characters.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            (character, _) => {
                code.push(character);
                index += 1;
            }
        }
    }
    (code, strings)
}

#[test]
fn comments_and_literals_are_told_apart() {
    let (code, strings) = take_apart(
        "use a; // use b\nlet x = \"c // \\\" d\"; let y = r#\"e \"f\"#; let z = '\"'; g('\\'', 'h')",
    );
    assert_eq!(strings, ["c // \" d", "e \"f"]);
    assert_eq!(code, "use a; \nlet x = \"\"; let y = \"\"; let z = ; g(, )");
}
