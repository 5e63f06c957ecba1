//! From rules to the selection.

use std::borrow::Cow;
use std::collections::HashMap;

use super::depend;
use super::error::{SelectError, UnknownName};
use super::near::nearest;
use super::query::MatchedOids;
use super::rule::{FilterSet, Rule, RuleId};
use super::section::Section;
use super::selection::{Dropped, Selection};
use crate::base::ident::QualifiedName;
use crate::catalog::model::{Oid, SourceCatalog, Table, TableKind};

/// Applies rules to a catalog; `matched` holds the server's answers to [`FilterSet::queries`].
///
/// # Errors
/// Names in include sections that the source does not have, all of them at once. Unknown names in
/// exclude sections are noted in [`Selection::notices`].
pub fn select(
    catalog: &SourceCatalog,
    rules: &FilterSet,
    matched: &MatchedOids,
) -> Result<Selection, SelectError> {
    let (selection, unknown) = apply(catalog, rules, matched);
    if unknown.is_empty() { Ok(selection) } else { Err(SelectError { unknown }) }
}

/// Like [`select`] for the other end of a comparison: a name that it does not have selects nothing.
pub fn select_present(
    catalog: &SourceCatalog,
    rules: &FilterSet,
    matched: &MatchedOids,
) -> Selection {
    apply(catalog, rules, matched).0
}

/// Applies rules; names in include sections that are not found come beside the selection.
fn apply(
    catalog: &SourceCatalog,
    rules: &FilterSet,
    matched: &MatchedOids,
) -> (Selection, Vec<UnknownName>) {
    if rules.is_empty() {
        return (Selection::everything(), Vec::new());
    }
    let mut resolver = Resolver::new(catalog, matched);
    let hits = Section::ALL.map(|section| resolver.resolve(rules, section));
    let [schema_in, schema_out, table_in, table_out, data_out, index_out, ext_in, ext_out] = hits;
    let unknown = resolver.unknown;
    let mut selection = Selection { notices: resolver.notices, ..Selection::everything() };
    let limit = |section: Section, hits| rules.has(section).then_some(hits);
    let schemas = Choice { only: limit(Section::IncludeOnlySchema, schema_in), not: schema_out };
    let tables = Choice { only: limit(Section::IncludeOnlyTable, table_in), not: table_out };
    let extensions = Choice { only: limit(Section::IncludeOnlyExtension, ext_in), not: ext_out };

    let mut reasons: HashMap<Oid, String> = HashMap::new();
    select_schemas(catalog, &schemas, rules, &mut selection);
    select_tables(catalog, &tables, rules, &mut selection, &mut reasons);
    for (oid, rule) in data_out {
        if selection.data.insert(oid) {
            reasons.entry(oid).or_insert_with(|| by_rule(rules, rule));
        }
    }
    for (oid, rule) in index_out {
        if selection.indexes.insert(oid) {
            reasons.insert(oid, by_rule(rules, rule));
        }
    }
    for extension in &catalog.extensions {
        if let Some(reason) = extensions.reason(extension.oid, rules, Section::IncludeOnlyExtension)
        {
            selection.extensions.insert(extension.name.clone());
            let object = format!("extension {}", extension.name);
            selection.dropped.push(Dropped { object, reason });
        }
    }
    depend::close(catalog, rules.has(Section::IncludeOnlyTable), &mut selection, &mut reasons);
    depend::note_dropped(catalog, &mut selection, reasons);
    (selection, unknown)
}

/// What an include and an exclude section say of one kind of object.
struct Choice {
    /// Only these, when there is such a section.
    only: Option<HashMap<Oid, RuleId>>,
    /// Not these.
    not: HashMap<Oid, RuleId>,
}

impl Choice {
    /// Why an object is left out; `None` when it is kept.
    fn reason(&self, oid: Oid, rules: &FilterSet, include: Section) -> Option<String> {
        if self.only.as_ref().is_some_and(|only| !only.contains_key(&oid)) {
            return Some(format!("not listed in {include}"));
        }
        self.not.get(&oid).map(|rule| by_rule(rules, *rule))
    }
}

/// `[exclude-table] public.orders (line 7)`.
fn by_rule(rules: &FilterSet, rule: RuleId) -> String {
    match rules.rules().get(rule.0 as usize) {
        Some(rule) => format!("{} {} (line {})", rule.section, rule.text, rule.line),
        None => "filtered".to_owned(),
    }
}

/// Leaves schemas out.
fn select_schemas(
    catalog: &SourceCatalog,
    choice: &Choice,
    rules: &FilterSet,
    selection: &mut Selection,
) {
    for schema in &catalog.schemas {
        if let Some(reason) = choice.reason(schema.oid, rules, Section::IncludeOnlySchema) {
            selection.schemas.insert(schema.oid);
            selection.schema_names.insert(schema.name.clone());
            selection.dropped.push(Dropped { object: format!("schema {}", schema.name), reason });
        }
    }
}

