//! What the source server must evaluate.

use std::collections::HashMap;

use super::rule::{FilterSet, Matcher, Rule, RuleId};
use super::section::Section;
use crate::catalog::model::Oid;

/// A question for the source server: which objects does a rule with patterns match?
///
/// It runs under the snapshot like every catalog query. An invalid pattern is the server's error
/// (SQLSTATE 2201B); name the rule with [`Self::line`] and [`Self::text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternQuery<'a> {
    /// The rule.
    pub rule: RuleId,
    /// Its line in the file.
    pub line: usize,
    /// The entry as it stands in the file.
    pub text: &'a str,
    /// The statement; it returns one column, the identifiers.
    pub sql: &'static str,
    /// Its parameters, as text; nothing of the file is in the statement itself.
    pub params: Vec<Option<&'a str>>,
}

/// The server's answers: the objects that each rule with patterns matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchedOids(HashMap<RuleId, Vec<Oid>>);

impl MatchedOids {
    /// Adds the answer for one rule.
    pub fn insert(&mut self, rule: RuleId, oids: Vec<Oid>) {
        self.0.insert(rule, oids);
    }

    /// The objects that a rule matches; none when it was not asked for.
    pub fn get(&self, rule: RuleId) -> &[Oid] {
        self.0.get(&rule).map_or(&[], Vec::as_slice)
    }
}

impl FilterSet {
    /// The questions for the source server; rules without patterns need none.
    pub fn queries(&self) -> Vec<PatternQuery<'_>> {
        self.rules.iter().filter(|rule| rule.is_pattern()).map(query).collect()
    }
}

/// The question of one rule.
fn query(rule: &Rule) -> PatternQuery<'_> {
    let schema = rule.schema.as_ref();
    let names = || {
        let exact = [schema.and_then(Matcher::exact), rule.name.exact()];
        let pattern = [schema.and_then(Matcher::pattern), rule.name.pattern()];
        vec![exact[0], pattern[0], exact[1], pattern[1]]
    };
    let (sql, params) = match rule.section {
        Section::IncludeOnlySchema
        | Section::ExcludeSchema
        | Section::IncludeOnlyExtension
        | Section::ExcludeExtension => {
            (include_str!("sql/match_schemas.sql"), vec![rule.name.pattern()])
        }
        Section::IncludeOnlyTable | Section::ExcludeTable | Section::ExcludeTableData => {
            (include_str!("sql/match_tables.sql"), names())
        }
        Section::ExcludeIndex => (include_str!("sql/match_indexes.sql"), names()),
    };
    PatternQuery { rule: rule.id, line: rule.line, text: &rule.text, sql, params }
}
