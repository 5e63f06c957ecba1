//! What the source's own dependency catalog adds to a selection: views, functions, types, triggers and
//! whatever else cannot be without what is left out.

use super::selection::{Conflict, Dropped, Selection};
use crate::catalog::model::{Oid, SourceCatalog};

/// `pg_class`.
const PG_CLASS: Oid = 1259;
/// `pg_namespace`.
const PG_NAMESPACE: Oid = 2615;

/// A question for the source server: what depends on what is left out?
///
/// It runs under the snapshot. Each row of the answer is a [`Dependent`], columns in the order of its
/// fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependentsQuery {
    /// The statement.
    pub sql: &'static str,
    /// Its parameters, as text.
    pub params: [String; 2],
}

/// An object that depends on what is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependent {
    /// Catalog that holds it.
    pub catalog: Oid,
    /// Its identifier there.
    pub oid: Oid,
    /// What people call it, as `pg_describe_object` says.
    pub description: String,
    /// The same of what it depends on.
    pub because: String,
    /// It is an object of its own, not a mere part of what it depends on.
    pub by_itself: bool,
    /// It is a table that needs what is left out: nothing can be left out of it.
    pub conflict: bool,
    /// For a conflict: the schema of what it needs.
    pub needed_schema: Option<String>,
}

impl Selection {
    /// The question for the source server; `None` when nothing that others could depend on is left out.
    ///
    /// Extensions are not asked about: one that is left out is expected on the target.
    pub fn dependents_query(&self) -> Option<DependentsQuery> {
        let relations = [&self.tables, &self.indexes, &self.sequences];
        let mut objects: Vec<(Oid, Oid)> = relations
            .into_iter()
            .flatten()
            .map(|oid| (PG_CLASS, *oid))
            .chain(self.schemas.iter().map(|oid| (PG_NAMESPACE, *oid)))
            .collect();
        if objects.is_empty() {
            return None;
        }
        objects.sort_unstable();
        let array = |part: fn(&(Oid, Oid)) -> Oid| {
            let list: Vec<String> = objects.iter().map(|pair| part(pair).to_string()).collect();
            format!("{{{}}}", list.join(","))
        };
        let params = [array(|pair| pair.0), array(|pair| pair.1)];
        Some(DependentsQuery { sql: include_str!("sql/dependents.sql"), params })
    }

    /// Leaves out what the server answered, too.
    pub fn add_dependents(&mut self, catalog: &SourceCatalog, dependents: Vec<Dependent>) {
        let before = self.tables.len();
        for dependent in dependents {
            let object = dependent.description;
            if dependent.conflict {
                if self.keeps_table(dependent.oid) {
                    self.conflicts.push(Conflict {
                        table: object,
                        needed: dependent.because,
                        needed_schema: dependent.needed_schema,
                    });
                }
                continue;
            }
            let known = self.constraints.contains(&dependent.oid);
            self.others.insert((dependent.catalog, dependent.oid));
            if dependent.catalog == PG_CLASS {
                // A view or a materialized view; only the latter is in the model, harmless otherwise.
                self.tables.insert(dependent.oid);
            }
            if dependent.by_itself && !known {
                let reason = format!("{} is left out", dependent.because);
                self.dropped.push(Dropped { object, reason });
            }
        }
        if self.tables.len() > before {
            for index in catalog.indexes.iter().filter(|one| self.tables.contains(&one.table_oid)) {
                self.indexes.insert(index.oid);
            }
        }
    }

    /// Objects that are left out and that the catalog model does not hold: catalog and identifier.
    pub fn others(&self) -> impl Iterator<Item = (Oid, Oid)> {
        self.others.iter().copied()
    }

    /// Tables that are kept although they need what is left out: restoring them fails unless the target
    /// has it.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::model::{Index, Schema, Table, TableKind};
    use crate::filter::{MatchedOids, parse, select};

    fn catalog() -> SourceCatalog {
        let table = |oid, name: &str, kind| Table {
            oid,
            name: crate::base::ident::QualifiedName::new("a", name),
            kind,
            ..Table::default()
        };
        SourceCatalog {
            schemas: vec![Schema { oid: 1, name: "a".into(), ..Schema::default() }],
            tables: vec![
                table(10, "t", TableKind::Ordinary),
                table(11, "m", TableKind::MaterializedView),
                table(12, "kept", TableKind::Ordinary),
            ],
            indexes: vec![Index { oid: 20, table_oid: 11, ..Index::default() }],
            ..SourceCatalog::default()
        }
    }

    fn selection(rules: &str) -> Selection {
        select(&catalog(), &parse(rules).unwrap(), &MatchedOids::default()).unwrap()
    }

    fn dependent(catalog: Oid, oid: Oid, description: &str, because: &str) -> Dependent {
        let (description, because) = (description.to_owned(), because.to_owned());
        Dependent {
            catalog,
            oid,
            description,
            because,
            by_itself: true,
            conflict: false,
            needed_schema: None,
        }
    }

    #[test]
    fn nothing_left_out_asks_nothing() {
        assert_eq!(selection("").dependents_query(), None);
        assert_eq!(selection("[exclude-table-data]\na.t\n").dependents_query(), None);
    }

    #[test]
    fn what_is_left_out_is_asked_about_by_identity() {
        let query = selection("[exclude-table]\na.t\na.kept\n").dependents_query().unwrap();
        assert_eq!(query.params, ["{1259,1259}", "{10,12}"]);
        let query = selection("[exclude-schema]\na\n").dependents_query().unwrap();
        assert_eq!(query.params, ["{1259,1259,1259,1259,2615}", "{10,11,12,20,1}"]);
    }

    #[test]
    fn dependents_go_with_their_reason_and_materialized_views_with_their_indexes() {
        let mut selection = selection("[exclude-table]\na.t\n");
        let part = Dependent { by_itself: false, ..dependent(1247, 31, "type a.t", "table a.t") };
        selection.add_dependents(
            &catalog(),
            vec![
                dependent(1259, 11, "materialized view a.m", "table a.t"),
                dependent(1255, 30, "function a.f()", "table a.t"),
                part,
            ],
        );
        assert!(!selection.keeps_table(11) && !selection.keeps_index(20));
        let others: Vec<_> = selection.others().collect();
        assert_eq!(others, [(1247, 31), (1255, 30), (1259, 11)]);
        let dropped: Vec<_> = selection.dropped().iter().map(|one| one.object.as_str()).collect();
        assert_eq!(dropped, ["table a.t", "materialized view a.m", "function a.f()"]);
        assert_eq!(selection.dropped()[2].reason, "table a.t is left out");
    }

    #[test]
    fn kept_table_that_needs_what_goes_is_a_conflict() {
        let mut selection = selection("[exclude-table]\na.t\n");
        let conflict = |oid, name| Dependent {
            conflict: true,
            needed_schema: Some("x".into()),
            ..dependent(1259, oid, name, "type x.mood")
        };
        let rows = vec![conflict(10, "table a.t"), conflict(12, "table a.kept")];
        selection.add_dependents(&catalog(), rows);
        let expected = Conflict {
            table: "table a.kept".into(),
            needed: "type x.mood".into(),
            needed_schema: Some("x".into()),
        };
        assert_eq!(selection.conflicts(), [expected]);
        assert!(selection.keeps_table(12));
    }
}
