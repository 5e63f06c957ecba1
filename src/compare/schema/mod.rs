//! Compares the definitions of two databases.
//!
//! ```text
//!  query      families of objects, one `.sql` file each     ─► objects: kind, name, properties
//!  diff       objects meet by family and name               ─► differences
//!  definition texts that two versions print differently
//! ```
//!
//! Both servers are asked the same questions under the same settings, so texts can be compared as they
//! come. What differs between versions without a difference in meaning is taken out: see the gates in
//! `query` and `definition`.

mod definition;
mod diff;
mod query;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::end::End;
use crate::base::comparison::SchemaComparison;
use crate::base::error::{Error, Result};
use crate::base::ident::QualifiedName;
use crate::catalog::model::{Oid, Sequence};
use crate::catalog::sequence_values::sequence_values;
use crate::connect::client::{Row, Session};
use crate::filter::Selection;
use diff::Side;
use query::{FAMILIES, Family, IDENTITY_COLUMNS, Versions};

/// What an object is known by: family (or kind, where names alone are not unique) and name.
type Key = (usize, String, String);

/// An object of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Object {
    /// What people call its kind.
    kind: String,
    /// The table that it belongs to.
    parent: Option<String>,
    /// The filters leave it out.
    left_out: bool,
    /// Names and values.
    properties: Vec<(String, Option<String>)>,
}

impl Object {
    /// Changes a property.
    fn set(&mut self, name: &str, value: Option<String>) {
        for (_, old) in self.properties.iter_mut().filter(|(property, _)| property == name) {
            old.clone_from(&value);
        }
    }
}

/// The objects of one side.
type Objects = BTreeMap<Key, Object>;

/// Compares two databases; what the selections leave out is not compared.
///
/// Not cancel safe, but dropping it only drops the sessions.
///
/// # Errors
/// The servers'.
pub async fn run(
    (source, source_selection): (&mut End, &Selection),
    (target, target_selection): (&mut End, &Selection),
) -> Result<SchemaComparison> {
    let (from, to) = (source.facts.version, target.facts.version);
    let (a, b) = tokio::try_join!(
        objects(&mut source.session, Versions { own: from, other: to }, source_selection),
        objects(&mut target.session, Versions { own: to, other: from }, target_selection),
    )?;
    let source = Side { objects: &a, version: from };
    let target = Side { objects: &b, version: to };
    Ok(SchemaComparison {
        counts: diff::counts(&a, &b),
        differences: diff::differences(source, target),
    })
}

/// Reads all objects of one side.
async fn objects(
    session: &mut Session,
    versions: Versions,
    selection: &Selection,
) -> Result<Objects> {
    let left_out = LeftOut::new(selection);
    let mut without = Without::default();
    let mut objects = Objects::new();
    let mut sequences: HashMap<Oid, (Key, Sequence)> = HashMap::new();
    for (position, family) in FAMILIES.iter().enumerate() {
        let sql = query::statement(family, versions)?;
        let mut results = session
            .simple_query(&sql)
            .await
            .map_err(|error| error.during(format!("read catalog with {}.sql", family.name)))?;
        let rows = results.pop().map(|result| result.rows).unwrap_or_default();
        let names = rows.columns.get(IDENTITY_COLUMNS..).unwrap_or_default();
        for row in &rows.rows {
            let mut object = object(family, names, row, &left_out)?;
            let name = row.text(2)?.to_owned();
            if family.name == "relations" {
                without.note(&name, object.left_out, selection.copies_data(row.parse(5)?));
            }
            without.adjust(family, &mut object);
            let kind = if family.by_kind { object.kind.clone() } else { String::new() };
            let key = (position, kind, name);
            if family.name == "sequences" && !object.left_out {
                // The first property is the bare name.
                let name = QualifiedName::new(row.text(1)?, row.text(IDENTITY_COLUMNS)?);
                let oid = row.parse(5)?;
                let sequence = Sequence { oid, name, ..Sequence::default() };
                sequences.insert(oid, (key.clone(), sequence));
            }
            objects.insert(key, object);
        }
    }
    add_values(session, &sequences, &mut objects).await?;
    Ok(objects)
}

