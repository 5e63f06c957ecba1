//! From the text of a filter file to rules.
//!
//! Entries of tables and indexes are `schema.name`; either side is a bare name, a name in double
//! quotes (a quote inside is doubled), or a pattern `~/re/`. The character behind `~` delimits the
//! pattern: `/ ' " | # $` close with themselves, `[ { ( <` with their pair. There are no escapes, so
//! the delimiter cannot be part of the pattern; `~/a/~|b|` joins several pieces into one pattern.

use super::error::{FilterError, FilterErrorKind};
use super::rule::{FilterSet, Matcher, Rule, RuleId};
use super::section::Section;
use crate::base::ini;

/// Reads a filter file. Sections may repeat; their entries add up.
///
/// # Errors
/// The first line that cannot be understood, with its number; sections that contradict each other.
pub fn parse(text: &str) -> Result<FilterSet, FilterError> {
    let sections = ini::parse(text).map_err(|error| FilterError {
        line: error.line,
        kind: FilterErrorKind::Syntax(error.kind),
    })?;
    let mut set = FilterSet::default();
    for found in sections {
        if found.name.is_empty() {
            if let Some(entry) = found.entries.first() {
                return Err(FilterError { line: entry.line, kind: FilterErrorKind::NoSection });
            }
            continue;
        }
        let section = Section::ALL.into_iter().find(|section| section.name() == found.name);
        let Some(section) = section else {
            let kind = FilterErrorKind::UnknownSection(found.name);
            return Err(FilterError { line: found.line, kind });
        };
        for entry in found.entries {
            let id = RuleId(u32::try_from(set.rules.len()).unwrap_or(u32::MAX));
            let parsed = parse_entry(section, &entry.text)
                .map_err(|kind| FilterError { line: entry.line, kind })?;
            let ParsedEntry { schema, name, bare } = parsed;
            let (line, text) = (entry.line, entry.text);
            set.rules.push(Rule { id, section, line, text, schema, name, bare });
        }
    }
    set.check()?;
    Ok(set)
}

/// The names of an entry.
struct ParsedEntry {
    schema: Option<Matcher>,
    name: Matcher,
    bare: bool,
}

/// Reads one entry.
fn parse_entry(section: Section, text: &str) -> Result<ParsedEntry, FilterErrorKind> {
    match section {
        Section::IncludeOnlySchema | Section::ExcludeSchema => {
            let (part, rest) = schema_part(text, text)?;
            end(rest, text)?;
            Ok(ParsedEntry { schema: None, name: part.matcher, bare: part.bare })
        }
        Section::IncludeOnlyTable
        | Section::ExcludeTable
        | Section::ExcludeTableData
        | Section::ExcludeIndex => {
            let (schema, rest) = part(text, text)?;
            let Some(rest) = rest.strip_prefix('.') else {
                return Err(match rest.is_empty() {
                    true => FilterErrorKind::NoDot(text.to_owned()),
                    false => trailing(rest, text),
                });
            };
            let (name, rest) = part(rest, text)?;
            if rest.starts_with('.') {
                return Err(FilterErrorKind::ExtraDot(text.to_owned()));
            }
            end(rest, text)?;
            Ok(ParsedEntry { schema: Some(schema.matcher), name: name.matcher, bare: name.bare })
        }
        Section::IncludeOnlyExtension | Section::ExcludeExtension => {
            let (part, rest) = schema_part(text, text)?;
            end(rest, text)?;
            if part.matcher.pattern().is_some() {
                return Err(FilterErrorKind::ExtensionPattern(text.to_owned()));
            }
            Ok(ParsedEntry { schema: None, name: part.matcher, bare: part.bare })
        }
    }
}

/// One side of an entry.
struct Part {
    matcher: Matcher,
    /// Written without quotes.
    bare: bool,
}

/// Reads a name or pattern up to a dot outside quotes or the end; returns the rest with the dot.
fn part<'a>(text: &'a str, entry: &str) -> Result<(Part, &'a str), FilterErrorKind> {
    part_until(text, entry, text.find('.').unwrap_or(text.len()))
}

/// Reads a name or pattern that stands alone: a bare name may hold dots.
fn schema_part<'a>(text: &'a str, entry: &str) -> Result<(Part, &'a str), FilterErrorKind> {
    part_until(text, entry, text.len())
}

/// Reads a name or pattern; a bare name ends at `bare_end`.
fn part_until<'a>(
    text: &'a str,
    entry: &str,
    bare_end: usize,
) -> Result<(Part, &'a str), FilterErrorKind> {
    let (matcher, bare, rest) = if text.starts_with('~') {
        let (pattern, rest) = pattern(text, entry)?;
        (Matcher::Pattern(pattern), false, rest)
    } else if let Some(inner) = text.strip_prefix('"') {
        let (name, rest) = quoted(inner, entry)?;
        (Matcher::Exact(name), false, rest)
    } else {
        let (name, rest) = text.split_at_checked(bare_end).unwrap_or((text, ""));
        if let Some(found) = name.chars().find(|found| matches!(found, '"' | '~')) {
            return Err(FilterErrorKind::Stray { text: entry.to_owned(), found });
        }
        (Matcher::Exact(name.to_owned()), true, rest)
    };
    let (Matcher::Exact(inner) | Matcher::Pattern(inner)) = &matcher;
    if inner.is_empty() {
        return Err(FilterErrorKind::Empty(entry.to_owned()));
    }
    Ok((Part { matcher, bare }, rest))
}

/// Reads a quoted name behind its opening quote.
fn quoted<'a>(text: &'a str, entry: &str) -> Result<(String, &'a str), FilterErrorKind> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let Some((before, after)) = rest.split_once('"') else {
            return Err(FilterErrorKind::OpenQuote(entry.to_owned()));
        };
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Ok((name, after)),
        }
    }
}

/// Reads one or several `~/…/` and joins them.
fn pattern<'a>(text: &'a str, entry: &str) -> Result<(String, &'a str), FilterErrorKind> {
    let mut pattern = String::new();
    let mut rest = text;
    while let Some(delimited) = rest.strip_prefix('~') {
        let mut characters = delimited.chars();
        let close = match characters.next() {
            Some(same @ ('/' | '\'' | '"' | '|' | '#' | '$')) => same,
            Some('[') => ']',
            Some('{') => '}',
            Some('(') => ')',
            Some('<') => '>',
            _ => return Err(FilterErrorKind::NoDelimiter(entry.to_owned())),
        };
        let Some((inner, after)) = characters.as_str().split_once(close) else {
            let text = entry.to_owned();
            return Err(FilterErrorKind::OpenPattern { text, delimiter: close });
        };
        pattern.push_str(inner);
        rest = after;
    }
    Ok((pattern, rest))
}

/// Checks that nothing is left of an entry.
fn end(rest: &str, entry: &str) -> Result<(), FilterErrorKind> {
    if rest.is_empty() { Ok(()) } else { Err(trailing(rest, entry)) }
}

/// The error for text behind a name.
fn trailing(rest: &str, entry: &str) -> FilterErrorKind {
    FilterErrorKind::Trailing { text: entry.to_owned(), rest: rest.to_owned() }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
