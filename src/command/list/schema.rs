//! `list schema`: everything that is migrated, as the document `schema.json`.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::catalog::{JOBS, Reading, read};
use super::tables::{estimate, part_json};
use crate::base::error::{Error, Result};
use crate::base::listing::Listing;
use crate::base::units::ByteSize;
use crate::catalog::model::{Generated, Index, Oid, ReplicaIdentity, Table};
use crate::catalog::sequence_values::{SequenceValue, sequence_values};
use crate::config::{ListConfig, SplitThreshold};
use crate::filter::{FilterSet, Matcher, Rule, Section};
use crate::local::workdir::{Service, WorkDir, replace_file};
use crate::plan::{PartRange, TablePlan};

/// `pg_class`.
const PG_CLASS: Oid = 1259;
/// `pg_constraint`.
const PG_CONSTRAINT: Oid = 2606;

/// Names of an object in the forms that the document has.
#[derive(Default)]
struct Names {
    /// Schema, quoted where SQL needs it.
    schema: String,
    /// Name, quoted where SQL needs it.
    name: String,
    /// As a restore list has it.
    restore_list_name: String,
}

impl Names {
    /// Both, with a dot.
    fn qualified(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// Names by catalog and identifier.
type NameMap = HashMap<(Oid, Oid), Names>;

/// Writes `schema.json` and returns it: a listing without headings.
///
/// # Errors
/// Those of the source, the filters and the work directory.
pub(super) async fn list(config: &ListConfig) -> Result<Listing> {
    let directory = WorkDir::open(&config.directory, Service::List)?;
    let mut reading = read(config).await?;
    let document = document(config, &mut reading).await?;
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Error::internal(format!("could not write schema.json: {error}")))?;
    let path = directory.schema_json();
    replace_file(&path, (text + "\n").as_bytes())?;
    tracing::info!("wrote \"{}\"", path.display());
    Ok(Listing { headings: &[], rows: Vec::new(), json: document })
}

/// The document.
async fn document(config: &ListConfig, reading: &mut Reading) -> Result<Value> {
    let plan = reading.plan(config).await?;
    let names = names(reading).await?;
    let values = sequence_values(&mut reading.session, &reading.catalog.sequences).await?;
    let values: HashMap<Oid, SequenceValue> =
        values.values.into_iter().map(|value| (value.oid, value)).collect();
    let planned: BTreeMap<Oid, &TablePlan> =
        plan.tables.iter().map(|table| (table.oid, table)).collect();
    let tables = (reading.catalog.tables.iter())
        .filter_map(|table| Some(table_json(reading, table, planned.get(&table.oid)?, &names)));
    let indexes = (reading.catalog.indexes.iter())
        .filter(|index| planned.contains_key(&index.table_oid))
        .filter(|index| reading.selection.keeps_index(index.oid))
        .map(|index| index_json(reading, index, &names));
    let sequences = plan.sequences.iter().map(|sequence| {
        let (quoted, value) = (names.get(&(PG_CLASS, sequence.oid)), values.get(&sequence.oid));
        json!({
            "oid": sequence.oid,
            "schema": quoted.map(|one| &one.schema),
            "name": quoted.map(|one| &one.name),
            "qname": quoted.map(Names::qualified),
            "last-value": value.map(|value| value.last_value),
            "is-called": value.map(|value| value.is_called),
            "restore-list-name": quoted.map(|one| &one.restore_list_name),
        })
    });
    let threshold = match config.split.threshold {
        SplitThreshold::Bytes(bytes) => bytes,
        SplitThreshold::Auto | SplitThreshold::Never => 0,
    };
    Ok(json!({
        "setup": {
            "snapshot": Value::Null,
            "source_pguri": config.source.display_uri(),
            "target_pguri": Value::Null,
            "table-jobs": JOBS,
            "index-jobs": JOBS,
            "split-tables-larger-than": threshold,
        },
        "filters": filters_json(reading.filters.rules()),
        "tables": tables.collect::<Vec<_>>(),
        "indexes": indexes.collect::<Vec<_>>(),
        "sequences": sequences.collect::<Vec<_>>(),
    }))
}

/// Reads the names of everything.
async fn names(reading: &mut Reading) -> Result<NameMap> {
    let found = reading.session.query(include_str!("sql/quoted_names.sql"), &[]).await?;
    let mut names = NameMap::with_capacity(found.rows.len());
    for row in &found.rows {
        let text = |index| row.text(index).map(str::to_owned);
        let entry = Names { schema: text(2)?, name: text(3)?, restore_list_name: text(4)? };
        names.insert((row.parse(0)?, row.parse(1)?), entry);
    }
    Ok(names)
}

/// One of `tables`.
fn table_json(reading: &Reading, table: &Table, plan: &TablePlan, names: &NameMap) -> Value {
    let quoted = names.get(&(PG_CLASS, table.oid));
    let own: Vec<&Index> =
        reading.catalog.indexes.iter().filter(|index| index.table_oid == table.oid).collect();
    let is_in = |number: i16, wanted: fn(&Index) -> bool| {
        own.iter().any(|index| wanted(index) && index.key_columns.contains(&number))
    };
    let columns = table.columns.iter().map(|column| {
        let primary = is_in(column.number, |index| index.primary);
        let identity = match table.replica_identity {
            ReplicaIdentity::Default => primary,
            ReplicaIdentity::Full => true,
            ReplicaIdentity::Nothing => false,
            ReplicaIdentity::Index => is_in(column.number, |index| index.replica_identity),
        };
        json!({
            "attnum": column.number,
            "atttypid": column.type_oid,
            "attname": column.name,
            "attisprimary": primary,
            "attisreplident": identity,
            "attisgenerated": column.generated != Generated::No,
        })
    });
    let parts = if plan.is_split() { plan.parts.as_slice() } else { &[] };
    let part_key = parts.first().map(|part| match &part.range {
        PartRange::Key { column, .. } | PartRange::KeyNull { column } => column.as_str(),
        PartRange::Ctid { .. } | PartRange::Whole => "ctid",
    });
    json!({
        "oid": table.oid,
        "schema": quoted.map(|one| &one.schema),
        "name": quoted.map(|one| &one.name),
        "qname": quoted.map(Names::qualified),
        "reltuples": estimate(table),
        "bytes": table.bytes,
        "bytes-pretty": ByteSize(table.bytes).to_string(),
        "exclude-data": plan.exclude_data(),
        "restore-list-name": quoted.map(|one| &one.restore_list_name),
        "part-key": part_key.unwrap_or_default(),
        "cols": columns.collect::<Vec<_>>(),
        "parts": parts.iter().map(|part| part_json(part, parts.len())).collect::<Vec<_>>(),
    })
}

/// One of `indexes`.
fn index_json(reading: &Reading, index: &Index, names: &NameMap) -> Value {
    let quoted = |catalog, oid| names.get(&(catalog, oid));
    let own = quoted(PG_CLASS, index.oid);
    let table = quoted(PG_CLASS, index.table_oid);
    let columns: Vec<&str> = (reading.catalog.tables.iter())
        .filter(|table| table.oid == index.table_oid)
        .flat_map(|table| &table.columns)
        .filter(|column| index.key_columns.contains(&column.number))
        .map(|column| column.name.as_str())
        .collect();
    let mut entry = json!({
        "oid": index.oid,
        "schema": own.map(|one| &one.schema),
        "name": own.map(|one| &one.name),
        "qname": own.map(Names::qualified),
        "isPrimary": index.primary,
        "isUnique": index.unique,
        "columns": columns.join(","),
        "sql": index.definition,
        "restore-list-name": own.map(|one| &one.restore_list_name),
        "table": {
            "oid": index.table_oid,
            "schema": table.map(|one| &one.schema),
            "name": table.map(|one| &one.name),
            "qname": table.map(Names::qualified),
        },
    });
    let constraint = index.constraint_oid.and_then(|oid| {
        reading.catalog.constraints.iter().find(|constraint| constraint.oid == oid)
    });
    if let (Some(constraint), Some(object)) = (constraint, entry.as_object_mut()) {
        let quoted = quoted(PG_CONSTRAINT, constraint.oid);
        let value = json!({
            "oid": constraint.oid,
            "name": quoted.map(|one| &one.name),
            "sql": constraint.definition,
            "restore-list-name": quoted.map(|one| &one.restore_list_name),
        });
        object.insert("constraint".to_owned(), value);
    }
    entry
}

/// `filters`: what kind of rules there are, then the rules by section.
fn filters_json(rules: &FilterSet) -> Value {
    let mut document = Map::new();
    document.insert("type".to_owned(), filter_type(rules).into());
    for section in Section::ALL {
        let (patterns, names): (Vec<&Rule>, Vec<&Rule>) =
            rules.section(section).partition(|rule| rule.is_pattern());
        for (key, rules) in
            [(section.name().to_owned(), names), (format!("{}-pattern", section.name()), patterns)]
        {
            if !rules.is_empty() {
                document.insert(key, rules.into_iter().map(rule_json).collect());
            }
        }
    }
    Value::Object(document)
}

/// What the rules do as a whole, in the words that scripts know.
///
/// Source: spec/commands.md 4.3.
fn filter_type(rules: &FilterSet) -> &'static str {
    let excludes = [
        Section::IncludeOnlySchema,
        Section::ExcludeSchema,
        Section::ExcludeTable,
        Section::ExcludeTableData,
    ];
    if rules.has(Section::IncludeOnlyTable) {
        "SOURCE_FILTER_TYPE_INCL"
    } else if excludes.into_iter().any(|section| rules.has(section)) {
        "SOURCE_FILTER_TYPE_EXCL"
    } else if rules.has(Section::ExcludeIndex) {
        "SOURCE_FILTER_TYPE_EXCL_INDEX"
    } else {
        "SOURCE_FILTER_TYPE_NONE"
    }
}

