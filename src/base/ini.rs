//! A reader for INI files whose entries are free text: filter files, `pg_service.conf`.
//!
//! Lines are the unit. A line is blank, a comment (first non-blank character `;` or `#`), a header
//! `[name]`, or an entry; an entry is kept whole, whatever it holds: quotes, `=`, `:`, `#`, regular
//! expressions. Blanks at both ends of a line, carriage returns and a byte order mark at the start
//! of the text are dropped; the last line needs no line end. Sections and entries may repeat; nothing
//! is merged or sorted, and every line keeps its number.

/// One section: a header and the entries below it, up to the next header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Text between the brackets, without blanks at its ends. Empty for entries that stand before
    /// the first header.
    pub name: String,
    /// Line of the header, counted from 1; 0 for entries that stand before the first header.
    pub line: usize,
    /// The entries, in file order.
    pub entries: Vec<Entry>,
}

/// One entry of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its line, counted from 1.
    pub line: usize,
    /// The whole line without blanks at its ends; never empty.
    pub text: String,
}

/// A line that cannot be understood. The text of the line is not part of the error, because a
/// service file may hold passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct IniError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub kind: IniErrorKind,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IniErrorKind {
    /// A header starts with `[` and does not end with `]`.
    #[error("section header without closing \"]\" at its end")]
    UnclosedHeader,
    /// `[]`.
    #[error("section header without a name")]
    EmptyHeader,
}

/// Splits a text into its sections.
///
/// Entries before the first header come first, in a section without a name; callers that want none
/// reject it like any other name they do not know.
///
/// # Errors
/// A header that does not end with `]` or has no name.
pub fn parse(text: &str) -> Result<Vec<Section>, IniError> {
    let mut sections: Vec<Section> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, raw) in text.split('\n').enumerate() {
        let number = index + 1;
        let line = raw.trim_matches(is_blank);
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let name = header_name(rest).map_err(|kind| IniError { line: number, kind })?;
            sections.push(Section { name, line: number, entries: Vec::new() });
            continue;
        }
        let entry = Entry { line: number, text: line.to_owned() };
        match sections.last_mut() {
            Some(section) => section.entries.push(entry),
            None => sections.push(Section { name: String::new(), line: 0, entries: vec![entry] }),
        }
    }
    Ok(sections)
}

/// The name in a header, given what follows the opening bracket.
fn header_name(rest: &str) -> Result<String, IniErrorKind> {
    let name = rest.strip_suffix(']').ok_or(IniErrorKind::UnclosedHeader)?.trim_matches(is_blank);
    if name.is_empty() {
        return Err(IniErrorKind::EmptyHeader);
    }
    Ok(name.to_owned())
}

/// Characters dropped at both ends of a line: the ASCII ones that C's `isspace` knows.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A section with entries given as (line, text).
    fn section(name: &str, line: usize, entries: &[(usize, &str)]) -> Section {
        let entries =
            entries.iter().map(|(line, text)| Entry { line: *line, text: (*text).to_owned() });
        Section { name: name.to_owned(), line, entries: entries.collect() }
    }

    #[test]
    fn entries_keep_every_character_of_their_line() {
        let lines = [
            "public.orders",
            "\"We:ird=Name\".\"a ; b # c\"",
            "a = b",
            "key:value",
            "~/^tmp_[0-9]+#y/",
            "public.\"~/x/\"",
            "\"[brackets]\"",
            "naïve.表",
        ];
        for line in lines {
            let text = format!("[s]\n{line}\n");
            assert_eq!(parse(&text).unwrap(), [section("s", 1, &[(2, line)])]);
        }
    }

    #[test]
    fn comments_and_blank_lines_count_but_yield_nothing() {
        let text = "; one\n# two\n\n  ; three\n\t# four\n[s]\n \t \nx\n";
        assert_eq!(parse(text).unwrap(), [section("s", 6, &[(8, "x")])]);
    }

    #[test]
    fn crlf_trailing_blanks_and_missing_last_newline_do_not_matter() {
        let expected = [section("s", 1, &[(2, "a"), (3, "b")])];
        for text in ["[s]\r\na\r\nb\r\n", "[s]\na\nb", "[s]  \n  a \t\nb \r", "\u{feff}[s]\na\nb\n"]
        {
            assert_eq!(parse(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn repeated_sections_and_entries_stay_apart_and_in_order() {
        let text = "[s]\na\na\n[t]\n[s]\na\n";
        let expected = [
            section("s", 1, &[(2, "a"), (3, "a")]),
            section("t", 4, &[]),
            section("s", 5, &[(6, "a")]),
        ];
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn entries_before_the_first_header_have_a_section_without_name() {
        let expected = [section("", 0, &[(1, "x")]), section("s", 2, &[])];
        assert_eq!(parse("x\n[s]\n").unwrap(), expected);
    }

    #[test]
    fn bad_headers_name_their_line() {
        let cases = [
            ("[ok]\n[open\n", 2, IniErrorKind::UnclosedHeader),
            ("[a] b", 1, IniErrorKind::UnclosedHeader),
            ("\n\n[]", 3, IniErrorKind::EmptyHeader),
            ("[  ]", 1, IniErrorKind::EmptyHeader),
        ];
        for (text, line, kind) in cases {
            assert_eq!(parse(text), Err(IniError { line, kind }), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_names_one_of_its_lines(text in "\\PC*(\n\\PC*){0,8}") {
            match parse(&text) {
                Ok(sections) => {
                    for entry in sections.iter().flat_map(|section| &section.entries) {
                        let line = text.split('\n').nth(entry.line - 1).unwrap();
                        prop_assert!(line.contains(&entry.text));
                    }
                }
                Err(error) => prop_assert!((1..=text.split('\n').count()).contains(&error.line)),
            }
        }
    }
}
