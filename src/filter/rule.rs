//! Rules: the lines of a filter file, understood.

use super::error::{FilterError, FilterErrorKind};
use super::section::Section;

/// What a name is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// This very name, case included.
    Exact(String),
    /// A PostgreSQL regular expression, case-sensitive and not anchored.
    Pattern(String),
}

impl Matcher {
    /// The name, when it is one.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(name) => Some(name),
            Self::Pattern(_) => None,
        }
    }

    /// The pattern, when it is one.
    pub fn pattern(&self) -> Option<&str> {
        match self {
            Self::Pattern(pattern) => Some(pattern),
            Self::Exact(_) => None,
        }
    }
}

/// Identity of a rule inside one filter set: its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// One entry of the filter file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its position.
    pub id: RuleId,
    /// The section it stands in.
    pub section: Section,
    /// Its line in the file, from 1.
    pub line: usize,
    /// The entry as it stands in the file.
    pub text: String,
    /// For tables and indexes: the schema.
    pub schema: Option<Matcher>,
    /// The object: schema, table, index or extension.
    pub name: Matcher,
    /// The name was written without quotes.
    pub bare: bool,
}

impl Rule {
    /// One of its names is a pattern.
    pub fn is_pattern(&self) -> bool {
        self.name.pattern().is_some()
            || self.schema.as_ref().is_some_and(|schema| schema.pattern().is_some())
    }
}

/// The rules of a filter file, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterSet {
    pub(super) rules: Vec<Rule>,
}

/// Sections that contradict each other.
const CONTRADICTIONS: [(Section, Section); 3] = [
    (Section::IncludeOnlySchema, Section::ExcludeSchema),
    (Section::IncludeOnlyTable, Section::ExcludeTable),
    (Section::IncludeOnlyExtension, Section::ExcludeExtension),
];

impl FilterSet {
    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// No rule: everything is migrated.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules of a section, in file order.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.section == section)
    }

    /// A section has rules. Patterns count: two contradicting sections are an error whatever they hold.
    pub fn has(&self, section: Section) -> bool {
        self.section(section).next().is_some()
    }

    /// Checks that no two sections contradict each other.
    pub(super) fn check(&self) -> Result<(), FilterError> {
        for (include, exclude) in CONTRADICTIONS {
            let (Some(_), Some(second)) =
                (self.section(include).next(), self.section(exclude).next())
            else {
                continue;
            };
            let kind = FilterErrorKind::Contradiction(include, exclude);
            return Err(FilterError { line: second.line, kind });
        }
        Ok(())
    }

    /// Checks the rules against `--skip-extensions`; what it makes redundant is returned as warnings.
    ///
    /// # Errors
    /// `[include-only-extension]` together with `--skip-extensions`.
    pub fn check_skip_extensions(&self) -> Result<Vec<String>, FilterError> {
        if let Some(rule) = self.section(Section::IncludeOnlyExtension).next() {
            let kind = FilterErrorKind::ExtensionsSkipped;
            return Err(FilterError { line: rule.line, kind });
        }
        let redundant = self.has(Section::ExcludeExtension);
        let text = "[exclude-extension] has no effect together with --skip-extensions";
        Ok(redundant.then(|| text.to_owned()).into_iter().collect())
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> Vec<String> {
        let both = self.has(Section::IncludeOnlyTable) && self.has(Section::ExcludeSchema);
        let text = "[include-only-table] together with [exclude-schema]: a listed table in an \
                    excluded schema is left out";
        both.then(|| text.to_owned()).into_iter().collect()
    }
}