/// One rule: a bare name, or an object with the names and patterns of its parts.
fn rule_json(rule: &Rule) -> Value {
    let Some(schema) = &rule.schema else {
        return match &rule.name {
            Matcher::Exact(name) | Matcher::Pattern(name) => json!(name),
        };
    };
    let mut entry = Map::new();
    for (key, matcher) in [("schema", schema), ("name", &rule.name)] {
        match matcher {
            Matcher::Exact(name) => entry.insert(key.to_owned(), json!(name)),
            Matcher::Pattern(pattern) => entry.insert(format!("{key}-re"), json!(pattern)),
        };
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter;

    #[test]
    fn rules_are_written_by_section_and_patterns_apart() {
        let rules = filter::parse(
            "[exclude-table]\na.t\n~/^b/.~/x$/\n[exclude-schema]\nc\n[exclude-index]\na.i\n",
        )
        .unwrap();
        let expected = json!({
            "type": "SOURCE_FILTER_TYPE_EXCL",
            "exclude-schema": ["c"],
            "exclude-table": [{ "schema": "a", "name": "t" }],
            "exclude-table-pattern": [{ "schema-re": "^b", "name-re": "x$" }],
            "exclude-index": [{ "schema": "a", "name": "i" }],
        });
        assert_eq!(filters_json(&rules), expected);
    }

    #[test]
    fn the_type_is_the_first_that_fits() {
        for (text, expected) in [
            ("", "SOURCE_FILTER_TYPE_NONE"),
            ("[exclude-extension]\nx\n", "SOURCE_FILTER_TYPE_NONE"),
            ("[exclude-index]\na.i\n", "SOURCE_FILTER_TYPE_EXCL_INDEX"),
            ("[exclude-index]\na.i\n[exclude-table-data]\na.t\n", "SOURCE_FILTER_TYPE_EXCL"),
            ("[include-only-table]\na.t\n[exclude-schema]\nb\n", "SOURCE_FILTER_TYPE_INCL"),
        ] {
            assert_eq!(filter_type(&filter::parse(text).unwrap()), expected, "{text}");
        }
    }
}