/// Leaves tables out: those of schemas left out, and those that the table sections say. A table must
/// satisfy both.
fn select_tables(
    catalog: &SourceCatalog,
    choice: &Choice,
    rules: &FilterSet,
    selection: &mut Selection,
    reasons: &mut HashMap<Oid, String>,
) {
    for table in &catalog.tables {
        // What belongs to an extension comes and goes with it.
        if table.extension.is_some() {
            continue;
        }
        let reason = if selection.schema_names.contains(&table.name.schema) {
            Some("its schema is left out".to_owned())
        } else {
            choice.reason(table.oid, rules, Section::IncludeOnlyTable)
        };
        if let Some(reason) = reason {
            selection.tables.insert(table.oid);
            reasons.insert(table.oid, reason);
        }
    }
}

/// Finds the objects that rules name.
struct Resolver<'a> {
    matched: &'a MatchedOids,
    schemas: HashMap<&'a str, Oid>,
    tables: HashMap<&'a QualifiedName, Oid>,
    indexes: HashMap<&'a QualifiedName, Oid>,
    extensions: HashMap<&'a str, Oid>,
    unknown: Vec<UnknownName>,
    notices: Vec<String>,
}

impl<'a> Resolver<'a> {
    /// A resolver over one catalog.
    fn new(catalog: &'a SourceCatalog, matched: &'a MatchedOids) -> Self {
        let selectable = |table: &&Table| table.kind != TableKind::View;
        Self {
            matched,
            schemas: catalog.schemas.iter().map(|one| (one.name.as_str(), one.oid)).collect(),
            tables: (catalog.tables.iter().filter(selectable))
                .map(|table| (&table.name, table.oid))
                .collect(),
            indexes: catalog.indexes.iter().map(|index| (&index.name, index.oid)).collect(),
            extensions: (catalog.extensions.iter())
                .map(|extension| (extension.name.as_str(), extension.oid))
                .collect(),
            unknown: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The objects that the rules of a section name, each with the first rule that does.
    fn resolve(&mut self, rules: &FilterSet, section: Section) -> HashMap<Oid, RuleId> {
        let mut hits = HashMap::new();
        for rule in rules.section(section) {
            if rule.is_pattern() {
                for oid in self.matched.get(rule.id) {
                    hits.entry(*oid).or_insert(rule.id);
                }
                continue;
            }
            match self.find(rule) {
                Some(oid) => {
                    hits.entry(oid).or_insert(rule.id);
                }
                None => self.note_unknown(rule),
            }
        }
        hits
    }

    /// The object that a rule without patterns names.
    fn find(&self, rule: &Rule) -> Option<Oid> {
        let name = rule.name.exact()?;
        let qualified = || {
            let schema = rule.schema.as_ref()?.exact()?;
            Some(QualifiedName::new(schema, name))
        };
        match rule.section {
            Section::IncludeOnlySchema | Section::ExcludeSchema => {
                self.schemas.get(name).copied().or_else(|| {
                    // v0.18 folds bare schema names, as SQL would.
                    let folded = name.to_lowercase();
                    self.schemas.get(folded.as_str()).copied().filter(|_| rule.bare)
                })
            }
            Section::IncludeOnlyTable | Section::ExcludeTable | Section::ExcludeTableData => {
                self.tables.get(&qualified()?).copied()
            }
            Section::ExcludeIndex => self.indexes.get(&qualified()?).copied(),
            Section::IncludeOnlyExtension | Section::ExcludeExtension => {
                self.extensions.get(name).copied()
            }
        }
    }

    /// Notes a name that the source does not have.
    fn note_unknown(&mut self, rule: &Rule) {
        let name = rule.name.exact().unwrap_or_default();
        let wanted = match rule.schema.as_ref().and_then(|schema| schema.exact()) {
            Some(schema) => QualifiedName::new(schema, name).to_string(),
            None => name.to_owned(),
        };
        let qualified = |names: &HashMap<&QualifiedName, Oid>| {
            nearest(&wanted, names.keys().map(|name| Cow::Owned(name.to_string())))
        };
        let plain = |names: &HashMap<&str, Oid>| {
            nearest(&wanted, names.keys().map(|name| Cow::Owned((*name).to_owned())))
        };
        let near = match rule.section {
            Section::IncludeOnlySchema | Section::ExcludeSchema => plain(&self.schemas),
            Section::IncludeOnlyTable | Section::ExcludeTable | Section::ExcludeTableData => {
                qualified(&self.tables)
            }
            Section::ExcludeIndex => qualified(&self.indexes),
            Section::IncludeOnlyExtension | Section::ExcludeExtension => plain(&self.extensions),
        };
        let (line, section, text) = (rule.line, rule.section, rule.text.clone());
        if section.must_match() {
            self.unknown.push(UnknownName { line, section, text, near });
            return;
        }
        let mut notice = format!(
            "filter file, line {line}: {section} names {text}, which the source does not have"
        );
        if !near.is_empty() {
            notice.push_str(&format!(" (nearest: {})", near.join(", ")));
        }
        self.notices.push(notice);
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
