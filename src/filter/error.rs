//! What can be wrong with a filter file, by itself and against a source.

use super::section::Section;

/// A line that cannot be understood, or that contradicts another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("filter file, line {line}: {kind}")]
pub struct FilterError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: FilterErrorKind,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterErrorKind {
    /// Not even a section or an entry.
    #[error("{0}")]
    Syntax(crate::base::ini::IniErrorKind),
    /// A section that does not exist.
    #[error("unknown section [{0}]; expected one of {known}", known = known_sections())]
    UnknownSection(String),
    /// An entry above the first section.
    #[error("entry before the first section")]
    NoSection,
    /// A table or index without its schema.
    #[error("\"{0}\" has no dot: expected schema.name")]
    NoDot(String),
    /// More than one dot outside quotes.
    #[error("\"{0}\" has more than one dot outside quotes: expected schema.name")]
    ExtraDot(String),
    /// A quoted name without its closing quote.
    #[error("\"{0}\" has no closing double quote")]
    OpenQuote(String),
    /// A pattern without its closing delimiter.
    #[error("pattern \"{text}\" has no closing \"{delimiter}\"")]
    OpenPattern {
        /// The entry.
        text: String,
        /// The delimiter that is missing.
        delimiter: char,
    },
    /// `~` and then something that delimits nothing.
    #[error("pattern \"{0}\" has no delimiter behind ~: expected one of / ' \" | # $ [ {{ ( <")]
    NoDelimiter(String),
    /// Text behind a quoted name or a pattern.
    #[error("\"{text}\" goes on behind a name or pattern: \"{rest}\"")]
    Trailing {
        /// The entry.
        text: String,
        /// What is too much.
        rest: String,
    },
    /// A quote or a tilde inside a bare name.
    #[error("\"{text}\" has {found} inside a name: put the name in double quotes")]
    Stray {
        /// The entry.
        text: String,
        /// The character.
        found: char,
    },
    /// A name of no characters.
    #[error("\"{0}\" has an empty name or pattern")]
    Empty(String),
    /// A pattern where only names are allowed.
    #[error("\"{0}\" is a pattern; extensions are given by name")]
    ExtensionPattern(String),
    /// Sections that contradict each other.
    #[error("{0} and {1} cannot be used together")]
    Contradiction(Section, Section),
    /// `--skip-extensions` is given.
    #[error("[include-only-extension] cannot be used together with --skip-extensions")]
    ExtensionsSkipped,
}

/// The section names, for messages.
fn known_sections() -> String {
    Section::ALL.map(Section::name).join(", ")
}

impl From<FilterError> for crate::base::error::Error {
    fn from(error: FilterError) -> Self {
        Self::config(error.to_string())
    }
}

/// Names of include sections that the source does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", unknown_text(.unknown))]
pub struct SelectError {
    /// The names, in file order; at least one.
    pub unknown: Vec<UnknownName>,
}

/// A name that the source does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// Its line, from 1.
    pub line: usize,
    /// The section it stands in.
    pub section: Section,
    /// The entry as it stands in the file.
    pub text: String,
    /// Names on the source that come close, best first.
    pub near: Vec<String>,
}

/// `filter file, line 3: [include-only-table] names public.Foo, which the source does not have
/// (nearest: public.foo)`, one after the other.
fn unknown_text(unknown: &[UnknownName]) -> String {
    let one = |name: &UnknownName| {
        let near = match name.near.as_slice() {
            [] => String::new(),
            near => format!(" (nearest: {})", near.join(", ")),
        };
        let (line, section, text) = (name.line, name.section, &name.text);
        format!("line {line}: {section} names {text}, which the source does not have{near}")
    };
    let names: Vec<String> = unknown.iter().map(one).collect();
    format!("filter file, {}", names.join("; "))
}

impl From<SelectError> for crate::base::error::Error {
    fn from(error: SelectError) -> Self {
        Self::config(error.to_string()).hint(
            "Names are case-sensitive: write them as the catalog spells them, with double quotes \
             around a part that holds a dot, a quote or a tilde.",
        )
    }
}