/// Decodes one row.
fn object(family: &Family, names: &[String], row: &Row, left_out: &LeftOut<'_>) -> Result<Object> {
    let properties = names.iter().enumerate().map(|(index, name)| {
        let value = row.bytes(IDENTITY_COLUMNS + index);
        (name.clone(), value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    });
    Ok(Object {
        kind: row.text(0)?.to_owned(),
        parent: row.optional_text(3)?.map(str::to_owned),
        left_out: left_out.has(family, row)?,
        properties: properties.collect(),
    })
}

/// Adds where the sequences stand.
async fn add_values(
    session: &mut Session,
    sequences: &HashMap<Oid, (Key, Sequence)>,
    objects: &mut Objects,
) -> Result<()> {
    let mut asked: Vec<Sequence> =
        sequences.values().map(|(_, sequence)| sequence.clone()).collect();
    asked.sort_unstable_by_key(|sequence| sequence.oid);
    let read = sequence_values(session, &asked).await?;
    let mut add = |oid: &Oid, last: &str, called: &str| {
        let object = sequences.get(oid).and_then(|(key, _)| objects.get_mut(key));
        let object = object.ok_or_else(|| Error::internal("a sequence was not asked for"))?;
        object.properties.push(("last value".to_owned(), Some(last.to_owned())));
        object.properties.push(("is called".to_owned(), Some(called.to_owned())));
        Ok::<(), Error>(())
    };
    for value in &read.values {
        let called = if value.is_called { "t" } else { "f" };
        add(&value.oid, &value.last_value.to_string(), called)?;
    }
    for oid in &read.unreadable {
        add(oid, "unreadable", "unreadable")?;
    }
    for oid in &read.gone {
        add(oid, "dropped meanwhile", "dropped meanwhile")?;
    }
    Ok(())
}

/// Names of tables that are left out, and of those whose rows are.
#[derive(Debug, Default)]
struct Without {
    tables: HashSet<String>,
    rows: HashSet<String>,
}

impl Without {
    /// Notes a table.
    fn note(&mut self, name: &str, left_out: bool, copied: bool) {
        if left_out {
            self.tables.insert(name.to_owned());
        } else if !copied {
            self.rows.insert(name.to_owned());
        }
    }

    /// Takes out of an object what the filters change about it: a sequence has no owner when its table
    /// is left out, a foreign key cannot be valid when the rows it points to are.
    fn adjust(&self, family: &Family, object: &mut Object) {
        let value = |object: &Object, name: &str| {
            let found = object.properties.iter().find(|(property, _)| property == name);
            found.and_then(|(_, value)| value.clone())
        };
        match family.name {
            "sequences" => {
                let Some(owner) = value(object, "owned by") else { return };
                let is_owner = |table: &String| {
                    owner.strip_prefix(table.as_str()).is_some_and(|rest| rest.starts_with('.'))
                };
                if self.tables.iter().any(is_owner) {
                    object.set("owned by", None);
                }
            }
            "constraints" => {
                let Some(table) = value(object, "references") else { return };
                if self.rows.contains(&table) {
                    let definition = value(object, "definition").unwrap_or_default();
                    let definition = definition.trim_end_matches(" NOT VALID").to_owned();
                    object.set("definition", Some(definition));
                    object.set("validated", None);
                }
            }
            _ => {}
        }
    }
}

/// What the filters leave out of one side.
struct LeftOut<'a> {
    selection: &'a Selection,
    others: HashSet<(Oid, Oid)>,
}

impl<'a> LeftOut<'a> {
    /// Prepares the look-up.
    fn new(selection: &'a Selection) -> Self {
        Self { selection, others: selection.others().collect() }
    }

    /// Whether an object is left out: itself, its schema, or the table it belongs to.
    fn has(&self, family: &Family, row: &Row) -> Result<bool> {
        let selection = self.selection;
        let (catalog, oid, table): (Oid, Oid, Oid) = (row.parse(4)?, row.parse(5)?, row.parse(6)?);
        let kept = match family.name {
            "schemas" => selection.keeps_schema(oid),
            "relations" | "columns" => selection.keeps_table(oid),
            "indexes" => selection.keeps_index(oid),
            "constraints" => selection.keeps_constraint(oid),
            "sequences" => selection.keeps_sequence(oid),
            "extensions" => selection.keeps_extension(row.text(2)?.trim_matches('"')),
            _ => true,
        };
        let schema_kept =
            row.optional_text(1)?.is_none_or(|schema| selection.keeps_schema_named(schema));
        Ok(!(kept
            && schema_kept
            && (table == 0 || selection.keeps_table(table))
            && !self.others.contains(&(catalog, oid))))
    }
}
